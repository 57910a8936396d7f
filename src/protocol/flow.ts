/**
 * The rules of a flow, as a pure state machine: what each end may say when, what it must keep, and where a flow goes on after its link broke.
 *
 * Each direction is a stream with an offset. The receiver acknowledges offsets; the sender keeps what is not acknowledged, and when the link
 * broke it sends that again on another link, from the offset the receiver names. So a flow outlives its links, and each byte counts once: when
 * it is first sent, when it first arrives. Both data paths follow this file. Spec: docs/protocol.md#flows.
 */
import { BywayError } from './errors.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
/** Payload a consumer may send before `opened`: an HTTP request or a ClientHello with its extensions. */
export const MAX_EARLY_BYTES = 16 * 1024
/** Flows of one session, and its links: a household with many tabs has hundreds, a scraper a few thousand. One that is idle holds about 15 KiB. */
export const MAX_SESSION_FLOWS = 8_192
/** A flow without a link, and a session without a control link, are given up after this long. */
export const RESUME_LIMIT_MS = 60_000

// --- Our choices. Safe to change. ---
/**
 * A sender that may keep much asks after this many bytes. Each question and its answer cost both ends a system call and a record: at 512 KiB they
 * were a twentieth of what a byte costs on a fast line. More would only wait in memory.
 */
export const ASK_STEP_BYTES = 1024 * 1024
/**
 * A provider leaves this much of what a consumer sent to be acknowledged by `done`: a request, whose end would else cost a message of its own. More
 * would lie in the memory of consumers with thousands of flows that wait for an answer.
 */
export const UNTOLD_BYTES = 4 * 1024
/** Kept for a link that may break: twice what Linux lets a connection have under way, so it never holds a sound line back. */
export const MAX_UNACKED_BYTES = 8 * 1024 * 1024
/** Every flow may keep this much, however many there are: enough for a home line's round trip. */
export const LEAST_UNACKED_BYTES = 512 * 1024
/**
 * What all flows of a session keep together before each keeps its least: what 1 Gbit/s carries in a quarter second. A thousand stalled flows must not fill
 * the memory, and what dozens of busy ones keep must not be more than a cache holds: with twice as much, 64 uploads over two hops cost 7 % more CPU.
 */
export const MOST_KEPT_BYTES = 4 * MAX_UNACKED_BYTES

/** One flow of a session may keep this part of the window that the others leave, unacknowledged. */
const SHARE = 3 / 4
/**
 * However little that is: a flow that has nothing under way may say something, else nobody would acknowledge anything; and dozens of busy flows, all of
 * which are read, must not send crumbs.
 */
export const LEAST_SHARE_BYTES = 16 * 1024
const LEAST_SHARE = 1 / 16
/** Where the share is what bounds a flow answers come twice as often: a payment takes a round trip too, and must be what a long line waits for. */
export const ASKS = { inAll: 2, inShare: 4 } as const

/**
 * Bytes that one flow may have under way where `window` bytes of its session may be unpaid, and `others` of them are with other flows. What nobody reads
 * cannot be paid for, so a flow whose application stopped reading keeps what it holds: it must leave some of the window to the others. The first of
 * them leaves a quarter, the next a quarter of that.
 */
export const shareOf = (window: number, others: number): number =>
  Math.max(LEAST_SHARE_BYTES, Math.floor(Math.max(window * LEAST_SHARE, (window - others) * SHARE)))

/** How long to wait for another way when one broke. Both ends are given it, so that tests need not wait a minute. */
export interface Outage {
  limitMs: number
  /** Between attempts. */
  againMs: number
}

/** A line that comes back is used at once, one that stays away costs a packet now and then. */
export const OUTAGE: Outage = { limitMs: RESUME_LIMIT_MS, againMs: 500 }

/** A link that waits for a flow is closed after this long, which is longer than the pause between two clicks, but for {@link KEPT_IDLE}. */
export const IDLE_LIMIT_MS = 60_000
/** What a browser opens to one site: a page that is opened after a pause needs no handshakes, through each hop anew. */
export const KEPT_IDLE = 6

/** One end of a flow. Offsets are payload bytes since the flow began; they fit a number for 9 PB. */
export interface FlowState {
  /** Put on a link, counted once. */
  sent: number
  /** Of those, what the other end has. */
  acked: number
  /** Of those, what the other end was asked to acknowledge. */
  asked: number
  received: number
  /** What we last acknowledged. */
  acknowledged: number
  /** The other end asked what we have. */
  wanted: boolean
  /** This end said its last word (`end` or `reset`), the other end did. */
  localOver: boolean
  remoteOver: boolean
  /** A reset went either way: what was on its way may have been thrown away. */
  aborted: boolean
}

/** What one end tells the other when a flow goes on elsewhere. */
export interface FlowMark {
  received: number
  /** Whether the other end's last word arrived. */
  over: boolean
}

/**
 * None yet, of bytes that are counted for as long as a flow lasts. V8 gives a field that began as a small integer another shape when it outgrows
 * 31 bits, and does not recover: after the first flow of 2 GiB it spent a third of a busy node's CPU on compiling, again and again, what makes
 * flows. Minus zero is no small integer: the field has its last shape from the start.
 */
export const NO_BYTES = -0

export function newFlow(): FlowState {
  return {
    sent: NO_BYTES,
    acked: NO_BYTES,
    asked: NO_BYTES,
    received: NO_BYTES,
    acknowledged: NO_BYTES,
    wanted: false,
    localOver: false,
    remoteOver: false,
    aborted: false,
  }
}

/** Payload arrived. Throws MESSAGE_UNEXPECTED after the other end's last word. */
export function onData(flow: FlowState, bytes: number): void {
  if (flow.remoteOver) throw new BywayError('MESSAGE_UNEXPECTED', 'data after the end of a flow')
  flow.received += bytes
}

/** The other end asks what arrived; {@link ackDue} now. Throws MESSAGE_UNEXPECTED after its last word, to which everything is acknowledged. */
export function onAsk(flow: FlowState): void {
  if (flow.remoteOver) throw new BywayError('MESSAGE_UNEXPECTED', 'a question after the end of a flow')
  flow.wanted = true
}

/**
 * Whether to ask the other end what arrived, now that everything sent so far is on the link: when half of the `most` bytes that may be kept went by
 * since it was last asked, or acknowledged (or another part of them, see {@link ASKS}). So an answer is always under way before the sender must stop.
 * Asked once: it counts as asked. Never after our last word, to which everything is acknowledged unasked.
 */
export function askDue(flow: FlowState, most: number, asks: number = ASKS.inAll): boolean {
  if (flow.localOver) return false
  const step = Math.min(most / asks, ASK_STEP_BYTES)
  if (flow.sent - Math.max(flow.asked, flow.acked) < step) return false
  flow.asked = flow.sent
  return true
}

/**
 * What to acknowledge now, if anything: what was asked for, and after the other end's last word everything, because a provider waits for that. A
 * consumer waits for `done`, which says the same of a few bytes (`untold`: what may stay unacknowledged then).
 */
export function ackDue(flow: FlowState, untold = 0): number | undefined {
  const left = flow.received - flow.acknowledged
  const due = flow.wanted || (flow.remoteOver && left > untold)
  flow.wanted = false
  if (!due || left === 0) return undefined
  flow.acknowledged = flow.received
  return flow.received
}

/**
 * What a consumer acknowledges, unasked, right before it ends: a provider that has nothing left to wait for says `done` with its own end, in one
 * message and not after another round trip.
 */
export function ackAtEnd(flow: FlowState): number | undefined {
  if (flow.received === flow.acknowledged) return undefined
  flow.wanted = false
  flow.acknowledged = flow.received
  return flow.received
}

/** The other end has everything up to `received`; returns how many kept bytes may go. Throws MESSAGE_UNEXPECTED for what was never sent. */
export function onAck(flow: FlowState, received: number): number {
  if (received > flow.sent) throw new BywayError('MESSAGE_UNEXPECTED', 'an acknowledgement of bytes that were not sent')
  // An old one may arrive after a resume told more.
  if (received <= flow.acked) return 0
  const released = received - flow.acked
  flow.acked = received
  return released
}

/** The other end sends no more; {@link ackDue} now. */
export function onEnd(flow: FlowState): void {
  if (flow.remoteOver && !flow.aborted) throw new BywayError('MESSAGE_UNEXPECTED', 'a flow ended twice')
  flow.remoteOver = true
}

/** The other end gave up; {@link ackDue} now. */
export function onReset(flow: FlowState): void {
  flow.aborted = true
  flow.remoteOver = true
}

/** Both ends said their last word: nothing new will be sent. */
export const bothOver = (flow: FlowState): boolean => flow.localOver && flow.remoteOver

/**
 * The provider says `done` and forgets what it kept: both last words are said, and the consumer has every byte. Before that the link may still
 * break with bytes on their way.
 */
export const mayBeDone = (flow: FlowState): boolean => bothOver(flow) && flow.acked === flow.sent

export const markOf = (flow: FlowState): FlowMark => ({ received: flow.received, over: flow.remoteOver })

/**
 * The flow goes on on another link, from where the other end says it is. Returns how many kept bytes may go; everything still kept is then
 * sent again, and after it our last word if we had said it and it did not arrive. Throws MESSAGE_UNEXPECTED for offsets that cannot be.
 */
export function onResume(flow: FlowState, mark: FlowMark): { released: number; sayLastWord: boolean } {
  if (mark.received < flow.acked) throw new BywayError('MESSAGE_UNEXPECTED', 'a flow cannot resume before what was acknowledged')
  // After a reset what was on its way need not be sent again.
  if (mark.over && (!flow.localOver || (mark.received !== flow.sent && !flow.aborted))) {
    throw new BywayError('MESSAGE_UNEXPECTED', 'the other end heard a last word that was not said')
  }
  const released = onAck(flow, mark.received)
  // Questions that were under way are lost, and so are the other end's.
  flow.asked = flow.acked
  flow.wanted = false
  // Our own mark said what we have: no older acknowledgement is owed.
  flow.acknowledged = flow.received
  // A reset may have followed an end that was heard: it is said again in any case.
  return { released, sayLastWord: flow.localOver && (!mark.over || flow.aborted) }
}
