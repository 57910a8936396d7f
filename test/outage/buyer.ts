/**
 * A consumer in a process of its own: `node test/outage/buyer.ts PORT OFFER...`. Downloads from that port of the exit, says how it goes, and
 * opens another flow when told to (`again`).
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fromHex, type Hex } from '../../src/protocol/bytes.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { readOffer } from '../../src/protocol/offer.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, startConsumer } from '../support/pair.ts'

const [port = '', ...texts] = process.argv.slice(2)
const nowS = Math.floor(Date.now() / 1000)
const offers = texts.map((text) => readOffer(fromHex(text as Hex, (text.length - 2) / 2), nowS))
const buyer = await startConsumer({ chain: new MemoryChain(), offers: () => offers })
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`)
const dial = async () => {
  const request = { destination: parseDestination('127.0.0.1', Number(port)), parameters: anyRoute }
  return buyer.consumer.dial(request, AbortSignal.timeout(60_000))
}

/** A download, in whole: its hash, and how long it stood still at most. */
async function download(): Promise<void> {
  const { stream, route } = await dial()
  say({ began: route.provider })
  const hash = createHash('sha256')
  let [received, lastMs, longestMs] = [0, performance.now(), 0]
  stream.on('data', (chunk: Buffer) => {
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, nowMs - lastMs)
    lastMs = nowMs
    hash.update(chunk)
    const before = Math.floor(received / 5_000_000)
    received += chunk.length
    if (Math.floor(received / 5_000_000) > before) say({ received })
  })
  stream.end()
  await once(stream, 'end')
  say({ sha256: hash.digest('hex'), bytes: received, longestMs: Math.round(longestMs) })
}

let away = false
setInterval(() => {
  const now = buyer.consumer.sessions().some((session) => session.away)
  if (now !== away) say({ away: now })
  away = now
}, 5).unref()

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'again') {
    void dial().then(
      ({ route }) => say({ again: route.provider }),
      (thrown: { code: string }) => say({ again: thrown.code }),
    )
    return
  }
  void buyer.consumer.close().then(() => {
    const sessions = [...buyer.vault.book.sessions.values()]
    const rows = sessions.map(({ id, up, down, billed }) => ({ id, up: `${up}`, down: `${down}`, billed: `${billed}` }))
    say({ rows, disputed: `${sessions.reduce((sum, { disputed }) => sum + disputed, 0n)}` })
    process.exit(0)
  })
})
download().catch((thrown: Error) => say({ failed: thrown.message }))
