/** A long line in software: delays every byte by half a round trip each way and carries a fixed rate, like a path with a queue. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Line {
  port: number
  close(): void
}

export interface LineOptions {
  target: number
  roundTripMs: number
  /** Of each direction, shared by all connections. */
  bytesPerSecond: number
}

/** What a router on such a path queues before it pushes back, in round trips of line rate. */
const QUEUE_ROUND_TRIPS = 1

export async function startLine({ target, roundTripMs, bytesPerSecond }: LineOptions): Promise<Line> {
  const directions = [{ freeAtMs: 0 }, { freeAtMs: 0 }] as const
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {
        near.destroy()
        far.destroy()
      })
      socket.once('close', () => sockets.delete(socket))
    }
    carry(near, far, directions[0])
    carry(far, near, directions[1])
  })

  function carry(from: Socket, to: Socket, line: { freeAtMs: number }): void {
    // Timers of different lengths may fire out of order, so each direction keeps its own queue and one timer for its head.
    const queue: { dueMs: number; deliver: () => void }[] = []
    let waiting = false
    const run = () => {
      waiting = false
      const now = performance.now()
      while (queue.length > 0 && queue[0]!.dueMs <= now) queue.shift()!.deliver()
      if (queue.length > 0) wait()
    }
    const wait = () => {
      if (!waiting) setTimeout(run, Math.max(1, queue[0]!.dueMs - performance.now()))
      waiting = true
    }
    const later = (dueMs: number, deliver: () => void) => {
      queue.push({ dueMs, deliver })
      wait()
    }
    from.on('data', (chunk: Buffer) => {
      const now = performance.now()
      line.freeAtMs = Math.max(now, line.freeAtMs) + (chunk.length / bytesPerSecond) * 1000
      later(line.freeAtMs + roundTripMs / 2, () => to.write(chunk))
      const queuedMs = line.freeAtMs - now
      if (queuedMs > roundTripMs * QUEUE_ROUND_TRIPS + 5) {
        from.pause()
        setTimeout(() => from.resume(), queuedMs / 2)
      }
    })
    from.on('end', () => later(Math.max(performance.now(), line.freeAtMs) + roundTripMs / 2, () => to.end()))
    from.on('close', () => later(Math.max(performance.now(), line.freeAtMs) + roundTripMs / 2 + 50, () => to.destroy()))
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
