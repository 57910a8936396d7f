/**
 * A link whose records this thread seals and opens itself: frames in, frames out, over a descriptor or over a flow of another link.
 *
 * It is read into one large piece of memory, opened in place, and its frames are handed to the owner where they lie. The owner may keep that
 * memory (it holds what could not be delivered); else it is used for the next read. What is sent is sealed once, straight into the memory it
 * is written from; what the carrier does not take waits there, and the owner sends no payload until it is gone.
 *
 * Longer than 400 lines because reading, sealing and the end of a link share one state.
 */
import { BywayError } from '../../protocol/errors.ts'
import {
  encodeMessage,
  FRAME_HEADER_BYTES,
  type Message,
  type MessageBody,
  type MessageName,
  PADDING_TYPE,
} from '../../protocol/messages.ts'
import { randomPadding } from '../cover/padding.ts'
import { FrameReader } from './frames.ts'
import type { Standing } from './handover.ts'
import type { Task, Timer } from './loop.ts'
import { ERRNO, type Memory } from './native.ts'
import { KEY_UPDATE_BYTES, MAX_RECORD_BYTES, Opener, RecordError, Sealer, sealedBytes } from './records.ts'
import { INPUT_BYTES, OUTPUT_BYTES, PIECE_BYTES, type Thread } from './shared.ts'

/** What is read in the moment it comes, before all that came was looked at: a message, an answer, or the beginning of more. */
const AT_ONCE_BYTES = PIECE_BYTES
/** Frames that wait to be sealed together: half of what the memory they go through holds, the rest is for padding. */
const MAX_STAGED_BYTES = 8_192
/** Small messages behind what the peer does not read; more than this is a peer that only makes us talk. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** What carries a link's bytes: a socket, or a flow through another hop. Results are counts or negated errnos; 0 read is the end. */
export interface Carrier {
  read(memory: Memory, at: number, bytes: number): number
  send(memory: Memory, at: number, bytes: number): number
  close(): void
}

export interface LinkOwner {
  /** A piece of payload; it stays where it is until {@link onBatch}. */
  onData(memory: Memory, at: number, bytes: number): void
  onMessage(message: Message): void
  /** What was read is handled. True: the owner keeps the memory and gives it back to `input` itself. */
  onBatch(memory: Memory): boolean
  /** Everything sent so far has left. */
  onRoom(): void
  /** The connection is gone. Called once. */
  onClosed(error: BywayError | undefined): void
}

interface Waiting {
  memory: Memory
  from: number
  to: number
}

export class SealedLink implements Task {
  readonly #answerMs: number
  readonly #thread: Thread
  readonly #carrier: Carrier
  readonly #sealer: Sealer
  readonly #opener: Opener
  readonly #padding = randomPadding()
  #owner: LinkOwner | undefined
  #last: LinkOwner | undefined
  /** Told at the very end, after the owner. */
  onGone: ((error: BywayError | undefined) => void) | undefined
  #readable = true
  /** The last read brought much: what comes next waits until what came for others was looked at. */
  #busy = false
  #ending = false
  #paused = true
  #closed = false
  #plain = false
  /** The beginning of a record, or plaintext heard before the handover: what the next read goes on from. */
  #partial: { memory: Memory; bytes: number } | undefined
  #unread: Buffer | undefined
  #out: Waiting[] = []
  /** Frames that are not sealed yet: each record costs both ends as much as a kilobyte in it, and some padding. */
  #staged: Uint8Array[] = []
  #stagedBytes = 0
  /** Padding that answers for now. Sealed when it leaves: what is sealed has memory of its own, and hundreds of links may wait at once. */
  #answerBytes = 0
  #writable = true
  /** The owner was held back since. */
  #waited = false
  /** Something waits for {@link Loop.last}. */
  #soon = false
  /** What waits for company leaves then. */
  #late: Timer | undefined
  readonly #flushing: Task = { run: () => this.#soon && this.flush() }
  /** Payload came since the last answer. */
  #payload = false
  readonly #frames: FrameReader

  /** `answerMs`: how long an answer that means nothing waits for one that does. */
  constructor(thread: Thread, carrier: Carrier, standing: Standing, answerMs = 0) {
    this.#answerMs = answerMs
    this.#thread = thread
    this.#carrier = carrier
    this.#sealer = new Sealer(thread.native, standing.send)
    this.#opener = new Opener(thread.native, standing.receive)
    this.#frames = new FrameReader({
      onData: (memory, at, bytes) => {
        this.#payload = true
        this.#owner!.onData(memory, at, bytes)
      },
      onMessage: (message) => {
        if (message.name === 'open' || message.name === 'extend') this.#padding.begin()
        this.#owner!.onMessage(message)
      },
      isOver: () => this.#closed || this.#plain,
    })
    if (standing.partial.length > 0) this.#keepPartial(standing.partial)
    if (standing.unread.length > 0) this.#unread = standing.unread
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Something sent waits for the carrier. */
  get blocked(): boolean {
    return this.#out.length > 0 && !this.#writable
  }

  /** Who hears what comes from now on. */
  listen(owner: LinkOwner): void {
    this.#owner = owner
    this.resume()
  }

  /** From now on the owner hears plaintext as it comes, frames and all, and seals what it likes. */
  listenPlain(owner: LinkOwner): void {
    this.#plain = true
    this.listen(owner)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused || this.#closed) return
    this.#paused = false
    if (this.#readable || this.#unread !== undefined) this.#thread.loop.again(this)
  }

  /**
   * The carrier may be read or written again; `ending`: nothing comes after what can be read now; `inTurn`: what carries it has its turn just now, and
   * what it brings is still in the cache.
   */
  onReady(readable: boolean, writable: boolean, ending: boolean, inTurn = false): void {
    if (this.#closed) return
    if (ending) this.#ending = true
    if (writable && !this.#writable) {
      this.#writable = true
      this.flush()
    }
    if (readable) {
      this.#readable = true
      if (this.#paused) return
      if (inTurn) this.run()
      else if (this.#busy) this.#thread.loop.again(this)
      else this.#attempt(AT_ONCE_BYTES)
    }
  }

  /** The carrier failed. */
  broke(errno: number): void {
    this.#end(brokenBy(errno))
  }

  run(): void {
    this.#attempt(INPUT_BYTES)
  }

  #attempt(most: number): void {
    if (this.#closed || this.#paused) return
    try {
      this.#read(most)
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  #read(most: number): void {
    const { input } = this.#thread
    const memory = input.take()
    let kept = false
    try {
      let fill = 0
      if (this.#unread !== undefined) {
        const unread = this.#unread
        this.#unread = undefined
        unread.copy(memory.bytes)
        const failure = thrownBy(() => this.#hear(memory, 0, unread.length))
        kept = (this.#owner ?? this.#last)?.onBatch(memory) ?? false
        if (failure !== undefined) throw failure
        if (!this.#paused) this.#thread.loop.again(this)
        return
      }
      if (this.#partial !== undefined) {
        fill = this.#partial.memory.bytes.copy(memory.bytes, 0, 0, this.#partial.bytes)
        this.#forgetPartial()
      }
      const count = this.#readable ? this.#carrier.read(memory, fill, most) : -ERRNO.EAGAIN
      if (count <= 0) {
        if (fill > 0) this.#keepPartial(memory.bytes.subarray(0, fill))
        if (count === -ERRNO.EINTR) {
          this.#thread.loop.again(this)
          return
        }
        this.#readable = false
        if (count === 0) this.#end(undefined)
        else if (count !== -ERRNO.EAGAIN) this.#end(brokenBy(-count))
        return
      }
      if (count < most && !this.#ending) this.#readable = false
      this.#busy = count >= AT_ONCE_BYTES
      const end = fill + count
      let at = 0
      let closed = false
      const failure = thrownBy(() => {
        for (let opened = this.#opener.open(memory, 0, end); opened !== undefined; opened = this.#opener.open(memory, at, end)) {
          at += opened.recordBytes
          if (opened.wantsUpdate) this.#renew()
          if (opened.bytes > 0) this.#hear(memory, opened.start, opened.bytes)
          if (opened.closed) closed = true
          if (this.#closed || closed) break
        }
      })
      if (at < end && !closed && !this.#closed && failure === undefined) this.#keepPartial(memory.bytes.subarray(at, end))
      // Also to one that just lost the link, and before what cannot be read: what came before that is counted, and must be delivered.
      kept = (this.#owner ?? this.#last)?.onBatch(memory) ?? false
      if (failure !== undefined) throw failure
      this.#answer()
      if (closed) this.#end(undefined)
      else if (this.#readable && !this.#paused && !this.#closed) this.#thread.loop.again(this)
    } finally {
      if (!kept) input.give(memory)
    }
  }

  #keepPartial(beginning: Uint8Array): void {
    const memory = this.#thread.partials.take()
    // One that says it is longer than any record may be is refused by its header.
    const bytes = Math.min(beginning.length, MAX_RECORD_BYTES)
    memory.bytes.set(beginning.subarray(0, bytes))
    this.#partial = { memory, bytes }
  }

  #forgetPartial(): void {
    if (this.#partial !== undefined) this.#thread.partials.give(this.#partial.memory)
    this.#partial = undefined
  }

  #hear(memory: Memory, start: number, bytes: number): void {
    const framed = this.#plain ? 0 : this.#frames.read(memory, start, bytes)
    // The last frame may have made the rest of the record somebody's who reads it as it is.
    if (this.#plain && framed < bytes && !this.#closed) this.#owner!.onData(memory, start + framed, bytes - framed)
  }

  // --- Sending ---

  send<N extends MessageName>(name: N, body: MessageBody<N>): void {
    if (this.#closed) return
    this.sendFrame(encodeMessage(name, body))
    this.flushSoon()
  }

  /** Sends what was sealed when this event and a few others were handled, with what else is said until then: one call, and one wake-up of the peer. */
  flushSoon(): void {
    if (this.#soon) return
    this.#soon = true
    this.#thread.loop.last(this.#flushing)
  }

  /** Sends what was sealed with whatever is said next, or after this long. */
  flushWithin(ms: number): void {
    this.#late ??= this.#thread.loop.after(ms, () => this.flush())
  }

  /** A whole frame, which stays as it is; {@link flush} sends it, in one record with its neighbours. */
  sendFrame(frame: Uint8Array): void {
    if (this.#closed) return
    if (this.#stagedBytes + frame.length > MAX_STAGED_BYTES) this.#sealStaged()
    this.#staged.push(frame)
    this.#stagedBytes += frame.length
  }

  /** What waits to be sealed: an answer of padding first, for it was due before anything was said. */
  #sealStaged(): void {
    const { small } = this.#thread
    const answer = this.#answerBytes
    if (answer > 0) {
      this.#answerBytes = 0
      writePadding(small, 0, answer)
      this.#seal(small, 0, answer)
    }
    if (this.#staged.length === 0) return
    let bytes = 0
    for (const frame of this.#staged) {
      small.bytes.set(frame, bytes)
      bytes += frame.length
    }
    this.#staged = []
    this.#stagedBytes = 0
    this.sealPadded(small, 0, bytes)
  }

  /** A flow begins on this link: its first records are padded. */
  begin(): void {
    this.#padding.begin()
  }

  /** Seals frames with what hides their size behind them, where there is room for it. */
  sealPadded(source: Memory, from: number, bytes: number): void {
    const end = from + bytes
    let extra = this.#padding.beside(bytes)
    if (end + extra >= source.bytes.length) extra = 0
    if (extra > 0) writePadding(source, end, extra)
    this.seal(source, from, bytes + extra)
  }

  /** Payload that arrived is answered by a record that means nothing, now and then. */
  #answer(): void {
    if (!this.#payload) return
    this.#payload = false
    // What is said in this turn anyway is answer enough.
    if (this.#closed || this.#out.length > 0 || this.#staged.length > 0 || this.#answerBytes > 0) return
    this.#answerBytes = this.#padding.answer()
    if (this.#answerBytes === 0) return
    if (this.#answerMs > 0) this.flushWithin(this.#answerMs)
    else this.flushSoon()
  }

  /** Seals whole frames at `from`; {@link flush} sends them. The memory must hold one byte more. */
  seal(source: Memory, from: number, bytes: number): void {
    if (this.#closed) return
    this.#sealStaged()
    this.#seal(source, from, bytes)
  }

  #seal(source: Memory, from: number, bytes: number): void {
    const tail = this.#tail(sealedBytes(bytes) + KEY_UPDATE_BYTES)
    tail.to += this.#sealer.seal(source, from, bytes, tail.memory, tail.to)
  }

  #tail(bytes: number): Waiting {
    const last = this.#out.at(-1)
    if (last !== undefined && last.memory.bytes.length - last.to >= bytes) return last
    const fresh = { memory: this.#thread.output.take(), from: 0, to: 0 }
    this.#out.push(fresh)
    if (this.#out.length * OUTPUT_BYTES > MAX_WAITING_BYTES) this.#thread.loop.again(this.#overfull)
    return fresh
  }

  /** Not where it is found: whoever says something need not expect that the link is gone by that. */
  readonly #overfull: Task = {
    run: () =>
      this.destroy(
        new BywayError('MESSAGE_UNEXPECTED', 'the peer does not read what is said to it', { facts: { limit: MAX_WAITING_BYTES } }),
      ),
  }

  #renew(): void {
    const tail = this.#tail(KEY_UPDATE_BYTES)
    tail.to += this.#sealer.renew(tail.memory, tail.to)
    this.flush()
  }

  #forgetLate(): void {
    this.#thread.loop.cancel(this.#late)
    this.#late = undefined
  }

  flush(): void {
    this.#soon = false
    this.#forgetLate()
    this.#sealStaged()
    if (this.#out.length === 0 || !this.#writable || this.#closed) return
    const waited = this.#waited
    this.#waited = false
    for (let first = this.#out[0]; first !== undefined; first = this.#out[0]) {
      const count = this.#carrier.send(first.memory, first.from, first.to - first.from)
      if (count > 0) first.from += count
      if (first.from === first.to) {
        if (this.#out.length === 1) this.#out.pop()
        else this.#out.shift()
        this.#thread.output.give(first.memory)
        continue
      }
      // Nobody would say that it may be tried again.
      if (count === -ERRNO.EINTR) continue
      if (count < 0 && count !== -ERRNO.EAGAIN) {
        this.#end(brokenBy(-count))
        return
      }
      // The rest when the carrier says so.
      this.#writable = false
      this.#waited = true
      return
    }
    if (waited) this.#owner?.onRoom()
  }

  // --- The end ---

  #fail(thrown: unknown): void {
    if (thrown instanceof RecordError) {
      this.#say(thrown.alert)
      this.#end(new BywayError('MESSAGE_MALFORMED', thrown.message, { cause: thrown }))
    } else if (thrown instanceof BywayError) this.destroy(thrown)
    else {
      this.destroy(new BywayError('INTERNAL', 'a link failed', { cause: thrown }))
      throw thrown
    }
  }

  /** Ends in order: says that nothing more comes, as far as the carrier takes it. */
  close(): void {
    this.destroy(undefined)
  }

  destroy(error: BywayError | undefined): void {
    if (this.#closed) return
    this.#say(0)
    // Sending may have found that the carrier is gone.
    this.#end(error)
  }

  #say(alert: number): void {
    this.flush()
    if (this.#closed || this.#out.length > 0) return
    // Not in what small messages go through: what carries this link may first say something itself, by the same way.
    const { output } = this.#thread
    const memory = output.take()
    this.#carrier.send(memory, 0, this.#sealer.alert(memory, 0, alert))
    output.give(memory)
  }

  #end(error: BywayError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    for (const { memory } of this.#out) this.#thread.output.give(memory)
    this.#out = []
    this.#staged = []
    this.#answerBytes = 0
    this.#forgetLate()
    this.#forgetPartial()
    this.#unread = undefined
    this.#carrier.close()
    this.#sealer.free()
    this.#opener.free()
    const owner = this.#owner
    this.#owner = undefined
    this.#last = owner
    owner?.onClosed(error)
    this.onGone?.(error)
  }
}

function writePadding({ bytes }: Memory, at: number, length: number): void {
  bytes.fill(0, at, at + length)
  bytes.writeUInt32BE(PADDING_TYPE * 0x1000000 + length - FRAME_HEADER_BYTES, at)
}

function brokenBy(errno: number): BywayError {
  return new BywayError('PROVIDER_LOST', 'the tunnel connection broke', { facts: { errno } })
}

/** What it threw, to be thrown again after what must come first. */
function thrownBy(work: () => void): unknown {
  try {
    work()
    return undefined
  } catch (thrown) {
    return thrown ?? new Error('nothing was thrown')
  }
}
