/** One end of a transfer: does its part on a TCP connection and writes down what it sent, what it received and how it ended. */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { reset as resetInOrder } from '../../src/tunnel/splice.ts'
import type { Content } from './content.ts'
import { type Part, SLOW_READ_MS } from './plan.ts'

/** What one end knows when its connection is closed. */
export interface Account {
  sent: number
  /** SHA-256 of what was sent and of what was received. */
  sentHash: string
  receivedHash: string
  received: number
  /** It half-closed, after its last byte. */
  saidEnd: boolean
  /** The other side half-closed. */
  heardEnd: boolean
  /** How the connection broke, by the system's word for it. */
  error: string | undefined
  /** It reset the connection itself, as planned. */
  gaveUp: boolean
  /** The first byte that is not what the other side sends there. */
  wrongAt: number | undefined
  /** It was not over in time. */
  hung: boolean
}

const PIECE_BYTES = 65_536

/** Resolves when the connection is closed. `early` are bytes of content that were read before. */
export async function takePart(
  socket: Socket,
  part: Part,
  { says, hears }: { says: Content; hears: Content },
  { limitMs, early = Buffer.alloc(0) }: { limitMs: number; early?: Buffer },
): Promise<Account> {
  const account: Account = {
    sent: 0,
    sentHash: '',
    received: 0,
    receivedHash: '',
    saidEnd: false,
    heardEnd: false,
    error: undefined,
    gaveUp: false,
    wrongAt: undefined,
    hung: false,
  }
  const [sentHash, receivedHash] = [createHash('sha256'), createHash('sha256')]
  const heardByte = Promise.withResolvers<void>()
  const heardEnd = Promise.withResolvers<void>()
  const over = Promise.withResolvers<void>()
  const closed = over.promise
  socket.once('close', over.resolve)
  const timer = setTimeout(() => {
    account.hung = true
    socket.destroy()
    over.resolve()
  }, limitMs)
  const giveUpAt = (way: 'sent' | 'received') => {
    const { reset } = part
    if (reset?.way !== way || account[way] < reset.at || account.gaveUp || socket.destroyed) return
    account.gaveUp = true
    // Not at once while its end is being sent: see there.
    resetInOrder(socket, new Error('given up'))
  }
  const rest = (ms: number) => {
    socket.pause()
    setTimeout(() => socket.resume(), ms)
  }
  let stalled = false
  const onData = (data: Buffer) => {
    account.wrongAt ??= hears.differs(account.received, data)
    receivedHash.update(data)
    account.received += data.length
    heardByte.resolve()
    giveUpAt('received')
    const { reads } = part
    if (reads.kind === 'slow') rest((SLOW_READ_MS * data.length) / reads.expects)
    if (reads.kind === 'stalls' && !stalled && account.received >= reads.at) {
      stalled = true
      rest(reads.ms)
    }
  }
  socket.on('data', onData)
  socket.once('end', () => {
    account.heardEnd = true
    heardEnd.resolve()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (!account.gaveUp && !account.hung) account.error ??= error.code ?? error.message
  })
  if (early.length > 0) onData(early)
  socket.resume()
  giveUpAt('received')

  const send = async () => {
    if (part.begins !== 'at once') await Promise.race([part.begins === 'after a byte' ? heardByte.promise : heardEnd.promise, closed])
    giveUpAt('sent')
    let paused = part.pause === undefined
    while (account.sent < part.bytes && !socket.destroyed) {
      if (!paused && account.sent >= part.pause!.at) {
        paused = true
        await Promise.race([delay(part.pause!.ms), closed])
      }
      const upTo = part.reset?.way === 'sent' ? Math.max(1, part.reset.at - account.sent) : PIECE_BYTES
      const piece = says.piece(account.sent, Math.min(PIECE_BYTES, upTo, part.bytes - account.sent))
      if (socket.destroyed) return
      sentHash.update(piece)
      account.sent += piece.length
      // `drain` never comes on a connection that broke.
      if (!socket.write(piece)) await Promise.race([new Promise<void>((resolve) => socket.once('drain', resolve)), closed])
      giveUpAt('sent')
    }
    if (socket.destroyed) return
    account.saidEnd = true
    socket.end()
  }
  await send()
  await closed
  clearTimeout(timer)
  return { ...account, sentHash: sentHash.digest('hex'), receivedHash: receivedHash.digest('hex') }
}
