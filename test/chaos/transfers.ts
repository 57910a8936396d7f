/** The two parties: an origin that serves plans, and a client that asks for them through the proxy. Both write down their own account. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Content } from './content.ts'
import { type Account, takePart } from './end.ts'
import type { Plan } from './plan.ts'

/** A client's first words: which transfer this is. */
const HEAD_BYTES = 4
/** Dialling takes an exit up to ten seconds and a new session a few more. */
const OPEN_LIMIT_MS = 30_000

export interface Origin {
  port: number
  /** What it knows of this transfer; undefined if it never heard of it. Waits until its connection is closed. */
  account(id: number): Promise<Account> | undefined
  /** Connections that ended before they said what they were for. */
  speechless: { reset: number; ended: number }
  /** Connections that began with bytes no client sent first. */
  strange: string[]
  /** Connections that are still open. */
  open(): number
  close(): Promise<void>
}

export async function startOrigin(plans: readonly Plan[], limitMs: number): Promise<Origin> {
  const accounts = new Map<number, Promise<Account>>()
  const sockets = new Set<Socket>()
  const speechless = { reset: 0, ended: 0 }
  const strange: string[] = []
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    void readExactly(socket, HEAD_BYTES).then(
      ({ head, rest }) => {
        const id = head.readUInt32BE()
        if (id >= plans.length || accounts.has(id)) {
          strange.push(
            `a connection to the origin began with ${head.toString('hex')}, which is ${accounts.has(id) ? 'a second time' : 'no transfer'}`,
          )
          socket.destroy()
          return
        }
        const [says, hears] = [new Content(id, 'down'), new Content(id, 'up')]
        accounts.set(id, takePart(socket, plans[id]!.origin, { says, hears }, { limitMs, early: rest }))
      },
      ({ orderly }: SpeechlessError) => {
        speechless[orderly ? 'ended' : 'reset']++
        socket.destroy()
      },
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    account: (id) => accounts.get(id),
    speechless,
    strange,
    open: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Opens a flow through the proxy and does the client's part. Undefined if no flow was to be had. */
export async function runTransfer(
  plan: Plan,
  to: { proxyPort: number; originPort: number; username: string; limitMs: number },
): Promise<Account | undefined> {
  const socket = connect({ host: '127.0.0.1', port: to.proxyPort, allowHalfOpen: true, noDelay: true })
  // Seen as a close, here and in takePart.
  socket.on('error', () => {})
  const late = setTimeout(() => socket.destroy(), OPEN_LIMIT_MS)
  let early: Buffer
  try {
    early = await socks(socket, to.username, to.originPort)
  } catch {
    socket.destroy()
    return undefined
  } finally {
    clearTimeout(late)
  }
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32BE(plan.id)
  socket.write(head)
  const [says, hears] = [new Content(plan.id, 'up'), new Content(plan.id, 'down')]
  return takePart(socket, plan.client, { says, hears }, { limitMs: to.limitMs, early })
}

/** RFC 1928 and 1929, as far as a client goes that knows what it will be told. Returns what came behind the reply. */
export async function socks(socket: Socket, username: string, port: number): Promise<Buffer> {
  await once(socket, 'connect')
  const say = async (bytes: readonly number[], answerBytes: number) => {
    socket.write(Buffer.from(bytes))
    return await readExactly(socket, answerBytes)
  }
  const name = Buffer.from(username)
  await say([5, 1, 2], 2)
  await say([1, name.length, ...name, 1, 0x78], 2)
  const { head, rest } = await say([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff], 10)
  if (head[1] !== 0) throw new Error(`the proxy refused: ${head[1]}`)
  return rest
}

class SpeechlessError extends Error {
  readonly orderly: boolean
  constructor(orderly: boolean) {
    super('the connection ended too soon')
    this.orderly = orderly
  }
}

/** The first `length` bytes and what came with them. The socket is left paused, so that nothing is missed before the next listener. */
function readExactly(socket: Socket, length: number): Promise<{ head: Buffer; rest: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ head: Buffer; rest: Buffer }>()
  let got = Buffer.alloc(0)
  const onData = (data: Buffer) => {
    got = Buffer.concat([got, data])
    if (got.length < length) return
    socket.pause()
    resolve({ head: got.subarray(0, length), rest: got.subarray(length) })
  }
  const onEnd = () => reject(new SpeechlessError(true))
  const onClose = () => reject(new SpeechlessError(false))
  socket.on('data', onData).once('end', onEnd).on('error', onClose).once('close', onClose)
  socket.resume()
  return promise.finally(() => {
    socket.off('data', onData).off('end', onEnd).off('close', onClose)
    // An error must not bring the process down before the next listener is there; there is one in a moment.
    setImmediate(() => socket.off('error', onClose))
  })
}
