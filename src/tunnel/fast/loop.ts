/**
 * An event loop on epoll: waits for descriptors, wakes for messages, runs timers and whatever has more to do.
 *
 * Edge-triggered: each descriptor is registered once for everything, and its watcher remembers what it may do until the system says that it may
 * not (EAGAIN). A watcher that used up its turn asks to be run again ({@link Loop.again}), behind all others: that is the fairness.
 */
import { EPOLL, EVENT, EVENT_BYTES, type Memory, type Native, wordsOf } from './native.ts'
import type { Turns } from './turns.ts'

export interface Watcher {
  /** A mask of EPOLL.*. */
  onEvents(events: number): void
}

/** Has more to do than one turn allows. */
export interface Task {
  run(): void
}

const EVENTS_A_TURN = 256
/**
 * What is to be said at the end of a turn is said after so many events already. Whoever waits for it has something to do meanwhile, on another core: with all
 * that came handled first, 32 connections at once went from process to process in one crowd, 5 to 7 % fewer of them a second. After each event it
 * costs more wake-ups than it brings.
 */
const EVENTS_A_WORD = 8
/** Tasks wait for one another, but what comes meanwhile is looked at this often: dozens of busy flows would hold up a new one for a tenth of a second. */
const SLICE_MS = 2
/** A worker that is to end notices it at least this often. */
const LONGEST_WAIT_MS = 1_000

/** What a watched descriptor is to whoever closes it if this thread dies: a connection is reset, so that its other end knows. */
export const OWNED = { connection: 1, plain: 2 } as const

export interface Timer {
  readonly dueMs: number
  readonly act: () => void
  /** Those of the same duration, itself among them while it is set. */
  readonly queue: Set<Timer>
}

export class Loop {
  readonly #native: Native
  readonly #epoll: number
  readonly #events: Memory
  readonly #words: Int32Array
  readonly #watchers: (Watcher | undefined)[] = []
  /** How often a descriptor was let go: events of its former life, which the same turn may still bring, are not its next owner's. */
  readonly #generations: number[] = []
  /** Timers of one duration become due in the order they were set: a queue for each, no heap. */
  readonly #timers = new Map<number, Set<Timer>>()
  readonly #owned: Uint8Array<ArrayBufferLike>
  readonly #turns: Turns | undefined
  #tasks: Task[] = []
  readonly #queued = new Set<Task>()
  readonly #lasts: Task[] = []
  #running = true
  nowMs = performance.now()

  /** `owned`: a byte for each descriptor, one of {@link OWNED} while it is watched here. `turns` hears how long each turn took. */
  constructor(native: Native, owned: Uint8Array<ArrayBufferLike> = new Uint8Array(0), turns?: Turns) {
    this.#turns = turns
    this.#native = native
    this.#owned = owned
    this.#epoll = native.epollCreate()
    this.#events = native.allocate(EVENTS_A_TURN * EVENT_BYTES)
    this.#words = wordsOf(this.#events)
  }

  /** False when the system has no room for another. A descriptor that is watched gets another watcher, which does not hear again what was told. */
  watch(fd: number, watcher: Watcher): boolean {
    if (this.#watchers[fd] !== undefined) {
      this.#watchers[fd] = watcher
      return true
    }
    this.#watchers[fd] = watcher
    this.#owned[fd] = OWNED.connection
    return this.#native.epollAdd(this.#epoll, fd, EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.ET, this.#generations[fd] ?? 0) === 0
  }

  /** Only for reading: an eventfd or a listening socket. */
  watchReadable(fd: number, watcher: Watcher): void {
    this.#watchers[fd] = watcher
    this.#owned[fd] = OWNED.plain
    this.#native.epollAdd(this.#epoll, fd, EPOLL.IN, this.#generations[fd] ?? 0)
  }

  /** It is somebody else's from now on. */
  unwatch(fd: number): void {
    if (this.#forget(fd)) this.#native.epollRemove(this.#epoll, fd)
  }

  /** Closes a connection; `withReset`: so that its peer sees a reset. Nobody else may have it open: the system takes it off by itself then. */
  close(fd: number, withReset = false): void {
    this.#forget(fd)
    if (withReset) this.#native.closeWithReset(fd)
    else this.#native.close(fd)
  }

  #forget(fd: number): boolean {
    if (this.#watchers[fd] === undefined) return false
    this.#watchers[fd] = undefined
    this.#generations[fd] = ((this.#generations[fd] ?? 0) + 1) | 0
    this.#owned[fd] = 0
    return true
  }

  /** Runs the task once, after everything that is waiting now. */
  again(task: Task): void {
    if (this.#queued.has(task)) return
    this.#queued.add(task)
    this.#tasks.push(task)
  }

  /** Runs the task when this event, and a few others with it, were handled, at the latest at the end of this turn: whoever asks asks once. */
  last(task: Task): void {
    this.#lasts.push(task)
  }

  after(delayMs: number, act: () => void): Timer {
    let queue = this.#timers.get(delayMs)
    if (queue === undefined) {
      queue = new Set()
      this.#timers.set(delayMs, queue)
    }
    const timer = { dueMs: this.nowMs + delayMs, act, queue }
    queue.add(timer)
    return timer
  }

  cancel(timer: Timer | undefined): void {
    timer?.queue.delete(timer)
  }

  stop(): void {
    this.#running = false
  }

  /** Until {@link stop}. `turned` is called after each turn. */
  run(turned: () => void): void {
    while (this.#running) {
      this.turn(this.#tasks.length > 0 ? 0 : this.#waitMs())
      turned()
      this.#turns?.add(performance.now() - this.nowMs)
    }
    this.end()
  }

  end(): void {
    this.#native.close(this.#epoll)
  }

  /** Waits at most `waitMs`, then does what there is to do. */
  turn(waitMs: number): void {
    const count = this.#native.epollWait(this.#epoll, this.#events, waitMs)
    this.nowMs = performance.now()
    const words = this.#words
    for (let at = 0; at < count * EVENT.words; at += EVENT.words) {
      if (at % (EVENTS_A_WORD * EVENT.words) === 0) this.#runLasts()
      const fd = words[at + EVENT.fd]!
      if (words[at + EVENT.generation] === (this.#generations[fd] ?? 0)) this.#watchers[fd]?.onEvents(words[at + EVENT.mask]!)
    }
    const tasks = this.#tasks
    this.#tasks = []
    const untilMs = performance.now() + SLICE_MS
    let next = 0
    while (next < tasks.length) {
      const task = tasks[next++]!
      this.#queued.delete(task)
      task.run()
      if (performance.now() > untilMs) break
    }
    // The rest comes before what they asked for meanwhile.
    if (next < tasks.length) this.#tasks = [...tasks.slice(next), ...this.#tasks]
    this.#runTimers()
    this.#runLasts()
  }

  /** The newest first, and one may lead to another: what a link inside another says, that one says together with what it has to say itself. */
  #runLasts(): void {
    for (let task = this.#lasts.pop(); task !== undefined; task = this.#lasts.pop()) task.run()
  }

  #waitMs(): number {
    let next = this.nowMs + LONGEST_WAIT_MS
    for (const queue of this.#timers.values()) {
      const first = queue.values().next().value
      if (first !== undefined && first.dueMs < next) next = first.dueMs
    }
    return Math.max(0, Math.ceil(next - this.nowMs))
  }

  #runTimers(): void {
    for (const queue of this.#timers.values()) {
      for (const timer of queue) {
        if (timer.dueMs > this.nowMs) break
        queue.delete(timer)
        timer.act()
      }
    }
  }
}
