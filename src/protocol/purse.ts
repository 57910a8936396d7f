/**
 * The purse: the consumer's side of a session's money, as a pure state machine.
 *
 * The rule it keeps: it signs only for bytes this side saw, and on fast lines for some more that are to come. Downloaded bytes count when they
 * arrive. Uploaded bytes count when the provider says it delivered them, up to what was sent. Bytes lost with a broken link are paid on the
 * provider's word. What is paid ahead and what is paid on its word are never more than the credit window together: that is all a provider that
 * overstates, or takes the money and leaves, can take. Spec: docs/protocol.md#session-money.
 */
import { creditWindow, least, MAX_WINDOW_BYTES, most, stepBytes } from './credit.ts'
import type { ErrorCode } from './errors.ts'
import { bytesFor, bytesWithin, owed, unitsOf } from './price.ts'

export interface Purse {
  /** Exact debt of the channel before this session, in units x 2^30. */
  readonly base: bigint
  readonly pricePerGib: bigint
  readonly cap: bigint
  /**
   * Bytes that arrived and bytes sent, in this session. What arrived begins below zero where bytes were paid for before and are still to come; so does
   * {@link statedDown}.
   */
  received: bigint
  sent: bigint
  /** Bytes that arrived for flows this side gave up and that are not over yet. */
  discarding: bigint
  /** The provider's own totals, from its last `meter`. */
  statedUp: bigint
  statedDown: bigint
  /** Downloaded bytes of broken links to be paid on the provider's word, in this session; and how many of them the last voucher covers. */
  disputedDown: bigint
  disputedPaid: bigint
  /** What the last signed voucher covers. */
  paidUp: bigint
  paidDown: bigint
  cumulative: bigint
  /** Bytes paid to this provider, and bytes of those paid on its word, in earlier sessions. */
  readonly paidBefore: bigint
  readonly disputedBefore: bigint
  /** The provider's window as it last said: paces payment. */
  window: bigint
  /** The largest window it ever said in this session: bounds what its meter may claim. */
  widest: bigint
}

export function newPurse(terms: {
  base: bigint
  pricePerGib: bigint
  cap: bigint
  cumulative: bigint
  paidBefore: bigint
  disputedBefore: bigint
  window: bigint
}): Purse {
  const window = least(terms.window, MAX_WINDOW_BYTES)
  return {
    ...terms,
    window,
    widest: window,
    received: 0n,
    sent: 0n,
    discarding: 0n,
    statedUp: 0n,
    statedDown: 0n,
    disputedDown: 0n,
    disputedPaid: 0n,
    paidUp: 0n,
    paidDown: 0n,
  }
}

/** The purse of a session that moved to another channel: what is not paid yet moves along, also what is still under way, and what is paid ahead. */
export function movedPurse(old: Purse, fresh: Purse, stated: { up: bigint; down: bigint }): Purse {
  return {
    ...fresh,
    // What is under way was lent under the old window, which may have been wider.
    widest: most(old.widest, fresh.widest),
    received: old.received + old.disputedPaid - old.paidDown,
    disputedDown: old.disputedDown - old.disputedPaid,
    sent: old.sent - old.paidUp,
    discarding: old.discarding,
    statedUp: stated.up,
    statedDown: stated.down,
  }
}

/**
 * Bytes of flows this side gave up go on arriving until the provider hears of it. They are paid once their flow is over, not before: so no more
 * than a window's worth can be on its way, beside what is paid ahead, and one that goes on and on gets nothing for it.
 */
export function onDiscard(purse: Purse, bytes: bigint): ErrorCode | undefined {
  purse.discarding += bytes
  const paidBytes = purse.paidBefore + purse.paidUp + purse.paidDown
  const limit = creditWindow({ paidBytes, unpaidBytes: 0n }) + most(-unpaid(purse), 0n)
  return purse.discarding > limit ? 'METER_DIVERGED' : undefined
}

/** A flow that was given up is over: what it still brought is due now. */
export function onDiscarded(purse: Purse, bytes: bigint): void {
  purse.discarding -= bytes
  purse.received += bytes
}

/** Bytes of this session that this side pays for: those it saw, and those it takes the provider's word for. Downloads may be paid ahead of it. */
export function counted(purse: Purse): { up: bigint; down: bigint } {
  return {
    up: most(purse.paidUp, least(purse.statedUp, purse.sent)),
    down: purse.received + purse.disputedDown,
  }
}

/** Bytes counted and not paid, over both directions; below zero while more is paid ahead than that. */
export function unpaid(purse: Purse): bigint {
  const { up, down } = counted(purse)
  return up + down - purse.paidUp - purse.paidDown
}

/**
 * Bytes this side knows of at the end of a session, paid or not: what it sent, though nobody said any more whether it was delivered, and what
 * came for flows it had given up. After a loss the provider may ask for these without being doubted. What it was believed is among them once a
 * voucher says so: whatever is not written down would be forgotten, and could be claimed again and again.
 */
export function witnessed(purse: Purse): { up: bigint; down: bigint } {
  return { up: most(purse.paidUp, purse.sent), down: purse.received + purse.disputedPaid + purse.discarding }
}

/** Bytes this side still accepts to pay without having seen them: the same function of history that limits the provider's risk. */
export function tolerance(purse: Purse): bigint {
  const paidBytes = purse.paidBefore + purse.paidUp + purse.paidDown
  return creditWindow({ paidBytes, unpaidBytes: purse.disputedBefore + purse.disputedDown })
}

/** The provider acknowledged a voucher and said what it now lends. */
export function onPaid(purse: Purse, window: bigint): void {
  purse.window = least(window, MAX_WINDOW_BYTES)
  purse.widest = most(purse.widest, purse.window)
}

/** Bytes a voucher is to be signed for. */
export const dueBytes = (purse: Purse): bigint => most(unpaid(purse), 0n)

/**
 * What goes by, in bytes: while a voucher is on its way to the provider's disk, between what the provider has lent and what has arrived, and in the
 * time that a voucher should last.
 */
export interface LeadBytes {
  readonly voucher: bigint
  readonly inFlight: bigint
  readonly lasting: bigint
}

/** Of what may be paid ahead, a part stays for links that break: a provider that died with what was paid ahead is still believed then. */
const KEPT_FOR_DISPUTES_BYTES = MAX_WINDOW_BYTES / 4n

/** At the end of a channel each step is paid: it must be left for another in time. */
function nearEnd(purse: Purse): boolean {
  const limit = bytesWithin(purse.cap, purse.base, purse.pricePerGib)
  return limit !== undefined && limit - purse.paidUp - purse.paidDown < 2n * purse.window
}

/**
 * Bytes to pay for before they come. A window that grows no more, on a line that carries more than it in the time a voucher should last, would be hundreds
 * of vouchers a second, and flows that wait for them. So as much as is missing is paid ahead: at most what this side accepts to lose, less a quarter.
 */
export function aheadBytes(purse: Purse, lead: LeadBytes | undefined): bigint {
  if (lead === undefined || purse.window < MAX_WINDOW_BYTES || nearEnd(purse)) return 0n
  // At such a price amounts, which are floors, say nothing of so few bytes, and a provider could not keep what is ahead apart from a gift.
  if ((bytesFor(1n, purse.pricePerGib) ?? 0n) > stepBytes(purse)) return 0n
  const mayLose = tolerance(purse) - KEPT_FOR_DISPUTES_BYTES
  return most(least(lead.lasting - purse.window, mayLose), 0n)
}

/**
 * Lent bytes after which a payment waits no longer. On a fast line a voucher a step would be hundreds a second, and nobody needs them: what is left of the
 * window must last until this one has arrived, and of that the provider lent what is in flight already. A quarter is left whatever happens, and half is
 * enough for disks that became slow because they are asked so often.
 */
function ripeBytes(purse: Purse, lead: LeadBytes | undefined): bigint {
  const { window } = purse
  if (nearEnd(purse)) return stepBytes(purse)
  const left = most(window / 4n, least(lead?.voucher ?? window, window / 2n))
  return most(window - left - (lead?.inFlight ?? 0n), stepBytes(purse))
}

/** What the provider has lent, as far as it is known here: it may know of more than arrived. Below zero while it is paid ahead. */
function lentBytes(purse: Purse): bigint {
  return most(unpaid(purse), purse.statedUp + purse.statedDown - purse.paidUp - purse.paidDown)
}

/**
 * Whether what is due is to be paid now, and not with what comes soon: a step of it at least, whatever the provider says it has lent. A step is while
 * little is known of the line, and so is one of uploads: they are told when the provider has lent much of its window for them.
 */
export function isRipe(purse: Purse, lead: LeadBytes | undefined): boolean {
  const step = stepBytes(purse)
  if (dueBytes(purse) < step) return false
  return lead === undefined || lentBytes(purse) >= ripeBytes(purse, lead) || counted(purse).up - purse.paidUp >= step
}

/** Bytes until then, where somebody else counts and is asked now and then. `signing`: bytes that a voucher under way covers. */
export function promptBytes(purse: Purse, { signing, lead }: { signing: bigint; lead: LeadBytes | undefined }): bigint {
  return most(ripeBytes(purse, lead) - (unpaid(purse) - signing), stepBytes(purse))
}

/**
 * The next statement to sign, or undefined when nothing is due; `ahead`: bytes to come that it pays for as well, see {@link aheadBytes}. When the cap
 * cannot pay for all that is due, `short` is true and the statement covers what it can.
 */
export function nextStatement(
  purse: Purse,
  ahead = 0n,
): { up: bigint; down: bigint; disputed: bigint; cumulative: bigint; numerator: bigint; short: boolean } | undefined {
  if (dueBytes(purse) === 0n) return undefined
  let { up, down } = counted(purse)
  const total = up + down + ahead
  // Only downloads are ever ahead. Where they are by more than this, uploads use that up.
  down = most(purse.paidDown, down + ahead)
  up = total - down
  const limit = bytesWithin(purse.cap, purse.base, purse.pricePerGib)
  const short = limit !== undefined && up + down > limit
  if (short) {
    down = most(purse.paidDown, least(down, limit - purse.paidUp))
    up = most(purse.paidUp, least(up, limit - down))
  }
  const numerator = owed(purse.base, up + down, purse.pricePerGib)
  return { up, down, disputed: purse.disputedDown, cumulative: unitsOf(numerator), numerator, short }
}

/** The statement was made durable and may be sent. */
export function markSigned(purse: Purse, statement: { up: bigint; down: bigint; disputed: bigint; cumulative: bigint }): void {
  purse.paidUp = statement.up
  purse.paidDown = statement.down
  purse.disputedPaid = statement.disputed
  purse.cumulative = statement.cumulative
}

/**
 * The provider's running totals. It forwards at most its window beyond what was paid, so totals above that are false whatever is still in
 * flight, and so are uploads above what was sent.
 */
export function onMeter(purse: Purse, stated: { up: bigint; down: bigint }): ErrorCode | undefined {
  if (stated.up > purse.sent) return 'METER_DIVERGED'
  if (stated.up + stated.down > purse.paidUp + purse.paidDown + purse.widest) return 'METER_DIVERGED'
  purse.statedUp = most(purse.statedUp, stated.up)
  purse.statedDown = most(purse.statedDown, stated.down)
  return undefined
}

/** A flow that ended cleanly leaves no room for opinion: both sides saw the same bytes or one of them lies. */
export function checkDone(
  flow: { sent: bigint; received: bigint; aborted: boolean },
  stated: { up: bigint; down: bigint },
): ErrorCode | undefined {
  if (stated.down !== flow.received) return 'METER_DIVERGED'
  // After a reset the provider may have thrown away what was on its way to the destination; it never delivers more than was sent.
  if (stated.up > flow.sent || (!flow.aborted && stated.up !== flow.sent)) return 'METER_DIVERGED'
  return undefined
}

/** The link of a flow broke: the provider says what it carried. The difference is paid while the tolerance lasts. */
export function onLost(
  purse: Purse,
  flow: { sent: bigint; received: bigint },
  stated: { up: bigint; down: bigint },
): ErrorCode | undefined {
  if (stated.up > flow.sent || stated.down < flow.received) return 'METER_DIVERGED'
  const doubt = stated.down - flow.received
  if (doubt > tolerance(purse)) return 'METER_DIVERGED'
  purse.disputedDown += doubt
  return undefined
}
