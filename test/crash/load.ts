/**
 * Load: an origin on loopback and clients that download from it and upload to it through the proxy, for ever, whatever breaks.
 *
 * The first line a client sends says what it wants: `down BYTES` or `up BYTES`. Traffic is paced, so that a run measures crashes and not
 * the machine, and every byte is checked: a transfer that ends cleanly has the right length and content.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from './random.ts'

/** Each transfer sends one piece, pauses, and sends the next: about 3 MB/s. */
const PIECE_BYTES = 64 * 1024
const PIECE_PAUSE_MS = 20
/** Long enough to be cut in the middle, short enough that new flows open all the time. */
const LEAST_TRANSFER_BYTES = 1_000
const MOST_TRANSFER_BYTES = 4_000_000
const RETRY_PAUSE_MS = 150
/** A flow that hangs after its link broke would hide what is tested. */
const TRANSFER_LIMIT_MS = 20_000

/** One piece of content: byte i is i mod 251, and pieces start over, so that any shift shows. */
const PIECE = Buffer.from(Array.from({ length: PIECE_BYTES }, (_, i) => i % 251))

export interface Origin {
  port: number
  close(): Promise<void>
}

export async function startOrigin(): Promise<Origin> {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {}) // Cut by a kill: what the test is about.
    serve(socket).catch(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
    },
  }
}

async function serve(socket: Socket): Promise<void> {
  const { head, rest } = await readHead(socket, '\n')
  const [word, bytes] = head.split(' ')
  if (word === 'down') {
    socket.resume()
    await sendPieces(socket, Number(bytes))
    socket.end()
    return
  }
  const { length } = await readAll(socket, () => {})
  socket.end(`${rest.length + length}\n`)
}

/** Reads up to and with `ending`. The socket is left paused, so that nothing is missed before the next listener. */
function readHead(socket: Socket, ending: string): Promise<{ head: string; rest: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ head: string; rest: Buffer }>()
  let got = Buffer.alloc(0)
  const onData = (part: Buffer) => {
    got = Buffer.concat([got, part])
    const at = got.indexOf(ending)
    if (at < 0) return
    socket.off('data', onData)
    socket.pause()
    resolve({ head: got.toString('latin1', 0, at), rest: got.subarray(at + ending.length) })
  }
  socket.on('data', onData)
  const broke = () => reject(new Error('the connection ended too soon'))
  socket.once('end', broke)
  socket.once('close', broke)
  return promise
}

async function sendPieces(socket: Socket, bytes: number, sent: (bytes: number) => void = () => {}): Promise<void> {
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    const piece = PIECE.subarray(0, Math.min(PIECE_BYTES, bytes - at))
    if (socket.destroyed) throw new Error('the connection broke')
    const room = socket.write(piece)
    sent(piece.length)
    if (!room) await drained(socket)
    await delay(PIECE_PAUSE_MS)
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      socket.off('drain', go)
      socket.off('close', go)
      resolve()
    }
    socket.on('drain', go)
    socket.on('close', go)
  })
}

export interface LoadCounts {
  /** Bytes that arrived at either end, of transfers that ended and of those that broke. */
  bytes: number
  finished: number
  broken: number
  /** Transfers that ended as if in order with the wrong length or content, though the proxy lived: a broken link must show as a reset. */
  wrong: string[]
}

export interface Load {
  readonly counts: LoadCounts
  /** The proxy is being killed: the kernel ends its connections as if in order, which is nobody's fault. */
  proxyDies(): void
  /** Resolves when each client has finished one more transfer. */
  eachFinishes(signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}

export function startLoad(proxyPort: number, originPort: number, clients: number, random: Random): Load {
  const counts: LoadCounts = { bytes: 0, finished: 0, broken: 0, wrong: [] }
  const stopping = new AbortController()
  let deaths = 0
  const finished = Array.from({ length: clients }, () => 0)

  async function client(number: number): Promise<void> {
    while (!stopping.signal.aborted) {
      const bytes = random.between(LEAST_TRANSFER_BYTES, random.chance(0.5) ? LEAST_TRANSFER_BYTES * 100 : MOST_TRANSFER_BYTES)
      const down = number % 2 === 0
      const deathsBefore = deaths
      try {
        await transfer(down, bytes)
        counts.finished++
        finished[number]!++
      } catch (thrown) {
        if (thrown instanceof Wrong && deaths === deathsBefore) counts.wrong.push(`${down ? 'download' : 'upload'}: ${thrown.message}`)
        else counts.broken++
        await delay(RETRY_PAUSE_MS, undefined, { signal: stopping.signal }).catch(() => {}) // stopped: the loop sees it
      }
    }
  }

  async function transfer(down: boolean, bytes: number): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(TRANSFER_LIMIT_MS)])
    const socket = connect({ host: '127.0.0.1', port: proxyPort, allowHalfOpen: true, noDelay: true })
    socket.on('error', () => {}) // Seen as a close.
    const abort = () => socket.destroy()
    signal.addEventListener('abort', abort, { once: true })
    try {
      await untilTunnel(socket, originPort)
      socket.write(`${down ? 'down' : 'up'} ${bytes}\n`)
      const sending = down ? undefined : sendPieces(socket, bytes, (sent) => (counts.bytes += sent)).then(() => socket.end())
      sending?.catch(() => {}) // the answer below fails with it
      const answer = await readAll(socket, (part, at) => {
        if (!down) return
        counts.bytes += part.length
        for (let i = 0; i < part.length; i += 997) {
          if (part[i] !== PIECE[(at + i) % PIECE_BYTES]) throw new Wrong('another byte than was sent')
        }
      })
      await sending
      if (down && answer.length !== bytes) throw new Wrong(`${answer.length} bytes of ${bytes}`)
      if (!down && answer.text !== `${bytes}\n`) throw new Wrong(`the origin got ${answer.text} bytes of ${bytes}`)
    } finally {
      signal.removeEventListener('abort', abort)
      socket.destroy()
    }
  }

  const running = Array.from({ length: clients }, (_, number) => client(number))
  return {
    counts,
    proxyDies: () => void deaths++,
    async eachFinishes(signal) {
      const before = [...finished]
      while (finished.some((count, number) => count === before[number])) await delay(RETRY_PAUSE_MS, undefined, { signal })
    },
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}

/** Ended as if in order, but is not what was asked for. */
class Wrong extends Error {}

async function untilTunnel(socket: Socket, port: number): Promise<void> {
  socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  const { head } = await readHead(socket, '\r\n\r\n')
  if (!/^HTTP\/1\.1 2/.test(head)) throw new Error(head.split('\r\n')[0])
}

/** Reads to the end; rejects when the connection broke before it. */
function readAll(socket: Socket, onPart: (part: Buffer, at: number) => void): Promise<{ length: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ length: number; text: string }>()
  let length = 0
  let text = ''
  socket.on('data', (part: Buffer) => {
    try {
      onPart(part, length)
    } catch (thrown) {
      reject(thrown as Error)
    }
    length += part.length
    if (text.length < 40) text += part.toString('latin1', 0, 40)
  })
  socket.once('end', () => resolve({ length, text }))
  socket.once('close', () => reject(new Error('the connection broke')))
  socket.resume()
  return promise
}
