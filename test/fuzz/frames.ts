/** Malformed messages, frames in any pieces, and flows whose peer says what it likes. Targets of wire.ts. */
import { type Duplex, duplexPair } from 'node:stream'
import { crc32 } from 'node:zlib'
import type { BywayError, ErrorCode } from '../../src/protocol/errors.ts'
import {
  DATA_TYPE,
  decodeMessage,
  encodeMessage,
  FRAME_HEADER_BYTES,
  frameHeader,
  MAX_DATA_BYTES,
  MAX_MESSAGE_BYTES,
  MESSAGES,
  type Message,
  type MessageBody,
  type MessageName,
  PADDING_TYPE,
  PROTOCOL_VERSION,
} from '../../src/protocol/messages.ts'
import { FlowStream, KeepingBudget, Link, type Wire } from '../../src/tunnel/index.ts'
import type { Random } from './mutate.ts'
import { must, NOISE, type Outcome, outcome, recording, refused } from './recording.ts'
import type { Target } from './run.ts'

const LINK_CODES: readonly ErrorCode[] = ['MESSAGE_MALFORMED', 'MESSAGE_TOO_LARGE', 'MESSAGE_UNEXPECTED']

// --- Messages ---

const bytes = (length: number): `0x${string}` => `0x${'5a'.repeat(length)}`
const counts = { up: 1_000n, down: 70_000n }
const statement = { sessionId: bytes(16), ...counts, cumulative: 7n, signature: bytes(64) }
const words = { code: 'UNPAID', message: 'flows waited for a voucher that did not come: \u00e9' }

/** One of each: not every message comes in a recording. */
const SAMPLES: { readonly [N in MessageName]: MessageBody<N> } = {
  session: {
    version: PROTOCOL_VERSION,
    chainId: 31_337n,
    channels: bytes(20),
    payer: bytes(20),
    signer: bytes(20),
    root: bytes(32),
    sum: 5_000_000n,
    expiry: 2_000_000_000n,
    depth: 3,
    nonce: 1n,
    index: 5,
    payee: bytes(20),
    cap: 1_000_000n,
    salt: bytes(32),
    siblings: Array.from({ length: 3 }, () => ({ hash: bytes(32), sum: 1_000_000n })),
    pricePerGib: 100_000n,
    latest: { statement, base: 3n << 30n, pricePerGib: 100_000n },
    proof: bytes(64),
  },
  attach: { version: PROTOCOL_VERSION, sessionId: bytes(16), token: bytes(32) },
  accepted: { sessionId: bytes(16), token: bytes(32), base: 0n, window: 262_144n, last: statement, carried: counts },
  refused: words,
  pay: statement,
  paid: { cumulative: 7n, window: 262_144n },
  meter: { sessionId: bytes(16), ...counts },
  lost: { flowId: 3, ...counts },
  bye: words,
  ping: { nonce: 1n },
  pong: { nonce: 1n },
  attached: {},
  open: { flowId: 1, protocol: 0, host: 'm\u00fcnchen.example', port: 443 },
  opened: {},
  rejoin: { version: PROTOCOL_VERSION, sessionId: bytes(16), token: bytes(32) },
  rejoined: { cumulative: 7n, window: 262_144n },
  ack: { received: 131_072n },
  ask: {},
  resume: { flowId: 1, received: 70_000n, over: 1 },
  resumed: { received: 1_000n, over: 0 },
  extend: { flowId: 2, offer: Buffer.alloc(400, 7) },
  reserve: { version: PROTOCOL_VERSION, nodeKey: bytes(32), signature: bytes(64) },
  reserved: { token: bytes(32), lifetimeS: 3_600, maxCalls: 32 },
  call: { callId: 7 },
  answer: { version: PROTOCOL_VERSION, token: bytes(32), callId: 7 },
  answered: {},
  observe: { version: PROTOCOL_VERSION, nodeKey: bytes(32), port: 4433, pin: bytes(32) },
  observed: { address: '2001:db8::1', port: 4433, reached: 1 },
  failed: words,
  end: {},
  reset: {},
  done: counts,
}

const encoded = (Object.keys(SAMPLES) as MessageName[]).map((name) => encodeMessage(name, SAMPLES[name] as never))
const ends = recording.ends.map((end) => Buffer.from(end, 'hex'))

/** What is read must write the same bytes: one spelling for each message, or a signature could mean two things. */
function takeMessage(type: number, payload: Buffer): Outcome {
  return outcome(() => {
    const { name, body } = decodeMessage(type, payload)
    must(
      encodeMessage(name, body as never)
        .subarray(FRAME_HEADER_BYTES)
        .equals(payload),
      'another spelling of the same message',
    )
  }, LINK_CODES)
}

const messageTargets = (Object.keys(MESSAGES) as MessageName[]).map((name): Target => {
  const { type } = MESSAGES[name]
  const recorded = ends.flatMap((said) => [...framesOf(said)]).filter((frame) => frame.type === type)
  const sample = encodeMessage(name, SAMPLES[name] as never).subarray(FRAME_HEADER_BYTES)
  return {
    name: `message-${name}`,
    corpus: [sample, ...recorded.map(({ payload }) => payload)],
    take: (pieces) => takeMessage(type, Buffer.concat(pieces)),
  }
})

// --- Frames ---

/** Whole frames of what one end of a link said. Knows nothing of pieces: a link must read the same. */
function* framesOf(said: Buffer): Generator<{ type: number; payload: Buffer; whole: boolean }> {
  for (let at = 0; at + FRAME_HEADER_BYTES <= said.length; ) {
    const [type, length] = [said[at]!, said.readUIntBE(at + 1, 3)]
    if (length > (type === DATA_TYPE ? MAX_DATA_BYTES : MAX_MESSAGE_BYTES)) return
    at += FRAME_HEADER_BYTES
    const payload = said.subarray(at, at + length)
    if (type !== PADDING_TYPE) yield { type, payload, whole: payload.length === length }
    at += length
  }
}

/** The same as text: names of messages, and lengths of payload between them. */
function readAtOnce(said: Buffer): string[] {
  const heard = new Heard()
  for (const { type, payload, whole } of framesOf(said)) {
    if (type === DATA_TYPE) heard.data(payload)
    else if (whole) {
      try {
        heard.message(decodeMessage(type, payload))
      } catch {
        break // The link must stop there too; what it says is checked in its own target.
      }
    }
  }
  return heard.all()
}

class Heard {
  readonly #lines: string[] = []
  #payload = 0
  #sum = 0
  data(piece: Buffer): void {
    this.#payload += piece.length
    this.#sum = crc32(piece, this.#sum)
  }
  message(message: Message): void {
    this.#lines.push(`${this.#payload} ${this.#sum}`, message.name)
  }
  all(): string[] {
    return [...this.#lines, `${this.#payload} ${this.#sum}`]
  }
}

/** Two ends of a wire in memory; the far one says the pieces and ends. */
function wireSaying(pieces: readonly Buffer[]): { wire: Wire; over: Promise<void> } {
  const [near, far] = duplexPair()
  const over = new Promise<void>((resolve) => near.once('close', resolve))
  near.once('close', () => far.destroy())
  far.on('error', () => {}).resume()
  for (const piece of pieces) far.write(piece)
  far.end()
  return { wire: near as Duplex as Wire, over }
}

/** Owners come and go, and stop reading now and then. */
export async function throughLink(
  pieces: readonly Buffer[],
  random: Random,
  owner: (message: Message) => void = () => {},
): Promise<Outcome> {
  const { wire } = wireSaying(pieces)
  const link = new Link(wire)
  const heard = new Heard()
  let closes = 0
  /** The connection ended while nobody listened: what came last may be unheard. */
  let late = false
  const closed = Promise.withResolvers<BywayError | undefined>()
  const rest = () => {
    if (random(4) !== 0) return
    if (random(2) === 0) {
      link.unlisten()
      setImmediate(() => {
        late ||= link.closed
        link.listen(events)
      })
    } else {
      link.pause()
      setImmediate(() => link.resume())
    }
  }
  const events = {
    onMessage: (message: Message) => {
      heard.message(message)
      owner(message)
      if (message.name === 'ping') link.send('pong', message.body)
      rest()
    },
    onData: (piece: Buffer) => {
      heard.data(piece)
      rest()
    },
    onClose: (error: BywayError | undefined) => {
      closes++
      closed.resolve(error)
    },
  }
  link.listen(events)
  const error = await closed.promise
  await new Promise((resolve) => setImmediate(resolve))
  must(closes === 1, `closed ${closes} times`)
  const expected = readAtOnce(Buffer.concat(pieces))
  const read = heard.all()
  must((late && read.length <= expected.length) || read.join() === expected.join(), 'pieces changed what was read')
  return error === undefined ? 'accepted' : refused(error, LINK_CODES)
}

/** What was said on each flow of a link, after the words that opened it; without acknowledgements, which are of what another owner sent. */
function flowsOf(said: Buffer): Buffer[] {
  const opening: readonly number[] = [MESSAGES.open.type, MESSAGES.opened.type]
  const flows: Buffer[][] = []
  for (const { type, payload } of framesOf(said)) {
    if (opening.includes(type)) flows.push([])
    else if (type !== MESSAGES.ack.type) flows.at(-1)?.push(frameHeader(type, payload.length), payload)
  }
  return flows.map((parts) => Buffer.concat(parts)).filter(({ length }) => length > 0)
}

/** A flow whose peer says the pieces, while its owner writes, ends or gives up. */
async function throughFlow(pieces: readonly Buffer[], random: Random): Promise<Outcome> {
  const { wire, over } = wireSaying(pieces)
  const link = new Link(wire)
  const side = random(2) === 0 ? 'consumer' : 'provider'
  let counted = 0
  let result: BywayError | undefined
  const flow = new FlowStream({
    link,
    side,
    onCount: (way, length) => {
      if (way === 'received' || way === 'discarded') counted += length
    },
    budget: new KeepingBudget(),
    onDone: () => link.destroy(),
    onSuspended: (error) => {
      result = error
      flow.giveUp(error)
    },
  })
  const strays: unknown[] = []
  flow.on('error', (error: NodeJS.ErrnoException) => {
    if (error !== result && error.code !== 'ECONNRESET') strays.push(error)
  })
  flow.resume()
  if (random(2) === 0) flow.write('some words of the owner')
  if (random(2) === 0) flow.end()
  if (random(4) === 0) setImmediate(() => flow.destroy())
  await over
  flow.destroy()
  if (strays.length > 0) throw strays[0]
  must(BigInt(counted) === flow.received, 'bytes were counted twice or not at all')
  // A link that ends in the middle of a flow is no fault of the words on it.
  return result === undefined || result.code === 'PROVIDER_LOST' ? 'accepted' : refused(result, LINK_CODES)
}

export const FRAME_TARGETS: readonly Target[] = [
  { name: 'link', corpus: [...ends, ...encoded, NOISE], parallel: 32, take: throughLink },
  { name: 'flow', corpus: [...ends.flatMap(flowsOf), ...encoded, NOISE], parallel: 32, take: throughFlow },
  ...messageTargets,
]
