/** What a book holds: roots, their channels, the sessions paid from them, the counterparties behind them. Only book.ts changes these. */
import type { Hex } from '../protocol/bytes.ts'
import type { Leaf, Sibling } from '../protocol/tree.ts'
import type { Descriptor } from '../protocol/voucher.ts'
import type { CloseReason } from './records.ts'

export interface Root {
  readonly rootId: Hex
  readonly descriptor: Descriptor
  /** Consumer: all leaves, index = position. Provider: none, it knows only its own channels. */
  readonly leaves: readonly Leaf[]
  /** Consumer: which session key signs on this root. */
  readonly signerNonce: bigint | undefined
  state: 'planned' | 'failed' | 'open' | 'closed'
  /** Consumer: promised by vouchers on all its channels, in units, less what came back with the close. */
  spent: bigint
  refunded: bigint
  /** Transactions that closed it or swept its channels. */
  readonly closes: Set<Hex>
}

export interface Channel {
  readonly rootId: Hex
  readonly index: number
  readonly root: Root
  readonly payee: Hex
  readonly cap: bigint
  readonly salt: Hex
  /** Provider: the proof of the first claim. */
  readonly siblings: readonly Sibling[]
  /** Exact debt in units x 2^30, and its floor: all that was ever promised. */
  numerator: bigint
  cumulative: bigint
  /** The newest voucher at hand, which is what can be claimed. */
  latest: { cumulative: bigint; signature: Hex } | undefined
  /** What the contract has paid, as far as the journal knows. */
  paid: bigint
  /** Provider: promised, but the root was closed before it was claimed. */
  lost: bigint
  /** Transactions of claims that are under way. */
  readonly claims: Set<Hex>
}

export interface Session {
  readonly id: Hex
  /** Sessions opened before it. */
  readonly order: number
  readonly channel: Channel
  readonly peer: Hex
  readonly country: string
  readonly pricePerGib: bigint
  readonly base: bigint
  readonly carriedUp: bigint
  readonly carriedDown: bigint
  readonly openedAtMs: number
  /** Bytes covered by the last voucher. */
  up: bigint
  down: bigint
  disputed: bigint
  /** Units its vouchers added to the channel. */
  billed: bigint
  closed: { reason: CloseReason; atMs: number; up: bigint; down: bigint } | undefined
  /** Provider, once closed: bytes that no voucher covers, below zero those paid ahead, and what of either later sessions took over. */
  unpaid: bigint
  takenOver: bigint
}

/** The other side over all sessions: a provider knows its payers, a consumer its payees. */
export interface Counterparty {
  readonly id: Hex
  paidUnits: bigint
  paidBytes: bigint
  disputedBytes: bigint
  /** Owed from closed sessions, below zero paid ahead, and which those are, oldest first. */
  unpaidBytes: bigint
  readonly owing: Set<Session>
}

/** What a record did to money, for the ledger. All amounts are increases. `session` is undefined for amounts known only from a peer or the chain. */
export type Movement =
  | { kind: 'deposited' | 'refunded' | 'returned'; root: Root; units: bigint }
  | { kind: 'billed'; channel: Channel; session: Session | undefined; units: bigint }
  /** Promised, but the root was closed before the claim; and found again, when the claim turns out to have been in time. */
  | { kind: 'lost' | 'found'; channel: Channel; units: bigint }
  | { kind: 'settled'; channels: readonly { channel: Channel; units: bigint }[]; fee: bigint; burnt: bigint }
