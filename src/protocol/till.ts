/**
 * The till: the provider's side of a session's money, as a pure state machine.
 *
 * The rule it keeps: bytes carried never exceed bytes paid plus the credit window, nor what the channel's cap can pay. Whoever forwards
 * bytes asks {@link takeBytes} first; a voucher raises the limit only through {@link acceptStatement}, after it was made durable.
 * Nothing here knows sockets, clocks or disks. Spec: docs/protocol.md#session-money.
 */
import { most } from './credit.ts'
import type { ErrorCode } from './errors.ts'
import type { Statement } from './messages.ts'
import { bytesWithin, owed, unitsOf } from './price.ts'

/** Which way payload went, seen from the consumer. */
export type Direction = 'up' | 'down'

export interface Till {
  /** Exact debt of the channel before this session, in units x 2^30. */
  readonly base: bigint
  readonly pricePerGib: bigint
  /** Units the channel can ever pay. */
  readonly cap: bigint
  /** Bytes carried in this session. Downloads begin below zero where a payer has paid for bytes that are still to be carried. */
  up: bigint
  down: bigint
  /** Bytes of this session covered by the last durable voucher. */
  paidUp: bigint
  paidDown: bigint
  /** Amount of the last durable voucher of the channel. */
  cumulative: bigint
  /** Bytes that may be unpaid: {@link creditWindow} of this counterparty. */
  window: bigint
}

export function newTill(terms: { base: bigint; pricePerGib: bigint; cap: bigint; cumulative: bigint; window: bigint }): Till {
  return { ...terms, up: 0n, down: 0n, paidUp: 0n, paidDown: 0n }
}

export const carriedBytes = (till: Till): bigint => till.up + till.down
export const paidBytes = (till: Till): bigint => till.paidUp + till.paidDown
/** Below zero while the payer is ahead. */
export const unpaidBytes = (till: Till): bigint => carriedBytes(till) - paidBytes(till)

/**
 * What moves along when the channel is left for another: what is unpaid, or paid ahead, of that at most `kept` (keptAhead in credit.ts). Only downloads go
 * below zero; of uploads that would, the sum counts.
 */
export function carriedOver(till: Till, kept: bigint): { up: bigint; down: bigint } {
  const up = most(till.up - till.paidUp, 0n)
  return { up, down: most(unpaidBytes(till), -kept) - up }
}

/** Takes back bytes that were counted and then not carried. */
export function giveBackBytes(till: Till, direction: Direction, bytes: bigint): void {
  till[direction] -= bytes
  // They were paid for, and the session has moved since: they come off the sum.
  if (till.up < 0n) {
    till.down += till.up
    till.up = 0n
  }
}

/** Bytes that may still be carried before a voucher must come. */
export function roomBytes(till: Till): bigint {
  const credit = paidBytes(till) + till.window - carriedBytes(till)
  const payable = capBytes(till)
  const room = payable === undefined || credit < payable ? credit : payable
  return room < 0n ? 0n : room
}

/** Bytes until the cap is reached: past this no voucher can ever pay. Undefined when bytes are free. */
export function capBytes(till: Till): bigint | undefined {
  const total = bytesWithin(till.cap, till.base, till.pricePerGib)
  return total === undefined ? undefined : total - carriedBytes(till)
}

/** Meters `bytes` if there is room for all of them, else changes nothing. */
export function takeBytes(till: Till, direction: Direction, bytes: number): boolean {
  const count = BigInt(bytes)
  if (count > roomBytes(till)) return false
  if (direction === 'up') till.up += count
  else till.down += count
  return true
}

/**
 * Checks what a statement says against what was carried and what came before. The caller has checked the signature, and applies it with
 * {@link acceptStatement} once it is durable.
 *
 * The amount must be exactly the floor of the debt, so that both sides' ledgers agree to the unit. Bytes may exceed what this side
 * metered (a payer may give more), never the cap.
 */
export function checkStatement(till: Till, statement: Pick<Statement, 'up' | 'down' | 'cumulative'>): ErrorCode | undefined {
  if (statement.cumulative > till.cap) return 'CAP_EXCEEDED'
  if (statement.cumulative < till.cumulative || statement.up < till.paidUp || statement.down < till.paidDown) return 'VOUCHER_LOWER'
  if (statement.cumulative !== unitsOf(statementDebt(till, statement))) return 'VOUCHER_AMOUNT'
  return undefined
}

/** Exact debt of the channel a statement's bytes amount to, in units x 2^30. */
export function statementDebt(till: Pick<Till, 'base' | 'pricePerGib'>, statement: Pick<Statement, 'up' | 'down'>): bigint {
  return owed(till.base, statement.up + statement.down, till.pricePerGib)
}

/**
 * What may be unpaid from now on: `window`, but no less than what is unpaid already. That was lent under a wider window, of which the other side
 * may never have heard: a count above the window it is told of now would look like a lie.
 */
export function windowOver(window: bigint, unpaid: bigint): bigint {
  return window > unpaid ? window : unpaid
}

/**
 * Puts a statement that is durable into the till; `window`: what this payer may owe by its history. One that shrank (its peak is forgotten) still
 * covers what was lent under the old one, see {@link windowOver}, but lends nothing beyond that.
 */
export function acceptStatement(till: Till, statement: Pick<Statement, 'up' | 'down' | 'cumulative'>, window: bigint): void {
  // Two statements may be made durable in one write; the later one wins whatever order they are applied in.
  if (statement.up < till.paidUp || statement.down < till.paidDown) return
  till.paidUp = statement.up
  till.paidDown = statement.down
  till.cumulative = statement.cumulative
  const unpaid = unpaidBytes(till)
  till.window = windowOver(window, unpaid < till.window ? unpaid : till.window)
}
