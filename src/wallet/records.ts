/**
 * The records of the voucher journal: what happened to this node's money, one line each, in order.
 *
 * The journal is the only store of money on a node. Everything else (balances, ledger, what may be signed next) is a fold over these
 * records (book.ts, ledger.ts), so nothing can disagree with it. Amounts are integers in the token's smallest unit; bigints are written
 * as decimal strings.
 */
import { z } from 'zod'
import { BywayError } from '../protocol/errors.ts'

const units = z
  .string()
  .regex(/^\d{1,30}$/)
  .transform(BigInt)
const bytes = units
/** Below zero: paid for and still to be carried. */
const signedBytes = z
  .string()
  .regex(/^-?\d{1,30}$/)
  .transform(BigInt)
/** An exact debt in units x 2^30 (src/protocol/price.ts): 96 + 30 bits. */
const numerator = z
  .string()
  .regex(/^\d{1,40}$/)
  .transform(BigInt)
const hex = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${length * 2}}$`))
    .transform((s) => s as `0x${string}`)
const anyHex = z
  .string()
  .regex(/^0x([0-9a-f]{2})*$/)
  .transform((s) => s as `0x${string}`)
const atMs = z.number().int().nonnegative()

/** Names a channel: a leaf of a root. */
const channel = { rootId: hex(32), index: z.number().int().nonnegative() }

const descriptor = z.object({
  payer: hex(20),
  signer: hex(20),
  root: hex(32),
  sum: units,
  expiry: z.number().int().nonnegative(),
  depth: z.number().int().min(0).max(32),
  nonce: units,
})

/** Why a session stands as it stands; `docs/protocol.md#session-states`. */
export const CLOSE_REASONS = [
  'done',
  'idle',
  'peer-lost',
  'superseded',
  'unpaid',
  'cap-reached',
  'meter-diverged',
  'restarted',
  'shutdown',
  'expired',
] as const
export type CloseReason = (typeof CLOSE_REASONS)[number]

export const journalRecord = z.discriminatedUnion('kind', [
  /** First record of a journal: whose it is and on which chain. A daemon refuses a journal of another chain or key. */
  z.object({
    kind: z.literal('genesis'),
    version: z.literal(1),
    role: z.enum(['provider', 'consumer']),
    chainId: z.number().int(),
    channels: hex(20),
    token: hex(20),
    wallet: hex(20),
    atMs,
  }),
  /** The daemon started: vouchers signed from here on need a fresh answer of the peer, and of the chain if it answers. */
  z.object({ kind: z.literal('started'), atMs }),
  /** Consumer: a root is about to be opened (before the transaction leaves) with all its leaves, index = position. */
  z.object({
    kind: z.literal('root-planned'),
    rootId: hex(32),
    descriptor,
    leaves: z.array(z.object({ payee: hex(20), cap: units, salt: hex(32) })),
    signerNonce: units,
    atMs,
  }),
  z.object({ kind: z.literal('root-opened'), rootId: hex(32), tx: hex(32), atMs }),
  z.object({ kind: z.literal('root-failed'), rootId: hex(32), why: z.string(), atMs }),
  /**
   * Consumer: the root was closed, or channels of it were swept later, and `refund` came back; one record a transaction.
   * Provider: the root was closed and its channels of ours pay no more: what was not claimed is lost.
   */
  z.object({ kind: z.literal('root-closed'), rootId: hex(32), refund: units, tx: hex(32), atMs }),
  /** Provider: a payer's channel was checked and accepted, with everything the first claim needs. */
  z.object({
    kind: z.literal('channel-accepted'),
    ...channel,
    descriptor,
    payee: hex(20),
    cap: units,
    salt: hex(32),
    siblings: z.array(z.object({ hash: hex(32), sum: units })),
    atMs,
  }),
  /**
   * `base` is the channel's exact debt (units x 2^30) when the session began. `carriedUp`/`carriedDown` are bytes that earlier sessions of
   * this counterparty left unpaid and this one takes over: its counts start there, and the counterparty owes them here instead of there. Below
   * zero they are bytes paid ahead there, which this session carries.
   */
  z.object({
    kind: z.literal('session-opened'),
    ...channel,
    sessionId: hex(16),
    peer: anyHex,
    country: z.string(),
    pricePerGib: units,
    base: numerator,
    carriedUp: bytes,
    carriedDown: signedBytes,
    atMs,
  }),
  /**
   * A voucher: signed and durable before it is sent (consumer), checked and durable before it is acknowledged (provider).
   * `up` and `down` are the session's bytes it pays for; `disputed` (consumer) those of them paid on the provider's word after a lost link.
   * `numerator` is the exact debt of the channel in units x 2^30; `cumulative` is its floor in units.
   */
  z.object({
    kind: z.literal('voucher'),
    ...channel,
    sessionId: hex(16),
    up: bytes,
    down: bytes,
    disputed: bytes,
    numerator,
    cumulative: units,
    signature: hex(64),
    atMs,
  }),
  /** `up`/`down`: bytes this side metered; on the provider what exceeds the last voucher's is unpaid, and what the last voucher's exceed is paid ahead. */
  z.object({
    kind: z.literal('session-closed'),
    ...channel,
    sessionId: hex(16),
    up: bytes,
    down: signedBytes,
    reason: z.enum(CLOSE_REASONS),
    atMs,
  }),
  /**
   * A later voucher than ours came from the peer (its signature checked) or from the chain: this folder was restored from a copy.
   * `numerator` when the peer told it, else at least cumulative x 2^30; `signature` when the peer showed its voucher, so that it can be claimed.
   */
  z.object({
    kind: z.literal('high-water'),
    ...channel,
    cumulative: units,
    numerator: numerator.optional(),
    signature: hex(64).optional(),
    source: z.enum(['peer', 'chain']),
    atMs,
  }),
  /**
   * Provider: a claim left, and what the chain said. `paid` = what the contract records for the channel after it; `amount` is all that was newly
   * paid, `fee` the part of it the submitter kept, `burnt` the part that burns WAY. A claim somebody else submitted for us has no `claim-sent`.
   */
  z.object({ kind: z.literal('claim-sent'), tx: hex(32), vouchers: z.array(z.object({ ...channel, cumulative: units })), atMs }),
  z.object({
    kind: z.literal('claim-settled'),
    tx: hex(32),
    amount: units,
    fee: units,
    burnt: units.optional(),
    channels: z.array(z.object({ ...channel, paid: units })),
    atMs,
  }),
  /** Provider: what the contract says was ever burnt of our claims: of some, submitted by others, this folder saw only what they paid. */
  z.object({ kind: z.literal('burn-seen'), total: units, atMs }),
  z.object({ kind: z.literal('claim-failed'), tx: hex(32), why: z.string(), atMs }),
])

export type JournalRecord = z.output<typeof journalRecord>
/** Which side of sessions a journal tells of. */
export type Role = 'provider' | 'consumer'
export type RecordOf<K extends JournalRecord['kind']> = Extract<JournalRecord, { kind: K }>

/**
 * A record as it is written down. Throws INTERNAL for one that could not be read back: it would lock the owner out of all of them.
 *
 * Vouchers come eighty a gigabyte and are written by hand: to read each back with the schema would cost more than to sign it.
 */
export function recordText(record: JournalRecord): string {
  if (record.kind === 'voucher') {
    const text = voucherText(record)
    if (VOUCHER_TEXT.test(text)) return text
  }
  const text = JSON.stringify(record, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))
  const readable = journalRecord.safeParse(JSON.parse(text))
  if (!readable.success) throw new BywayError('INTERNAL', `a ${record.kind} record could not be read back`, { cause: readable.error })
  return text
}

/** The same text as of any other record. */
function voucherText(voucher: RecordOf<'voucher'>): string {
  const { rootId, index, sessionId, up, down, disputed, numerator, cumulative, signature, atMs } = voucher
  return (
    `{"kind":"voucher","rootId":"${rootId}","index":${index},"sessionId":"${sessionId}","up":"${up}","down":"${down}",` +
    `"disputed":"${disputed}","numerator":"${numerator}","cumulative":"${cumulative}","signature":"${signature}","atMs":${atMs}}`
  )
}
/** What the schema takes of it, and nothing else; narrower where numbers never go. */
const VOUCHER_TEXT = new RegExp(
  '^{"kind":"voucher","rootId":"0x[0-9a-f]{64}","index":\\d{1,10},"sessionId":"0x[0-9a-f]{32}","up":"\\d{1,30}","down":"\\d{1,30}",' +
    '"disputed":"\\d{1,30}","numerator":"\\d{1,40}","cumulative":"\\d{1,30}","signature":"0x[0-9a-f]{128}","atMs":\\d{1,15}}$',
)
