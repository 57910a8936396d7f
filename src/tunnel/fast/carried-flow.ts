/**
 * A flow this thread carries: joins a socket (the application's, or the destination's) and a link, and goes on over another when that breaks.
 *
 * Socket to link: read into pieces with room for a frame header, taken from the meter, sealed, kept until acknowledged. Link to socket: what
 * the link opened is written from where it lies; what the socket does not take, or what is not paid for, waits there, and the link is not
 * read. A flow that used up its turn goes behind all others. The rules of the protocol are protocol/flow.ts.
 *
 * Longer than 400 lines because both directions and the end of a flow are one state. With an object for each direction, in files of their own, a connection
 * cost 3 to 10 % more CPU.
 */
import { BywayError } from '../../protocol/errors.ts'
import {
  ackAtEnd,
  ackDue,
  askDue,
  bothOver,
  type FlowMark,
  type FlowState,
  MAX_EARLY_BYTES,
  markOf,
  mayBeDone,
  NO_BYTES,
  newFlow,
  onAck,
  onAsk,
  onData,
  onEnd,
  onReset,
  onResume,
  UNTOLD_BYTES,
} from '../../protocol/flow.ts'
import { DATA_TYPE, encodeMessage, FRAME_HEADER_BYTES, type Message } from '../../protocol/messages.ts'
import { Inbox } from './inbox.ts'
import { type KeptBudget, KeptBytes } from './kept.ts'
import type { Task, Timer, Watcher } from './loop.ts'
import { Vector } from './memory.ts'
import type { Meter } from './meter.ts'
import { EPOLL, ERRNO, type Memory } from './native.ts'
import type { SealedLink } from './sealed-link.ts'
import { INPUT_BYTES, PIECE_BYTES, PIECES_A_TURN, type Thread } from './shared.ts'
import type { Waiters } from './waiters.ts'

/** What one flow may move before others have their turn. */
const TURN_BYTES = PIECES_A_TURN * PIECE_BYTES
/** The same in the moment something comes, before all that came was looked at: an answer, or the beginning of more. */
const AT_ONCE_BYTES = PIECE_BYTES
/** So many pieces of memory may be full of what is not taken: 24 MiB. */
const MOST_HELD = 32
/** After a reset nothing has to be delivered any more: a few round trips, and whatever still fills the line. */
const RESET_LIMIT_MS = 30_000
/**
 * A reset behind what was sent before may wait for payments which wait until the flow is over, or for a destination that does not read. After this
 * long it is told on another link, where nothing stands before it.
 */
const RESET_BEHIND_MS = 5_000
/** After an orderly end the last bytes may wait in front of a socket that is read slowly; TCP itself would wait for ever. */
const DRAIN_LIMIT_MS = 600_000

/** What may come after this end is gone without being told off: a close_notify, tickets. */
const MOST_LAST_WORDS = 4_096

export interface FlowEvents {
  /** Bytes were counted in the meter. */
  onCounted(): void
  /** The flow is over and its link, if it has one, free. */
  onOver(flow: CarriedFlow, stated: { up: bigint; down: bigint } | undefined): void
  /** Its link broke: it waits for another. */
  onSuspended(flow: CarriedFlow, error: BywayError): void
  /** Consumer: the answer to `open`. */
  onOpened?(flow: CarriedFlow): void
  onFailed?(flow: CarriedFlow, failure: { code: string; message: string }): void
}

export interface FlowNeeds {
  thread: Thread
  side: 'consumer' | 'provider'
  meter: Meter
  waiters: Waiters
  budget: KeptBudget
  events: FlowEvents
}

/** A link that runs inside a flow, in place of a socket: see flow-carrier.ts. */
export interface Inside {
  /** There is payload to {@link CarriedFlow.pull}; `over`: nothing comes after it. */
  onPayload(over: boolean): void
  /** The flow takes more. */
  onRoom(): void
  /** The flow is gone. */
  onGone(): void
}

export class CarriedFlow implements Watcher, Task {
  readonly id: number
  readonly state: FlowState = newFlow()
  link: SealedLink | undefined
  opening = false
  /** Of the bytes received: what came after this end had given the flow up. */
  discarded = NO_BYTES
  /** Delivered to the socket, or taken for it. */
  delivered = NO_BYTES
  readonly #needs: FlowNeeds
  readonly #kept: KeptBytes
  #fd = -1
  #inside: Inside | undefined
  #readable = true
  #writable = true
  #hangup = false
  /** Closing the socket would reset it. */
  #resets = false
  /** It has used up a turn of late: what comes for it waits until what came for others was looked at. */
  #busy = false
  #sourceOver = false
  #sinkOver = false
  #finished = false
  #batch: number[] = []
  #batchBytes = 0
  #inbox: Inbox | undefined
  /** The memory of the inbox is the link's until it has been told that we keep it. */
  #borrowed = false
  /** Of the inbox: taken from the meter, not yet written. */
  #granted = 0
  /** So many reads of its link are heard, whatever waits already. */
  #reads = 0
  /** Read, but the meter was closed in that moment: waits for room. */
  #stash: { pieces: Memory[]; bytes: number } | undefined
  #timer: Timer | undefined

  constructor(id: number, needs: FlowNeeds) {
    this.id = id
    this.#needs = needs
    this.#kept = new KeptBytes(needs.thread.pieces, needs.budget, needs.thread.loop)
  }

  /** Of the socket of this end; -1 when it is gone. */
  get descriptor(): number {
    return this.#fd
  }

  get over(): boolean {
    return this.#finished
  }

  /** Nothing that the socket of this end said was read. */
  get untold(): boolean {
    return this.state.sent === 0 && this.#kept.bytes === 0 && this.#stash === undefined
  }

  /** Bytes moved, both ways. */
  get progress(): number {
    return this.state.sent + this.delivered
  }

  get mark(): FlowMark {
    return markOf(this.state)
  }

  /** The socket of this end; owned from now on. `events`: what the loop told of it before, if it is watched already (a mask of EPOLL.*). */
  join(fd: number, events = 0): void {
    this.#fd = fd
    // What is to be read the loop says, or has said.
    this.#readable = (events & (EPOLL.IN | EPOLL.HUP | EPOLL.RDHUP)) !== 0
    this.#hangup = (events & (EPOLL.HUP | EPOLL.RDHUP)) !== 0
    // A process that is killed says no end: nobody could tell what it had still to say from nothing. See egress/death.ts.
    this.#needs.thread.native.resetWhenClosed(fd, true)
    this.#resets = true
    if (!this.#needs.thread.loop.watch(fd, this)) this.#fail()
  }

  /** Takes the socket off again, unclosed: what is to be said on it is somebody else's. -1 when it is gone. */
  leave(): number {
    const fd = this.#fd
    if (fd >= 0) {
      this.#needs.thread.loop.unwatch(fd)
      if (this.#resets) this.#needs.thread.native.resetWhenClosed(fd, false)
      this.#resets = false
    }
    this.#fd = -1
    return fd
  }

  /** Somebody at this end takes part in it. */
  get #joined(): boolean {
    return this.#fd >= 0 || this.#inside !== undefined
  }

  // --- A link inside ---

  /** Whether a link may take the place of the socket: nobody said a last word, and nothing that was read waits. */
  get canHold(): boolean {
    const { localOver, aborted } = this.state
    return this.#fd >= 0 && !this.opening && !localOver && !aborted && !this.#sinkOver && !this.#finished && this.#stash === undefined
  }

  /** From now on the link is this end of the flow. Returns the socket, which is its owner's again. */
  hold(inside: Inside): number {
    this.#inside = inside
    // It may still have something to say.
    this.#needs.thread.loop.again(this)
    return this.leave()
  }

  /** What the link inside sealed: bytes taken, or a negated errno. */
  push(source: Buffer, at: number, bytes: number): number {
    const { thread, meter, events } = this.#needs
    const { link } = this
    if (link === undefined || link.blocked || this.state.localOver || this.#finished) return -ERRNO.EAGAIN
    if (this.#mustWait(link)) return -ERRNO.EAGAIN
    for (let done = 0; done < bytes; ) {
      const payload = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES
      const piece = thread.pieces.take()
      source.copy(piece.bytes, FRAME_HEADER_BYTES, at + done, at + done + payload)
      sealData(link, piece, FRAME_HEADER_BYTES, payload)
      this.#kept.add(piece, payload)
      done += payload
    }
    meter.count('up', bytes)
    this.state.sent += bytes
    this.#ask(link)
    link.flush()
    events.onCounted()
    return bytes
  }

  /** Payload for the link inside: bytes copied, 0 at the end, or a negated errno. */
  pull(target: Memory, at: number, most: number): number {
    const inbox = this.#inbox
    if (inbox === undefined) return this.#sinkOver ? 0 : -ERRNO.EAGAIN
    const done = inbox.copyTo(target, at, most)
    this.#granted = 0
    if (inbox.bytes > 0) return done
    this.#emptyInbox()
    this.link?.resume()
    if (this.state.remoteOver) this.#needs.thread.loop.again(this.#afterBatch)
    return done
  }

  /** The link inside is over: the other end hears an end, and a reset if it goes on all the same. */
  letGo(): void {
    if (this.#inside === undefined) return
    this.#inside = undefined
    this.#emptyInbox()
    this.#granted = 0
    this.#sinkOver = true
    this.link?.resume()
    this.#endSource()
  }

  /** Begins on a link, with what is sent on it from now on. */
  start(link: SealedLink): void {
    this.link = link
    link.listen(this)
    // What came early may not be paid for yet.
    if (this.#inbox !== undefined) link.pause()
    this.#needs.thread.loop.again(this)
  }

  /** The application's first bytes, which came before there was a flow. */
  sendEarly(payload: Uint8Array): void {
    this.#needs.meter.count('up', payload.length)
    const piece = this.#needs.thread.pieces.take()
    piece.bytes.set(payload, FRAME_HEADER_BYTES)
    sealData(this.link!, piece, FRAME_HEADER_BYTES, payload.length)
    this.#kept.add(piece, payload.length)
  }

  /** What the socket said before it was handed over: as if it had just been read. At most what {@link PIECES_A_TURN} pieces hold. */
  saidBefore(payload: Uint8Array): void {
    if (this.#fd < 0) return
    const pieces: Memory[] = []
    for (let at = 0; at < payload.length; at += PIECE_BYTES) {
      const piece = this.#needs.thread.pieces.take()
      piece.bytes.set(payload.subarray(at, at + PIECE_BYTES), FRAME_HEADER_BYTES)
      pieces.push(piece)
    }
    this.#stash = { pieces, bytes: payload.length }
  }

  // --- Socket to link ---

  onEvents(events: number): void {
    if ((events & EPOLL.ERR) !== 0) {
      this.#fail()
      return
    }
    if ((events & (EPOLL.HUP | EPOLL.RDHUP)) !== 0) this.#hangup = true
    if ((events & EPOLL.OUT) !== 0 && !this.#writable) {
      this.#writable = true
      this.#deliver()
    }
    if ((events & (EPOLL.IN | EPOLL.HUP | EPOLL.RDHUP)) !== 0) {
      this.#readable = true
      if (this.#busy) this.#needs.thread.loop.again(this)
      else this.#readSource(AT_ONCE_BYTES)
    }
  }

  run(): void {
    if (this.#inbox !== undefined) this.#deliver()
    this.#readSource(TURN_BYTES)
  }

  #readSource(most: number): void {
    if (this.#inside !== undefined) {
      this.#inside.onRoom()
      return
    }
    this.#busy = false
    for (let budget = most; ; ) {
      const { link } = this
      if (this.#fd < 0 || this.#sourceOver || this.state.localOver || link === undefined || link.blocked || this.#finished) return
      if (this.#stash !== undefined && !this.#sendStash(link)) return
      if (!this.#readable || this.#mustWait(link)) return
      if (budget <= 0) {
        this.#needs.thread.loop.again(this)
        return
      }
      const moved = this.#readOnce(link, budget)
      if (moved < 0) return
      if (moved >= AT_ONCE_BYTES) this.#busy = true
      budget -= moved
    }
  }

  /** Bytes moved, or -1 when there is nothing more to do now. */
  #readOnce(link: SealedLink, budget: number): number {
    const { thread, meter, side, waiters } = this.#needs
    let most = budget
    if (this.opening) most = Math.min(budget, MAX_EARLY_BYTES - this.#kept.bytes)
    else if (side === 'provider') {
      most = meter.room(Math.min(most, this.#kept.room))
      if (most === 0) waiters.wait(this, 1)
    }
    if (most <= 0) return -1
    const vector = vectorOf(thread)
    const pieces: Memory[] = []
    while (vector.bytes < most && pieces.length < PIECES_A_TURN) {
      const piece = thread.pieces.take()
      pieces.push(piece)
      vector.add(piece.address + HEADER, Math.min(PIECE_BYTES, most - vector.bytes))
    }
    const count =
      pieces.length === 1
        ? thread.native.read(this.#fd, pieces[0]!.address + HEADER, most)
        : thread.native.readv(this.#fd, vector.memory.address, vector.count)
    if (count <= 0) {
      for (const piece of pieces) thread.pieces.give(piece)
      if (count === 0) this.#endSource()
      else if (count === -ERRNO.EAGAIN) this.#readable = false
      else if (count === -ERRNO.EINTR) thread.loop.again(this)
      else this.#fail()
      return -1
    }
    if (count < most && !this.#hangup) this.#readable = false
    this.#stash = { pieces, bytes: count }
    return this.#sendStash(link) ? count : -1
  }

  /** Seals what was read. False when the meter has no room for it. */
  #sendStash(link: SealedLink): boolean {
    const { thread, meter, side, waiters, events } = this.#needs
    const { pieces, bytes } = this.#stash!
    if (side === 'provider') {
      // Only this thread takes, so there is room for what was asked for, unless the meter was closed meanwhile.
      if (meter.room(bytes) < bytes) {
        waiters.wait(this, bytes)
        return false
      }
      if (!meter.takeAll('down', bytes)) {
        this.#needs.thread.loop.again(this)
        return false
      }
    } else {
      // Also before `opened`: the provider's count of what it delivered may be heard before that.
      meter.count('up', bytes)
    }
    this.#stash = undefined
    if (!this.opening) this.state.sent += bytes
    let left = bytes
    for (const piece of pieces) {
      if (left === 0) {
        thread.pieces.give(piece)
        continue
      }
      const payload = left < PIECE_BYTES ? left : PIECE_BYTES
      left -= payload
      sealData(link, piece, FRAME_HEADER_BYTES, payload)
      this.#kept.add(piece, payload)
    }
    this.#ask(link)
    link.flush()
    events.onCounted()
    return true
  }

  /** Asks behind what was sealed what of it arrived, when it is time to. */
  #ask(link: SealedLink, { most, asks }: { most: number; asks?: number } = this.#kept.aim): void {
    if (!this.opening && askDue(this.state, most, asks)) link.sendFrame(ASK)
  }

  /** As much is kept as may be: nothing more is sent until the other end, which was asked, acknowledges some of it. */
  #mustWait(link: SealedLink): boolean {
    if (!this.#kept.full) return false
    // It may have become so because others keep much by now.
    this.#ask(link, this.#kept)
    link.flush()
    return true
  }

  #endSource(): void {
    this.#sourceOver = true
    if (!this.opening) this.#sayEnd()
    this.#settle()
  }

  #sayEnd(): void {
    if (this.state.localOver) return
    this.state.localOver = true
    const received = this.#needs.side === 'consumer' ? ackAtEnd(this.state) : undefined
    if (received !== undefined) this.link?.send('ack', { received: BigInt(received) })
    this.link?.send('end', {})
  }

  // --- Link to socket ---

  onData(_memory: Memory, at: number, bytes: number): void {
    if (this.opening) throw new BywayError('MESSAGE_UNEXPECTED', 'data before the flow was open')
    onData(this.state, bytes)
    if (this.#needs.side === 'consumer') this.#needs.meter.count(this.#joined ? 'down' : 'discarded', bytes)
    if (!this.#joined) {
      this.discarded += bytes
      // Nobody hears it any more. A few words that say goodbye may come all the same.
      if (this.discarded > MOST_LAST_WORDS && !this.state.aborted) this.reset()
      return
    }
    this.#batch.push(at, bytes)
    this.#batchBytes += bytes
  }

  /** Payload that came before the socket was there. */
  early(payload: Buffer): void {
    const memory = this.#needs.thread.input.take()
    payload.copy(memory.bytes)
    this.onData(memory, 0, payload.length)
    if (!this.onBatch(memory)) this.#needs.thread.input.give(memory)
  }

  onBatch(memory: Memory): boolean {
    const { link } = this
    if (this.#reads > 0) this.#reads--
    if (this.#reads === 0 && this.#inbox !== undefined) link?.pause()
    const received = ackDue(this.state, this.#needs.side === 'provider' ? UNTOLD_BYTES : 0)
    if (received !== undefined) link?.send('ack', { received: BigInt(received) })
    if (this.#needs.side === 'consumer' && (this.#batchBytes > 0 || !this.#joined)) this.#needs.events.onCounted()
    if (this.#batchBytes === 0) return false
    const places = this.#batch
    const bytes = this.#batchBytes
    this.#batch = []
    this.#batchBytes = 0
    if (!this.#joined) return false
    if (this.#inbox !== undefined) {
      this.#append(this.#inbox, new Inbox(memory, places, bytes))
      return false
    }
    this.#inbox = new Inbox(memory, places, bytes)
    this.#borrowed = true
    this.#deliver()
    this.#borrowed = false
    return this.#inbox !== undefined && !this.#moveOut(this.#inbox)
  }

  /** A link that is paused in the middle of what it read brings the rest of it all the same: it waits behind what waits already. */
  #append(inbox: Inbox, more: Inbox): void {
    const { input, native } = this.#needs.thread
    const { memory, moved } = inbox
    inbox.append(more, native.allocate(inbox.bytes + more.bytes))
    if (!moved) input.give(memory)
    this.#deliver()
  }

  /** A few flows that are held back may keep what was read where it is. When there are many each keeps what it has, and not the most that is read at once. */
  #moveOut(inbox: Inbox): boolean {
    const { input, native } = this.#needs.thread
    if (input.out <= MOST_HELD) return false
    inbox.moveTo(native.allocate(inbox.bytes))
    return true
  }

  /** Writes what waits, as far as it is paid for and the socket takes it. */
  #deliver(): void {
    const inbox = this.#inbox
    if (inbox === undefined) return
    const { meter, side, waiters, events } = this.#needs
    if (side === 'provider') {
      const wanted = inbox.bytes - this.#granted
      const taken = wanted > 0 ? meter.take('up', wanted) : 0
      this.#granted += taken
      this.delivered += taken
      if (taken > 0) events.onCounted()
      if (taken < wanted) waiters.wait(this, 1)
    } else this.#granted = inbox.bytes
    if (this.#inside !== undefined) this.#inside.onPayload(false)
    while (this.#granted > 0 && this.#writable && this.#fd >= 0) this.#writeOnce(inbox)
    if (this.#inbox !== inbox) return
    if (inbox.bytes > 0) {
      if (this.#reads === 0) this.link?.pause()
      this.#setHeld(true)
      return
    }
    this.#emptyInbox()
    this.link?.resume()
    this.#endSink()
  }

  /**
   * Lets go of the inbox's memory, once: while the link still lends it, the link gives it back itself. Memory given back twice would be taken by two
   * links at once, and one would read the other's bytes.
   */
  #emptyInbox(): void {
    const inbox = this.#inbox
    this.#inbox = undefined
    this.#setHeld(false)
    if (inbox !== undefined && !inbox.moved && !this.#borrowed) this.#needs.thread.input.give(inbox.memory)
  }

  /** Whether bytes stand still here because nobody takes them. */
  #setHeld(held: boolean): void {
    if (held === this.#held) return
    this.#held = held
    this.#needs.meter.hold(held ? 1 : -1)
  }
  #held = false

  #writeOnce(inbox: Inbox): void {
    const { native } = this.#needs.thread
    const vector = vectorOf(this.#needs.thread)
    inbox.addTo(vector, this.#granted)
    const asked = vector.bytes
    const count =
      vector.count === 1 ? native.send(this.#fd, vector.firstAddress, asked) : native.sendv(this.#fd, vector.memory.address, vector.count)
    if (count < 0) {
      if (count === -ERRNO.EAGAIN) this.#writable = false
      else if (count !== -ERRNO.EINTR) this.#fail()
      return
    }
    if (count < asked) this.#writable = false
    this.#granted -= count
    inbox.drop(count)
  }

  /** The other end said its last word and all of it is delivered: the socket hears the end too. */
  #endSink(): void {
    if (!this.state.remoteOver || this.#inbox !== undefined || this.#batchBytes > 0 || this.#sinkOver || !this.#joined) return
    this.#sinkOver = true
    if (this.#inside !== undefined) {
      this.#inside.onPayload(true)
      return
    }
    const { native } = this.#needs.thread
    // Where the socket said its last word it is closed now, which says as much.
    if (!this.#sourceOver || !bothOver(this.state)) native.shutdownWrite(this.#fd)
    // Handed to the system, with its end: from here on that delivers it, whatever happens to us.
    native.resetWhenClosed(this.#fd, false)
    this.#resets = false
    this.#settle()
  }

  onMessage(message: Message): void {
    if (this.opening) {
      this.#onAnswer(message)
      return
    }
    switch (message.name) {
      case 'ask':
        onAsk(this.state)
        break
      case 'ack':
        this.#kept.release(onAck(this.state, Number(message.body.received)))
        this.#needs.thread.loop.again(this)
        this.#settle()
        break
      case 'end':
        onEnd(this.state)
        this.#needs.thread.loop.again(this.#afterBatch)
        break
      case 'reset':
        onReset(this.state)
        this.#drop(true)
        this.#sayReset()
        this.#settle()
        break
      case 'done':
        if (this.#needs.side === 'provider' || !bothOver(this.state)) {
          throw new BywayError('MESSAGE_UNEXPECTED', 'a flow was called done before both directions ended')
        }
        this.#stated = message.body
        this.#needs.thread.loop.again(this.#afterBatch)
        break
      default:
        throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} has no place in a flow`)
    }
  }

  #stated: { up: bigint; down: bigint } | undefined
  /** What follows an `end` or `done`, once the payload in front of it is with the socket. */
  readonly #afterBatch: Task = {
    run: () => {
      this.#endSink()
      this.#settle()
    },
  }

  #onAnswer(message: Message): void {
    const { events, meter } = this.#needs
    this.opening = false
    if (message.name === 'failed') {
      this.link?.send('reset', {})
      // Nothing of it was delivered.
      meter.count('up', -this.#kept.bytes)
      this.#kept.clear()
      events.onFailed?.(this, message.body)
      return
    }
    if (message.name !== 'opened') throw new BywayError('MESSAGE_UNEXPECTED', `${message.name} is no answer to open`)
    this.state.sent += this.#kept.bytes
    if (this.#sourceOver && !this.state.aborted) this.#sayEnd()
    events.onOpened?.(this)
    this.#needs.thread.loop.again(this)
  }

  onRoom(): void {
    this.#needs.thread.loop.again(this)
  }

  // --- The end ---

  /** The socket failed: the other end hears of it. */
  #fail(): void {
    if (this.#fd < 0) return
    this.#drop(true)
    this.#sayReset()
    this.#settle()
  }

  /** Gives the flow up: resets both sides. */
  reset(): void {
    if (this.#finished) return
    this.#drop(true)
    this.#sayReset()
    this.#settle()
  }

  #sayReset(): void {
    const { state } = this
    // Nobody takes anything here any more: the last acknowledgement, or `done`, must not wait behind what nobody takes.
    this.link?.resume()
    if (bothOver(state) && !state.aborted) return
    state.aborted = true
    if (this.#saidReset) return
    this.#saidReset = true
    state.localOver = true
    // Not in one piece with what was said before: whoever reads both at once throws that away.
    this.link?.flush()
    this.link?.send('reset', {})
    this.#expectDone()
  }
  #saidReset = false

  /** Lets go of the socket and of what waited for it. */
  #drop(withReset: boolean): void {
    const { thread, waiters } = this.#needs
    waiters.delete(this)
    // Of the payload in the inbox none was discarded by the count: it arrived while the flow was alive.
    this.#emptyInbox()
    this.#granted = 0
    for (const piece of this.#stash?.pieces ?? []) thread.pieces.give(piece)
    this.#stash = undefined
    this.#sourceOver = true
    this.#sinkOver = true
    const inside = this.#inside
    this.#inside = undefined
    const fd = this.#fd
    this.#fd = -1
    inside?.onGone()
    if (fd < 0) return
    // Mostly it resets already when it is closed, and must be told only where it shall not.
    if (!withReset && this.#resets) thread.native.resetWhenClosed(fd, false)
    thread.loop.close(fd, withReset && !this.#resets)
  }

  #settle(): void {
    const { side, events } = this.#needs
    if (this.#finished) return
    // In order: the socket said its last word and heard ours.
    if (this.#fd >= 0 && this.#sourceOver && this.#sinkOver && bothOver(this.state)) this.#drop(false)
    if (side === 'consumer') {
      if (!this.#joined && this.#stated === undefined) this.#expectDone()
      if (this.#stated === undefined || this.#inbox !== undefined || this.#batchBytes > 0) return
      // An application whose last bytes are still under way gets its end; a link that is over is not held for it.
      if (!this.#sinkOver) return
      const stated = this.#stated
      this.#drop(this.state.aborted)
      this.#finish()
      events.onOver(this, stated)
      return
    }
    if (this.#fd >= 0 || !mayBeDone(this.state)) return
    const { link } = this
    if (link === undefined) return
    // The consumer has to know.
    if (this.cut) link.send('reset', {})
    const totals = this.totals
    link.send('done', totals)
    this.#finish()
    events.onOver(this, totals)
  }

  /** Provider: the flow ended in order, but its last bytes waited for payment when the destination went away. */
  get cut(): boolean {
    return !this.state.aborted && this.delivered !== this.state.received
  }

  /** Provider: what was carried, uploads as delivered and downloads as put on a link. */
  get totals(): { up: bigint; down: bigint } {
    return { up: BigInt(this.delivered), down: BigInt(this.state.sent) }
  }

  #expectDone(): void {
    if (this.#needs.side === 'provider' || this.#timer !== undefined || this.link === undefined) return
    const { loop } = this.#needs.thread
    const { aborted, sent, acked } = this.state
    const limitMs = aborted ? (sent > acked ? RESET_BEHIND_MS : RESET_LIMIT_MS) : DRAIN_LIMIT_MS
    this.#timer = loop.after(limitMs, () => {
      this.link?.destroy(new BywayError('PROVIDER_LOST', 'a flow that is over was not called done in time'))
    })
  }

  #finish(): void {
    this.#finished = true
    this.#needs.thread.loop.cancel(this.#timer)
    this.#needs.waiters.delete(this)
    this.#kept.clear()
    this.link?.pause()
  }

  /** The provider said elsewhere that the flow is over. */
  finish(stated: { up: bigint; down: bigint }): void {
    if (this.#finished) return
    this.#stated = stated
    this.#settle()
    if (this.#finished) return
    // All of it arrived, and the application still takes it: over when it has.
    if (this.#inbox !== undefined && bothOver(this.state) && !this.state.aborted) return
    this.#drop(true)
    this.#finish()
    this.#needs.events.onOver(this, stated)
  }

  // --- Another link ---

  onClosed(error: BywayError | undefined): void {
    this.link = undefined
    if (this.#finished) return
    this.#needs.thread.loop.cancel(this.#timer)
    this.#timer = undefined
    // It needs no other: only the application has not taken all of it yet.
    if (this.#stated !== undefined) return
    this.#needs.events.onSuspended(this, error ?? new BywayError('PROVIDER_LOST', 'the tunnel connection closed in the middle of a flow'))
  }

  /** Goes on on another link, from where the other end says it is. Both ends exchanged their marks on it. */
  continueOn(link: SealedLink, mark: FlowMark): void {
    const { released, sayLastWord } = onResume(this.state, mark)
    this.#kept.release(released)
    this.link = link
    link.listen(this)
    // Held back as before; but what comes first may be a reset, so one read more is taken, behind the one that is being heard.
    this.#reads = (this.#inbox?.bytes ?? 0) <= INPUT_BYTES ? 2 : 0
    if (this.#reads === 0) link.pause()
    // Of a flow that was reset the consumer still pays what was sent to it, so the provider sends all of it. What the consumer sent is worth
    // nothing any more, and the reset must not wait behind it.
    if (this.#needs.side === 'provider' || !this.state.aborted) {
      this.#kept.visit((memory, from, bytes) => sealData(link, memory, from, bytes))
      link.flush()
    }
    if (sayLastWord) link.send(this.state.aborted ? 'reset' : 'end', {})
    if (!this.#joined) this.#expectDone()
    this.#needs.thread.loop.again(this)
    this.#settle()
  }

  /** The flow never was: lets go of what it holds. */
  abandon(): void {
    this.state.aborted = true
    this.#drop(true)
    this.#finish()
  }

  /** No link comes any more: the flow ends here, and nobody is told. */
  giveUp(): void {
    if (this.#finished) return
    this.state.aborted = true
    // Nobody said `opened`, but it may have been, and these delivered.
    if (this.opening) this.state.sent += this.#kept.bytes
    this.#drop(true)
    this.#finish()
    const { link } = this
    this.link = undefined
    link?.destroy(undefined)
  }
}

const HEADER = BigInt(FRAME_HEADER_BYTES)
/** Copying so much costs less than a record. */
const FEW_BYTES = 1_024
const ASK = encodeMessage('ask', {})

/** Writes the frame header in front of the payload and seals both. A few bytes go into one record with what else is said now. */
function sealData(link: SealedLink, memory: Memory, from: number, bytes: number): void {
  const at = from - FRAME_HEADER_BYTES
  memory.bytes[at] = DATA_TYPE
  memory.bytes[at + 1] = bytes >> 16
  memory.bytes[at + 2] = (bytes >> 8) & 0xff
  memory.bytes[at + 3] = bytes & 0xff
  const end = at + FRAME_HEADER_BYTES + bytes
  if (bytes <= FEW_BYTES) link.sendFrame(Buffer.from(memory.bytes.subarray(at, end)))
  else link.sealPadded(memory, at, end - at)
}

const vectors = new WeakMap<Thread, Vector>()
/** A turn's records at most; one thread fills and uses it at a time. */
const VECTOR_ENTRIES = 256

function vectorOf(thread: Thread): Vector {
  const vector = vectors.get(thread) ?? new Vector(thread.native, VECTOR_ENTRIES)
  vectors.set(thread, vector)
  vector.clear()
  return vector
}
