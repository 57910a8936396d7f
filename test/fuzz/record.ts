/**
 * Makes recording.json, the valid input that wire.ts damages: all frames of a session with every kind of ending, two journals, an offer, a
 * claim order. Recorded once and kept, so that a seed makes the same inputs everywhere. After a change of the wire or of the records:
 *
 *   node test/fuzz/record.ts > test/fuzz/recording.json
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { orderText } from '../../src/cli/claim-order.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { DATA_TYPE, encodeMessage, frameHeader } from '../../src/protocol/messages.ts'
import { encodeOffer } from '../../src/protocol/offer.ts'
import { Link } from '../../src/tunnel/index.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider } from '../support/pair.ts'

export interface Recording {
  /** What each end of each link said, in hex. */
  ends: string[]
  offer: string
  /** The node key that signed the offer: PKCS #8, hex. It exists nowhere else. */
  nodeKey: string
  journals: string[]
  order: string
}

/** Payload says nothing to a parser; the first bytes of each frame stand for it. */
const PAYLOAD_BYTES = 48
const LOOK_EVERY_MS = 10

/** Writes down what every link of this process says, until the returned function is called. */
function listenIn(): () => string[] {
  const ends = new Map<Link, Buffer[]>()
  const said = (link: Link, ...parts: Buffer[]) => {
    if (!ends.has(link)) ends.set(link, [])
    ends.get(link)!.push(...parts)
  }
  const { send, sendData } = Link.prototype
  Link.prototype.send = function (name, body) {
    said(this, encodeMessage(name, body))
    send.call(this, name, body)
  }
  Link.prototype.sendData = function (chunk, written) {
    const kept = chunk.subarray(0, PAYLOAD_BYTES)
    said(this, frameHeader(DATA_TYPE, kept.length), kept)
    sendData.call(this, chunk, written)
  }
  return () => {
    Object.assign(Link.prototype, { send, sendData })
    return [...ends.values()].map((parts) => Buffer.concat(parts).toString('hex'))
  }
}

async function record(): Promise<Recording> {
  const stop = listenIn()
  const chain = new MemoryChain()
  const seller = await startProvider({ chain, pricePerGib: 10_000_000n })
  // A small deposit: the session moves to a second root, so that a `session` frame with an earlier statement is recorded too.
  const buyer = await startConsumer({ chain, offers: () => [seller.offer], deposit: 11_000n, capPerProvider: 11_000n })
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const dial = (host: string, to: number) =>
    buyer.consumer.dial({ destination: parseDestination(host, to), parameters: anyRoute }, AbortSignal.timeout(10_000))

  const echoed = async (bytes: number) => {
    const { stream } = await dial('127.0.0.1', port)
    stream.end(Buffer.alloc(bytes, 'x'))
    stream.resume()
    await once(stream, 'close')
  }
  await echoed(600_000)
  while (buyer.vault.book.sessions.size < 2) await delay(LOOK_EVERY_MS)
  await echoed(0)
  const { stream: given } = await dial('127.0.0.1', port)
  given.on('error', () => {}).write('x')
  await once(given, 'data')
  given.destroy()
  const { stream: who } = await dial('whoami.byway.internal', 80)
  who.end('GET / HTTP/1.1\r\nHost: whoami.byway.internal\r\nConnection: close\r\n\r\n')
  who.resume()
  await once(who, 'close')
  await dial('127.0.0.1', 1).catch(() => {})
  await buyer.consumer.close()
  await seller.provider.close()
  server.close()
  const batches = await seller.claims.collect()
  const order = {
    payee: seller.payee,
    signature: `0x${'ab'.repeat(64)}`,
    fee: 1n,
    submitter: seller.payee,
    deadline: 2_000_000_000,
  } as const
  await seller.claims.claim()
  await Promise.all([seller.vault.close(), buyer.vault.close()])
  const offer = { ...seller.offer }
  return {
    ends: stop(),
    offer: Buffer.from(encodeOffer(offer)).toString('hex'),
    nodeKey: seller.keys.node.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('hex'),
    journals: await Promise.all([seller, buyer].map(({ home }) => readFile(join(home, 'journal.jsonl'), 'utf8'))),
    order: orderText(batches.map((batch) => ({ order, batch }))),
  }
}

if (import.meta.main) console.log(JSON.stringify(await record(), null, 2))
