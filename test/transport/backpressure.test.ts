import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { firehose, settled, sink } from '../attacks/world.ts'
import { booksAgree, originOf, startPair, until } from './pair.ts'

/** A flow's stream buffer in one direction (src/tunnel/flow.ts), and the one piece that may arrive on top of a full one. */
const FLOW_BYTES = 131_072 + 65_536
/** In each node: its end of the flow, the TLS stream below, the socket to the destination, and a piece in each hand. */
const NODE_BYTES = FLOW_BYTES + 4 * 65_536
const WRITE_BYTES = 16_384

/** Most the system keeps of one connection: what the sender may queue, and what the receiver may hold. */
function connectionBytes(): number {
  const most = (name: string) => Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/)[2])
  return most('tcp_wmem') + most('tcp_rmem')
}

/** On the way between two ends that speak to each other through a tunnel: two nodes, two connections. */
const MOST_UNDER_WAY = 2 * NODE_BYTES + 2 * connectionBytes()

test('an application that stops reading stops the origin, and loses nothing', async (t) => {
  const pair = await startPair(t)
  const source = await originOf(t, firehose())
  const flow = await pair.dial(source.port)
  // Nobody reads: what the consumer holds is one stream's buffer, what the origin could say is bounded by the sockets in between.
  await settled(() => BigInt(source.sent))
  const held = flow.received
  assert.ok(held <= BigInt(FLOW_BYTES), `${held} bytes held`)
  const [socket] = source.sockets
  const said = source.sent - socket!.writableLength
  assert.ok(said <= MOST_UNDER_WAY, `${said} bytes under way`)
  const [session] = pair.seller.provider.sessions()
  assert.ok(session!.unpaidBytes <= session!.window)
  // Positive control: a running reader gets far more than was ever held.
  let got = 0
  flow.on('data', (chunk: Buffer) => {
    got += chunk.length
  })
  await until(() => got > 50 * FLOW_BYTES, 'bytes that do not come')
  // And all of it, to the last byte.
  socket!.removeAllListeners('drain').end()
  await once(flow, 'end')
  flow.end()
  assert.equal(got, source.sent)
  t.diagnostic(`stopped reader: the origin could send ${said} bytes, the consumer held ${held} of them`)
  await pair.rest()
  await pair.close()
  assert.equal(booksAgree(pair).bytes, BigInt(got))
})

test('an origin that stops reading stops the application, and loses nothing', async (t) => {
  const pair = await startPair(t)
  let written = 0
  const source = await originOf(t, (socket, self) => {
    sink(socket, self)
    socket.pause()
  })
  const flow = await pair.dial(source.port)
  const more = () => {
    let room = true
    while (room && !flow.writableEnded) {
      room = flow.write(Buffer.alloc(WRITE_BYTES))
      written += WRITE_BYTES
    }
  }
  flow.on('drain', more)
  more()
  await settled(() => BigInt(written))
  assert.ok(flow.writableLength <= FLOW_BYTES, `${flow.writableLength} bytes held`)
  assert.ok(written <= MOST_UNDER_WAY, `${written} bytes under way`)
  const stopped = written
  const [session] = pair.seller.provider.sessions()
  assert.ok(session!.unpaidBytes <= session!.window)
  // Positive control: it reads on, and the application may say as much again.
  for (const socket of source.sockets) socket.resume()
  await until(() => written > 2 * stopped, 'bytes that do not leave')
  flow.end()
  await until(() => source.received === written, 'bytes that did not arrive')
  for (const socket of source.sockets) socket.end()
  flow.resume()
  t.diagnostic(`stopped origin: the application could write ${stopped} bytes`)
  await pair.rest()
  await pair.close()
  assert.equal(booksAgree(pair).bytes, BigInt(written))
})
