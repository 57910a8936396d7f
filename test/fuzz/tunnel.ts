/** Malformed input for what the tunnel reads below its frames: TLS records, upgrades, WebSockets. Targets of wire.ts. */
import { createHash } from 'node:crypto'
import { duplexPair } from 'node:stream'
import { grantsUpgrade, readUpgrade, upgradeAnswer, upgradeRequest } from '../../src/tunnel/cover/proof.ts'
import { WebSocketCarrier } from '../../src/tunnel/cover/websocket.ts'
import { loadNative, type Memory, type Native } from '../../src/tunnel/fast/native.ts'
import { CONTENT, MAX_RECORD_BYTES, Opener, RECORD_PLAIN_BYTES, RecordError, Sealer } from '../../src/tunnel/fast/records.ts'
import type { Random } from './mutate.ts'
import { must, NOISE, type Outcome, refused } from './recording.ts'
import type { Target } from './run.ts'

// --- TLS records, as the fast path reads them ---

const TRAFFIC = { suite: 'TLS_AES_128_GCM_SHA256', secret: createHash('sha256').update('fuzz').digest(), sequence: 0 }
/** More than any input: mutate.ts makes at most 100,000 bytes, which sealing makes longer. */
const ROOM_BYTES = 1_048_576
/** `type u8, length u16, plaintext`: what a peer that knows the key may put into a record. */
const inner = (type: number, plain: Uint8Array) => Buffer.concat([Buffer.from([type, plain.length >> 8, plain.length & 0xff]), plain])
const TICKET = Buffer.concat([Buffer.from([4, 0, 0, 40]), Buffer.alloc(40, 7)])
const SAID = [
  Buffer.concat([
    inner(CONTENT.data, Buffer.from('hello')),
    inner(CONTENT.data, Buffer.alloc(2_000, 1)),
    inner(CONTENT.alert, Buffer.from([1, 0])),
  ]),
  Buffer.concat([
    inner(CONTENT.handshake, TICKET),
    inner(CONTENT.handshake, TICKET.subarray(0, 9)),
    inner(CONTENT.handshake, TICKET.subarray(9)),
  ]),
  Buffer.concat([inner(CONTENT.handshake, Buffer.from([24, 0, 0, 1, 0])), inner(CONTENT.alert, Buffer.from([1, 90]))]),
]

interface Room {
  native: Native
  plain: Memory
  wire: Memory
}

/** Seals what `said` describes; what it does not describe is left out. Returns the end of it. */
function seal(said: Buffer, { native, plain, wire }: Room): number {
  const sealer = new Sealer(native, TRAFFIC)
  let end = 0
  for (let at = 0; at + 3 <= said.length && end < ROOM_BYTES - MAX_RECORD_BYTES; ) {
    const length = Math.min(said.readUInt16BE(at + 1), said.length - at - 3, RECORD_PLAIN_BYTES)
    said.copy(plain.bytes, 0, at + 3, at + 3 + length)
    // A record always holds something: nothing to seal is nothing said.
    if (length > 0) end += sealer.seal(plain, 0, length, wire, end, said[at])
    at += 3 + length
  }
  sealer.free()
  return end
}

/** Opens everything up to `end`, in whatever pieces it arrives. */
function open(end: number, { native, wire }: Room, random: Random): Outcome {
  const opener = new Opener(native, TRAFFIC)
  try {
    let arrived = 0
    for (let at = 0; arrived < end; ) {
      arrived = Math.min(end, arrived + 1 + random(MAX_RECORD_BYTES))
      for (let opened = opener.open(wire, at, arrived); opened !== undefined; opened = opener.open(wire, at, arrived)) {
        must(opened.start >= at && opened.start + opened.bytes <= at + opened.recordBytes, 'a record that is not where it was')
        at += opened.recordBytes
      }
    }
    return 'accepted'
  } catch (error) {
    if (error instanceof RecordError) return 'refused'
    throw error
  } finally {
    opener.free()
  }
}

/** None where there is no fast path. */
function recordTargets(): Target[] {
  let native: Native
  try {
    native = loadNative()
  } catch {
    return []
  }
  const room: Room = { native, plain: native.allocate(RECORD_PLAIN_BYTES + 1), wire: native.allocate(ROOM_BYTES) }
  const sealed = SAID.map((said) => Buffer.from(room.wire.bytes.subarray(0, seal(said, room))))
  return [
    {
      name: 'record',
      corpus: [...sealed, NOISE],
      take: (pieces, random) => {
        const said = Buffer.concat(pieces)
        said.copy(room.wire.bytes)
        return open(said.length, room, random)
      },
    },
    {
      // By a peer that knows the key: what stands behind the seal.
      name: 'record-inside',
      corpus: SAID,
      take: (pieces, random) => open(seal(Buffer.concat(pieces), room), room, random),
    },
  ]
}

// --- Upgrades and WebSockets ---

const SECRET = createHash('sha256').update('secret').digest()
const request = Buffer.from(upgradeRequest('example.org', SECRET))
const answer = Buffer.from(upgradeAnswer(readUpgrade(request)!.webSocketKey))

const frame = (first: number, payload: Uint8Array) => {
  const mask = Buffer.from([1, 2, 3, 4])
  const short = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff]
  return Buffer.concat([Buffer.from([first, 0x80 | short[0]!, ...short.slice(1)]), mask, payload.map((byte, i) => byte ^ mask[i & 3]!)])
}
const FRAMES = [
  Buffer.concat([frame(0x82, Buffer.from('hello')), frame(0x89, Buffer.from('are you there')), frame(0x82, Buffer.alloc(3_000, 9))]),
  Buffer.concat([frame(0x02, Buffer.alloc(300, 1)), frame(0x80, Buffer.from('and more')), frame(0x88, Buffer.from([3, 0xe8]))]),
]

/** What the other end says over a WebSocket, until it ends. */
async function overWebSocket(pieces: readonly Buffer[]): Promise<Outcome> {
  const [near, far] = duplexPair()
  const carrier = new WebSocketCarrier(near, 'server')
  let broke: unknown
  carrier.on('error', (error) => {
    broke = error
  })
  far.on('error', () => {}).resume()
  const over = new Promise<void>((resolve) => carrier.once('close', resolve))
  carrier.resume()
  for (const piece of pieces) far.write(piece)
  far.end()
  await over
  far.destroy()
  return broke === undefined ? 'accepted' : refused(broke, ['MESSAGE_MALFORMED'])
}

const known = (found: unknown): Outcome => (found === undefined ? 'refused' : 'accepted')

export const TUNNEL_TARGETS: readonly Target[] = [
  ...recordTargets(),
  { name: 'upgrade', corpus: [request, NOISE], take: (pieces) => known(readUpgrade(Buffer.concat(pieces))) },
  { name: 'upgrade-answer', corpus: [answer, NOISE], take: (pieces) => known(grantsUpgrade(Buffer.concat(pieces), SECRET)) },
  { name: 'websocket', corpus: [...FRAMES, NOISE], parallel: 32, take: overWebSocket },
]
