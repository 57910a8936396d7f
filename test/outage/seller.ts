/** A provider in a process of its own, with an origin beside it: `node test/outage/seller.ts HOST BYTES`. Says its offer, and its book when asked. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { toHex } from '../../src/protocol/bytes.ts'
import { encodeOffer } from '../../src/protocol/offer.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startProvider } from '../support/pair.ts'

const [host = '127.0.0.1', bytes = '0'] = process.argv.slice(2)
const chain = new MemoryChain()
// The chain is the consumer's, in another process: here every root is open.
chain.guard.inspect = async () => ({ open: true, paid: 0n })
const seller = await startProvider({ chain, host })

const CHUNK = Buffer.alloc(65_536)
const hash = createHash('sha256')
for (let left = Number(bytes); left > 0; left -= CHUNK.length) hash.update(piece(left))
/** Each piece differs from the others, so that one that is lost or doubled shows. */
function piece(left: number): Buffer {
  const chunk = Buffer.from(CHUNK.subarray(0, Math.min(left, CHUNK.length)))
  chunk.writeUInt32BE(left, 0)
  return chunk
}
const source = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {})
  let left = Number(bytes)
  const more = () => {
    while (left > 0) {
      const chunk = piece(left)
      left -= chunk.length
      if (!socket.write(chunk)) return
    }
    socket.end()
  }
  socket.resume().on('drain', more)
  more()
})
// The same in each namespace, so that a request does not depend on who serves it.
const PORT = 8_080
await new Promise<void>((resolve) => source.listen(PORT, '127.0.0.1', resolve))

const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`)
say({ offer: toHex(encodeOffer(seller.offer)), port: PORT, sha256: hash.digest('hex') })
createInterface({ input: process.stdin }).on('line', () => {
  void seller.provider.close().then(() => {
    const rows = [...seller.vault.book.sessions.values()].map(({ id, up, down, billed }) => ({
      id,
      up: `${up}`,
      down: `${down}`,
      billed: `${billed}`,
    }))
    say({ rows })
    process.exit(0)
  })
})
