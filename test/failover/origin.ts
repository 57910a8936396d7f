/** The observer at the destination: it serves, and writes down from which address each request came. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** A busy flow carries some 80 kB/s: fifty of them are a household at work. */
const CHUNK = Buffer.alloc(4_096, 'b')
const EVERY_MS = 50

export interface Origin {
  readonly port: number
  /** Addresses from which anything connected, with how often. */
  readonly from: ReadonlyMap<string, number>
  /** From where the request of this name came; undefined if none did. */
  seen(name: string): string | undefined
  close(): Promise<void>
}

/** A request is one line: `busy NAME` is answered without end, any other with one byte and the end. */
export async function startOrigin(): Promise<Origin> {
  const from = new Map<string, number>()
  const requests = new Map<string, string>()
  const busy = new Set<Socket>()
  const open = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    const address = socket.remoteAddress ?? 'nowhere'
    from.set(address, (from.get(address) ?? 0) + 1)
    open.add(socket)
    socket
      .on('error', () => {})
      .on('close', () => {
        open.delete(socket)
        busy.delete(socket)
      })
    let line = ''
    socket.on('data', (part: Buffer) => {
      if (line.endsWith('\n')) return
      line += part.toString()
      if (!line.endsWith('\n')) return
      requests.set(line.trim(), address)
      if (line.startsWith('busy')) busy.add(socket.unref())
      else socket.end('x')
    })
  })
  const feeding = setInterval(() => {
    // Whoever does not read is not fed.
    for (const socket of busy) if (!socket.writableNeedDrain) socket.write(CHUNK)
  }, EVERY_MS)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    from,
    seen: (name) => requests.get(name),
    async close() {
      clearInterval(feeding)
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
