/**
 * Benchmarks: each one command, each printing a table, none of them a test. The rule they keep: compare side by side in one run and read
 * ratios, because machines are noisy. Start reading at any file; support/ holds what they share.
 *
 * Does payment throttle the line? The same download over the same delayed line, once as plain TCP and once paid through a provider, at 40 and
 * 150 ms of round trip: with a pair that has met before, and with a stranger from its first byte.
 *
 *     npm run bench:payment [-- --mbit 200] [--json]
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { parseArgs } from 'node:util'
import { parseDestination } from '../src/protocol/destination.ts'
import { signOffer } from '../src/protocol/offer.ts'
import { MemoryChain } from '../test/support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider } from '../test/support/pair.ts'
import { startLine } from './support/line.ts'

const { values } = parseArgs({ options: { mbit: { type: 'string', default: '200' }, json: { type: 'boolean', default: false } } })
const bytesPerSecond = (Number(values.mbit) * 1e6) / 8
/** Long enough for a stranger's window to open at 150 ms, short enough to wait for. */
const SECONDS = 6
/** What a pair that has met before has paid: its window is then bound by traffic, not by history. */
const HISTORY_SECONDS = 4

const origin = createServer((socket) => {
  const block = Buffer.alloc(65_536)
  const fill = () => {
    while (socket.write(block));
  }
  socket.on('drain', fill)
  socket.on('error', () => {})
  fill()
})
origin.listen(0, '127.0.0.1')
await once(origin, 'listening')
const originPort = (origin.address() as AddressInfo).port

/** Bytes that arrive in each second, for `seconds`, then the stream is reset. */
async function measure(stream: Duplex, seconds: number): Promise<number[]> {
  const perSecond = new Array<number>(seconds).fill(0)
  const startMs = performance.now()
  stream.on('error', () => {})
  stream.on('data', (chunk: Buffer) => {
    const second = Math.floor((performance.now() - startMs) / 1000)
    if (second < seconds) perSecond[second]! += chunk.length
  })
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  stream.destroy()
  return perSecond
}

const mbit = (bytes: number) => (bytes * 8) / 1e6
const steady = (perSecond: number[]) => perSecond.slice(2).reduce((sum, bytes) => sum + bytes, 0) / (perSecond.length - 2)

const rows: { roundTripMs: number; plain: number; paid: number; ratio: number; strangerFirstSeconds: number[] }[] = []
for (const roundTripMs of [40, 150]) {
  const plainLine = await startLine({ target: originPort, roundTripMs, bytesPerSecond })
  const plain = await measure(connect({ port: plainLine.port, host: '127.0.0.1' }), SECONDS)
  plainLine.close()

  const chain = new MemoryChain()
  const seller = await startProvider({ chain })
  const line = await startLine({ target: seller.port, roundTripMs, bytesPerSecond })
  const [transport] = seller.offer.body.transports
  const offer = signOffer({ ...seller.offer.body, transports: [{ ...transport!, port: line.port }] }, seller.keys.node.privateKey)
  const buyer = await startConsumer({ chain, offers: () => [offer], capPerProvider: 100_000_000n, deposit: 100_000_000n })
  const dial = async () =>
    (
      await buyer.consumer.dial(
        { destination: parseDestination('127.0.0.1', originPort), parameters: anyRoute },
        new AbortController().signal,
      )
    ).stream
  const stranger = await measure(await dial(), HISTORY_SECONDS)
  const paid = await measure(await dial(), SECONDS)
  await buyer.consumer.close()
  await seller.provider.close()
  await Promise.all([buyer.vault.close(), seller.vault.close()])
  line.close()
  const row = { roundTripMs, plain: mbit(steady(plain)), paid: mbit(steady(paid)), ratio: steady(paid) / steady(plain) }
  rows.push({ ...row, strangerFirstSeconds: stranger.map(mbit) })
  if (!values.json) {
    console.log(
      `${roundTripMs} ms: plain ${row.plain.toFixed(0)} Mbit/s, paid ${row.paid.toFixed(0)} Mbit/s, ratio ${row.ratio.toFixed(3)}; ` +
        `a stranger's first seconds ${stranger.map((bytes) => mbit(bytes).toFixed(0)).join(' ')} Mbit/s`,
    )
  }
}
if (values.json) console.log(JSON.stringify({ line: Number(values.mbit), rows }))
origin.close()
process.exit()
