/**
 * Fast: the data path of a node in a thread of its own, with record protection, sockets and flows done without streams.
 *
 * The rule it keeps: on the wire nothing tells it from the portable path (node:tls on the main thread), and it starts only when it has tested
 * itself on this machine; where it cannot run, or dies, the portable path is there.
 *
 * Start reading here: {@link startPlane} is the main thread's end. Then orders.ts (what the threads say to each other), thread.ts (the other end),
 * sealed-link.ts (records and frames), carried-flow.ts (socket to link and back), handover.ts (how a connection comes from node:tls).
 */
import { Socket } from 'node:net'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { asBywayError, BywayError } from '../../protocol/errors.ts'
import type { Link } from '../link.ts'
import type { Standing } from './handover.ts'
import { OWNED } from './loop.ts'
import { Meter } from './meter.ts'
import { loadNative, type Native } from './native.ts'
import type { Order, Report } from './orders.ts'
import { selfTest } from './self-test.ts'
import { countThread, rememberNest, takeOver } from './tapped.ts'
import type { WorkerData } from './thread.ts'
import { Tidy, tidyWith } from './tidy.ts'
import { Turns } from './turns.ts'

export { descriptorOf, detach } from './detach.ts'
export { ENDLESS, Meter } from './meter.ts'
export type { Order, Report } from './orders.ts'

/** More descriptors than any process may have by default. */
const MAX_DESCRIPTORS = 1_048_576
/** node:tls writes what it has in the same turn, or when the socket takes it. */
const TAKE_OVER_TRIES = 50
/** Loading the code and the first calls take a few tens of milliseconds; a machine that needs this long is not fast. */
const START_LIMIT_MS = 10_000

/** For what dies young. With less a busy thread is as fast, and what V8 takes for a burst, 50 MB by default, it does not give back. */
const MAX_YOUNG_MB = 12

export interface Plane {
  readonly native: Native
  /** One end of a session. `onReport` hears everything about it; `onDead` when the thread died with it. */
  session(side: 'consumer' | 'provider', needs: { onReport(report: SessionReport): void; onDead(error: BywayError): void }): FastSession
  /**
   * What runs in the thread beside the sessions, for its one owner; undefined where the worker has none. `onReport` hears what it says, `onDead` that
   * it is no more. An order may come with a descriptor.
   */
  entrance(needs: { onReport(report: object): void; onDead(): void }): { order(order: object, fd?: number): void } | undefined
  /** The last words to a connection that has no flow. */
  refuse(fd: number, words: Uint8Array): void
  /** How long what comes for the thread waits, in 99 % of the time since this was last asked. */
  delayP99Ms(): number
  close(): Promise<void>
  /** Ends the thread as a crash would. For tests. */
  kill(): Promise<void>
}

export type SessionReport = Extract<Report, { session: number }>

type SessionOrder = Extract<Order, { session: number }>
type WithoutSession<O> = O extends unknown ? Omit<O, 'session'> : never

export interface FastSession {
  /** By which the thread knows it. */
  readonly number: number
  readonly meter: Meter
  order(order: WithoutSession<SessionOrder>): void
  /** Both ends of a pair of sockets: one for an order, the other as a stream for a link that is to run inside the flow of that order. */
  carrier(flow: number): { fd: number; carrier: Socket }
  /** Takes a link over; its number, or undefined when it stays where it is. */
  adopt(link: Link): Promise<number | undefined>
}

/** Of all threads this process ever has: a flow that a link runs inside is found by it. */
let nextSession = 1

/** Starts the thread. `worker`: one that serves an entrance as well. Throws with the reason when this machine cannot have one. */
export async function startPlane(onDied: (error: BywayError) => void = () => {}, worker?: URL): Promise<Plane> {
  const native = loadNative()
  selfTest(native)
  const owned = new SharedArrayBuffer(MAX_DESCRIPTORS)
  const wake = native.eventFd()
  const { port1: port, port2 } = new MessageChannel()
  const collect = tidyWith(native)
  const tidy = new Tidy((all) => {
    give({ do: 'tidy', all })
    collect(all)
  })
  const turns = new Turns()
  let turnsSeenMs = performance.now()
  const workerData: WorkerData = { port: port2, wake, owned, turns: turns.shared }
  const thread = new Worker(worker ?? new URL('./worker.ts', import.meta.url), {
    workerData,
    transferList: [port2],
    name: 'byway-bytes',
    resourceLimits: { maxYoungGenerationSizeMb: MAX_YOUNG_MB },
  })
  await started(thread, port)
  countThread(1)
  tidy.started()
  const sessions = new Map<number, { onReport(report: SessionReport): void; onDead(error: BywayError): void }>()
  let entrance: Parameters<Plane['entrance']>[0] | undefined
  let nextLink = 1
  let orders: Order[] = []
  let dead: BywayError | undefined
  let closing = false

  const give = (order: Order) => {
    if (dead !== undefined) {
      if ('fd' in order && order.fd >= 0) native.close(order.fd)
      // A session that began after the end: nothing was carried for it.
      if (order.do === 'close-session') sessions.get(order.session)?.onReport({ say: 'closed-session', session: order.session })
      return
    }
    orders.push(withOwnMemory(order))
    if (orders.length === 1) queueMicrotask(flush)
  }
  const flush = () => {
    if (dead !== undefined || orders.length === 0) return
    port.postMessage(orders)
    orders = []
    native.signal(wake)
  }
  port.on('message', (reports: Report[]) => {
    for (const report of reports) {
      if ('session' in report) sessions.get(report.session)?.onReport(report)
      else if (report.say === 'entrance') entrance?.onReport(report.report)
    }
  })
  port.unref()
  thread.unref()
  let ended: () => void
  const over = new Promise<void>((resolve) => {
    ended = resolve
  })
  let failure: unknown
  thread.on('error', (error) => {
    failure = error
  })
  thread.once('exit', () => {
    countThread(-1)
    tidy.stop()
    dead = new BywayError('PROVIDER_LOST', 'the thread that carries bytes ended', failure === undefined ? {} : { cause: failure })
    const mine = new Uint8Array(owned)
    for (let fd = mine.indexOf(OWNED.connection); fd >= 0; fd = mine.indexOf(OWNED.connection, fd + 1)) native.closeWithReset(fd)
    // What it listened on, and what woke it.
    for (let fd = mine.indexOf(OWNED.plain); fd >= 0; fd = mine.indexOf(OWNED.plain, fd + 1)) native.close(fd)
    port.close()
    // Also when it was told to stop: a session that waits for its last report would wait for ever.
    for (const session of [...sessions.values()]) session.onDead(dead)
    entrance?.onDead()
    sessions.clear()
    if (!closing) onDied(dead)
    ended()
  })

  return {
    native,
    session(side, needs) {
      const session = nextSession++
      const meter = new Meter()
      sessions.set(session, {
        ...needs,
        onReport: (report) => {
          if (report.say === 'closed-session') sessions.delete(session)
          needs.onReport(report)
        },
      })
      give({ do: 'session', session, side, meter: meter.shared })
      return {
        number: session,
        meter,
        order: (order) => give({ ...order, session } as Order),
        carrier(flow) {
          const [fd, ours] = native.socketPair()
          const carrier = new Socket({ fd: ours, allowHalfOpen: true })
          rememberNest(carrier, { session, flow })
          return { fd, carrier }
        },
        async adopt(link) {
          if (dead !== undefined) return undefined
          for (let tries = 0; tries < TAKE_OVER_TRIES; tries++) {
            const taken = takeOver(link, native.duplicate)
            if (taken === 'never') return undefined
            if (taken !== 'later') {
              const number = nextLink++
              give({ do: 'link', session, link: number, ...taken })
              tidy.handedOver()
              return number
            }
            await new Promise((resolve) => setImmediate(resolve))
          }
          return undefined
        },
      }
    },
    entrance(needs) {
      if (worker === undefined) return undefined
      entrance = needs
      return { order: (order, fd = -1) => give({ do: 'entrance', order, fd }) }
    },
    refuse: (fd, words) => give({ do: 'refuse', fd, words }),
    delayP99Ms() {
      const elapsedMs = performance.now() - turnsSeenMs
      turnsSeenMs += elapsedMs
      return turns.p99Ms(elapsedMs)
    },
    async kill() {
      await thread.terminate()
    },
    async close() {
      if (dead !== undefined) return
      closing = true
      thread.ref()
      give({ do: 'stop' })
      await over
    },
  }
}

/**
 * The order with bytes in memory of their own. What crosses to another thread takes all the memory it lies in with it, and a small buffer lies in
 * Node's pool: 64 KiB would be copied for the 32 bytes of a secret.
 */
function withOwnMemory(order: Order): Order {
  switch (order.do) {
    case 'link': {
      const { send, receive, unread, partial } = order.standing
      const standing: Standing = {
        send: { ...send, secret: ownMemory(send.secret) },
        receive: { ...receive, secret: ownMemory(receive.secret) },
        unread: ownMemory(unread),
        partial: ownMemory(partial),
      }
      return { ...order, standing }
    }
    case 'open':
      return { ...order, frame: ownMemory(order.frame), early: ownMemory(order.early), reply: ownMemory(order.reply) }
    case 'use':
      return { ...order, said: ownMemory(order.said) }
    case 'refuse':
      return { ...order, words: ownMemory(order.words) }
    default:
      return order
  }
}

function ownMemory(bytes: Uint8Array): Buffer {
  return Buffer.from(new Uint8Array(bytes).buffer)
}

/** Resolves when the thread runs; rejects with why it does not. */
function started(worker: Worker, port: MessagePort): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error('the thread did not start in time')), START_LIMIT_MS)
  const fail = (error: unknown) => reject(asBywayError(error))
  worker.once('error', fail)
  port.once('message', () => resolve())
  return promise.finally(() => {
    clearTimeout(timer)
    worker.off('error', fail)
  })
}
