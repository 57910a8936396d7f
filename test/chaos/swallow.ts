/** The positive control: a line that loses the last bytes of what it carries and ends in order, as a tunnel must never do. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { resetAtAnyMoment } from '../support/reset.ts'

/** Few enough that it is easily overlooked. */
const SWALLOWED_BYTES = 100
/** Replies of the proxy are shorter and get through. */
const SPARED_BYTES = 1_000

export interface Line {
  port: number
  close(): Promise<void>
}

/** Leads to `port`. Of what comes back, the last bytes go missing when there are more than a few. */
export async function startSwallowing(port: number): Promise<Line> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => resetAtAnyMoment(other))
      socket.once('close', () => sockets.delete(socket))
    }
    near.pipe(far)
    let passed = 0
    let held = Buffer.alloc(0)
    far.on('data', (data: Buffer) => {
      const all = Buffer.concat([held, data])
      const spared = Math.max(0, SPARED_BYTES - passed)
      const keep = Math.min(Math.max(0, all.length - spared), SWALLOWED_BYTES)
      held = Buffer.from(all.subarray(all.length - keep))
      passed += all.length - keep
      if (all.length > keep && !near.write(all.subarray(0, all.length - keep))) {
        far.pause()
        near.once('drain', () => far.resume())
      }
    })
    far.once('end', () => near.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
