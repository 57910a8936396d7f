/** One question to one UDP port, repeated until something answers it. */
import { createSocket } from 'node:dgram'

/** RFC 6886 section 3.1: 250 ms, doubled each time. Three tries: a router that is there answers the first, and every try delays what comes next. */
const TRIES_MS = [250, 500, 1_000]
/** A router that sends more than this while we wait for one answer is not answering. */
const MAX_PACKETS = 64

export interface Question<T> {
  host: string
  port: number
  /** The packet; `own` is the address it leaves from. */
  packet: (own: string) => Buffer
  /** What an arriving packet means; undefined when it is no answer, and waiting goes on. */
  read: (packet: Buffer) => T | undefined
}

/** Undefined when nothing answered. The socket is connected, so the system drops what other hosts send. */
export function ask<T>({ host, port, packet, read }: Question<T>, signal: AbortSignal): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<T | undefined>()
  if (signal.aborted) return Promise.resolve(undefined)
  const socket = createSocket('udp4')
  let timer: NodeJS.Timeout | undefined
  let arrived = 0
  let over = false
  const finish = (answer: T | undefined) => {
    if (over) return
    over = true
    clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
    socket.close()
    resolve(answer)
  }
  const giveUp = () => finish(undefined)
  signal.addEventListener('abort', giveUp)
  // Nothing listens there, or there is no way there: the system says so at once.
  socket.on('error', giveUp)
  socket.on('message', (answer) => {
    const meaning = read(answer)
    if (meaning !== undefined) finish(meaning)
    else if (++arrived >= MAX_PACKETS) giveUp()
  })
  const send = (attempt: number) => {
    if (over) return
    const waitMs = TRIES_MS[attempt]
    if (waitMs === undefined) return giveUp()
    socket.send(packet(socket.address().address))
    timer = setTimeout(() => send(attempt + 1), waitMs)
  }
  socket.connect(port, host, () => send(0))
  return promise
}

/** The address this machine uses towards `host`, or undefined when there is no way there. Nothing is sent. */
export function ownAddressTowards(host: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const socket = createSocket('udp4')
  socket.once('error', () => {
    socket.close()
    resolve(undefined)
  })
  // Any port does: connecting a UDP socket only looks the route up.
  socket.connect(9, host, () => {
    const { address } = socket.address()
    socket.close()
    resolve(address)
  })
  return promise
}
