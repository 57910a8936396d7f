/**
 * The thread that carries bytes: one epoll loop, the sessions of a node, and a port to the main thread.
 *
 * Orders come through the port; an eventfd says that there are some, because this thread waits in epoll and not in Node's own loop. Reports of a
 * turn leave together. Beside the sessions it may run one thing more, which a daemon's own worker brings along: an {@link EntranceSide}.
 */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { ConsumerSide } from './consumer-side.ts'
import { Loop } from './loop.ts'
import { loadNative } from './native.ts'
import type { EntranceSide, Order, Report } from './orders.ts'
import { ProviderSide } from './provider-side.ts'
import { Thread } from './shared.ts'
import { tidyWith } from './tidy.ts'
import { Turns } from './turns.ts'

export interface WorkerData {
  port: MessagePort
  /** An eventfd. */
  wake: number
  /** One byte a descriptor: what it is while it is this thread's (OWNED of loop.ts), so that they can be closed if it dies. */
  owned: SharedArrayBuffer
  /** See turns.ts. */
  turns: SharedArrayBuffer
}

/** What the thread is to one that takes connections in it. */
export interface Inside {
  readonly thread: Thread
  say(report: object): void
  /** The application end of a session, or undefined when it is over. */
  session(number: number): ConsumerSide | undefined
  /** The last words on a connection, which ends then. */
  sayLast(fd: number, words: Uint8Array): void
}

/** What is said last on a connection that was refused stays readable this long. */
const LINGER_MS = 1_000

/** Runs until it is told to stop. */
export function runThread(entranceOf?: (inside: Inside) => EntranceSide): void {
  const { port, wake, owned, turns } = workerData as WorkerData
  const native = loadNative()
  const loop = new Loop(native, new Uint8Array(owned), new Turns(turns))
  const thread = new Thread(native, loop)
  const sessions = new Map<number, ProviderSide | ConsumerSide>()
  let reports: Report[] = []
  const tell = () => {
    if (reports.length === 0) return
    const said = reports
    reports = []
    port.postMessage(said)
  }
  const carrying = { thread, say: (report: Report) => void reports.push(report), tell }
  const entrance = entranceOf?.({
    thread,
    say: (report) => carrying.say({ say: 'entrance', report }),
    session: (number) => {
      const side = sessions.get(number)
      return side instanceof ConsumerSide ? side : undefined
    },
    sayLast: (fd, words) => sayLast(thread, fd, words),
  })

  const collect = tidyWith(native)
  const outerOf = ({ over }: Extract<Order, { do: 'link' }>) => over && sessions.get(over.session)?.flows.get(over.flow)

  function obey(order: Order): void {
    switch (order.do) {
      case 'session': {
        const Side = order.side === 'provider' ? ProviderSide : ConsumerSide
        sessions.set(order.session, new Side(order.session, order.meter, carrying))
        return
      }
      case 'refuse':
        sayLast(thread, order.fd, order.words)
        return
      case 'entrance':
        entrance?.obey(order.order, order.fd)
        return
      case 'tidy':
        collect(order.all)
        return
      case 'stop':
        entrance?.close()
        for (const side of sessions.values()) side.close()
        loop.stop()
        return
      default:
    }
    const side = sessions.get(order.session)
    if (side === undefined) {
      // The session ended meanwhile: what came for it is let go.
      if ('fd' in order) native.close(order.fd)
      return
    }
    if (order.do === 'close-session') {
      side.close()
      sessions.delete(order.session)
      carrying.say({ say: 'closed-session', session: order.session })
    } else if (order.do === 'reset-flows') side.reset()
    else if (order.do === 'room') side.room()
    else if (order.do === 'link') side.addLink(order.link, order.fd, standingOf(order.standing), outerOf(order))
    else if (order.do === 'drop-link') side.links.get(order.link)?.close()
    else if (order.do === 'give-up') side.giveUp(order.flow)
    else if (order.do === 'reset') side.flows.get(order.flow)?.reset()
    else if (side instanceof ConsumerSide) obeyConsumer(side, order)
    else obeyProvider(side, order)
  }

  loop.watchReadable(wake, {
    onEvents: () => {
      native.unsignal(wake)
      for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
        for (const order of received.message as Order[]) obey(order)
      }
    },
  })
  port.postMessage([{ say: 'ready' }] satisfies Report[])
  loop.run(tell)
  port.close()
}

function obeyConsumer(side: ConsumerSide, order: Order): void {
  if (order.do === 'open') side.open(order)
  else if (order.do === 'resume') side.resume(order)
  else if (order.do === 'take-link') side.takeFor(order.ask)
  else if (order.do === 'put-link') side.put(side.links.get(order.link))
  else if (order.do === 'lost') side.lost(order.flow, order.stated)
  else if (order.do === 'away') side.away()
  else if (order.do === 'back') side.back()
}

function obeyProvider(side: ProviderSide, order: Order): void {
  if (order.do === 'connect') side.connect(order)
  else if (order.do === 'use') side.use(order.flow, order.fd, order.said)
  else if (order.do === 'refuse-flow') side.refuse(order.flow, order.trouble)
}

/** Buffers arrive from the other thread as plain byte arrays. */
function standingOf({ send, receive, unread, partial }: Extract<Order, { do: 'link' }>['standing']) {
  const buffer = (bytes: Uint8Array) => Buffer.from(bytes)
  return {
    send: { ...send, secret: buffer(send.secret) },
    receive: { ...receive, secret: buffer(receive.secret) },
    unread: buffer(unread),
    partial: buffer(partial),
  }
}

function sayLast(thread: Thread, fd: number, words: Uint8Array): void {
  const { native, loop, small } = thread
  thread.say(fd, words)
  native.shutdownWrite(fd)
  // Read on and throw away: closing with bytes unread would send a reset that overtakes the words.
  const read = () => {
    let count = 1
    while (count > 0) count = native.read(fd, small.address, small.bytes.length)
    if (count === 0) close()
  }
  const timer = loop.after(LINGER_MS, () => close())
  const close = () => {
    loop.cancel(timer)
    loop.close(fd)
  }
  loop.watch(fd, { onEvents: read })
}
