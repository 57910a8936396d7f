/**
 * The credit window: how much one side may have at risk with the other.
 *
 * 256 KiB with a stranger, then a quarter of what this counterparty has already paid, never more than 16 MiB or 250 ms of traffic; where 250 ms
 * are too short for a payment to come, twice what was lent when flows had to wait. A cheat has paid four times what it can take. What a counterparty
 * still owes from before comes off its window, so taking the window, leaving and returning yields nothing more. Spec: docs/protocol.md#credit-window.
 */

import { bytesFor, bytesWithin } from './price.ts'

// --- Fixed by docs/protocol.md: both sides compute the same window. ---
export const STRANGER_WINDOW_BYTES = 256n * 1024n
export const MAX_WINDOW_BYTES = 16n * 1024n * 1024n
const PAID_DIVISOR = 4n
/** Longest traffic at risk, as far as payment comes within it: a round trip, two fsyncs, and what waits to be paid with it. */
export const TRAFFIC_WINDOW_MS = 250

// --- Our choices. Safe to change. ---
/** A pause of a minute must not send a fast pair back to the start. */
const REMEMBERED_BUCKETS = 240
/** Several times a window, so that a voucher is on its way long before the provider must stop. */
const STEPS_PER_WINDOW = 8n
/** Below this a voucher costs more work than the bytes it pays for. */
const LEAST_STEP_BYTES = 16n * 1024n
/** Whoever carries bytes says so at least this often. */
export const COUNTED_WITHIN_MS = 100

export interface CreditInput {
  /** Bytes this counterparty has paid for, ever, across sessions. */
  paidBytes: bigint
  /** Bytes it owes from earlier sessions. */
  unpaidBytes: bigint
  /** {@link PeakRate.bytes}; undefined where traffic is not yet known. */
  peakBytes?: bigint | undefined
}

export const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
export const most = (a: bigint, b: bigint): bigint => (a > b ? a : b)

/** What is owed, or below zero what was paid ahead, as the two numbers people are shown. */
export const unpaidAndPrepaid = (owed: bigint) => ({ unpaidBytes: most(owed, 0n), prepaidBytes: most(-owed, 0n) })

/** So much of a window is worth a voucher, or a word that asks for one, of its own. */
export const stepBytes = ({ window }: { readonly window: bigint }): bigint => most(window / STEPS_PER_WINDOW, LEAST_STEP_BYTES)

/** Bytes that may be unpaid now, never negative. */
export function creditWindow({ paidBytes, unpaidBytes, peakBytes }: CreditInput): bigint {
  let earned = least(paidBytes / PAID_DIVISOR, MAX_WINDOW_BYTES)
  if (peakBytes !== undefined) earned = least(earned, peakBytes)
  return most(most(earned, STRANGER_WINDOW_BYTES) - unpaidBytes, 0n)
}

/**
 * Bytes of a history that count for credit: those its units bought at `pricePerGib`. Statements alone would not do: amounts are floors, so a
 * payer could show any number of channels with less than a unit each, and statements of sessions nobody remembers name their own price.
 */
export function boughtBytes(history: { paidBytes: bigint; paidUnits: bigint }, pricePerGib: bigint): bigint {
  return least(history.paidBytes, bytesWithin(history.paidUnits, 0n, pricePerGib) ?? history.paidBytes)
}

/**
 * Most bytes paid ahead in a session that a later one still carries: a window, and no more than the units of that session bought, and what it began
 * with. What is paid beyond is a gift. Else a payer could have for nothing what costs less than a unit in each channel, or buy today at the price of today
 * what it wants next year.
 */
export function keptAhead(session: { billed: bigint; pricePerGib: bigint; carriedUp: bigint; carriedDown: bigint }): bigint {
  const bought = bytesFor(session.billed, session.pricePerGib) ?? MAX_WINDOW_BYTES
  return least(MAX_WINDOW_BYTES, bought + most(-session.carriedUp - session.carriedDown, 0n))
}

/** Remembers the most bytes carried, or asked for, in any quarter second of the last minute in which there was traffic. */
export class PeakRate {
  #buckets = new Map<number, bigint>()
  #lastMs = Number.NEGATIVE_INFINITY

  /** Adds bytes carried until `nowMs` (any monotonic clock), since the last were added: evenly, so that three counts do not become a quarter second. */
  add(nowMs: number, bytes: bigint): void {
    const bucket = Math.floor(nowMs / TRAFFIC_WINDOW_MS)
    const sinceMs = Math.min(nowMs - this.#lastMs, COUNTED_WITHIN_MS)
    const beforeMs = Math.round(sinceMs - (nowMs - bucket * TRAFFIC_WINDOW_MS))
    this.#lastMs = nowMs
    const before = beforeMs > 0 ? (bytes * BigInt(beforeMs)) / BigInt(Math.round(sinceMs)) : 0n
    if (before > 0n) this.#put(bucket - 1, before)
    this.#put(bucket, bytes - before)
  }

  /**
   * Flows waited at `nowMs`, with `window` lent, for a payment that is there now: what was carried says how long payment takes, and nothing of what the
   * line could carry. Twice as much is tried.
   */
  waited(nowMs: number, window: bigint): void {
    const bucket = Math.floor(nowMs / TRAFFIC_WINDOW_MS)
    const carried = this.#buckets.get(bucket) ?? 0n
    this.#put(bucket, most(2n * window - carried, 0n))
  }

  #put(bucket: number, bytes: bigint): void {
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0n) + bytes)
    if (this.#buckets.size > REMEMBERED_BUCKETS) {
      const oldest = this.#buckets.keys().next().value
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
  }

  /** Peak in bytes per {@link TRAFFIC_WINDOW_MS}. */
  get bytes(): bigint {
    let peak = 0n
    for (const bytes of this.#buckets.values()) peak = most(peak, bytes)
    return peak
  }
}
