/**
 * Verification: recomputes the money of a home from its vouchers and the chain, trusting nothing the book or the ledger says.
 *
 * It goes through what a stranger with the journal and an RPC could check, in the order money is made: roots and leaves hash to their
 * names, vouchers follow from bytes and price and are signed, their sums are what book and ledger show, and the contract paid what the
 * ledger calls claimed. The first difference is named and ends the search: what follows from it would only confuse.
 */
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { owed, unitsOf } from '../protocol/price.ts'
import { buildTree, foldProof } from '../protocol/tree.ts'
import { type Domain, rootIdOf, type Voucher } from '../protocol/voucher.ts'
import { type Book, bookOf, type Channel, channelKey } from './book.ts'
import { ledgerOf } from './ledger.ts'
import type { JournalRecord, RecordOf } from './records.ts'

/** What verification asks of the chain; `channelPaid` is zero and zero for a channel that was never claimed, or was swept. */
export interface ChainReader {
  rootState(rootId: Hex): Promise<'none' | 'open' | 'closed'>
  channelPaid(channel: { rootId: Hex; index: number; payee: Hex; signer: Hex }): Promise<{ cap: bigint; paid: bigint }>
  /** What was ever burnt of a payee's claims. */
  burntOf(payee: Hex): Promise<bigint>
}

/** Address that signed a voucher, or undefined when nobody did. */
export type RecoverVoucher = (domain: Domain, voucher: Voucher) => Hex | undefined

export interface Difference {
  what: string
  expected: string
  found: string
}

export interface Verification {
  checked: { sessions: number; vouchers: number; signatures: number; channels: number; roots: number; rewards?: number }
  firstDifference?: Difference
}

/** Recomputes everything. Rejects only when the chain cannot be asked. */
export async function verifyBook(
  records: readonly JournalRecord[],
  chain: ChainReader,
  recover: RecoverVoucher,
  signal?: AbortSignal,
): Promise<Verification> {
  const checked: Verification['checked'] = { sessions: 0, vouchers: 0, signatures: 0, channels: 0, roots: 0 }
  try {
    checkVouchers(records, checked)
    const book = fold(records)
    checkRoots(book, checked)
    checkSignatures(book, records, recover, checked)
    checkSums(book, records)
    await checkChain(book, chain, checked, signal)
    return { checked }
  } catch (thrown) {
    if (thrown instanceof Differs) return { checked, firstDifference: thrown.difference }
    throw thrown
  }
}

/** Unwinds to {@link verifyBook} with the first difference. */
class Differs extends Error {
  readonly difference: Difference

  constructor(difference: Difference) {
    super(difference.what)
    this.difference = difference
  }
}

function same(what: string, expected: string | bigint | number | undefined, found: string | bigint | number | undefined): void {
  if (expected !== found) throw new Differs({ what, expected: String(expected), found: String(found) })
}

function atMost(what: string, limit: bigint, found: bigint): void {
  if (found > limit) throw new Differs({ what, expected: `at most ${limit}`, found: String(found) })
}

/** Every voucher at hand says what its bytes and its session's price say. */
function checkVouchers(records: readonly JournalRecord[], checked: Verification['checked']): void {
  const sessions = new Map<string, RecordOf<'session-opened'>>()
  for (const record of records) {
    if (record.kind === 'session-opened') sessions.set(record.sessionId, record)
    if (record.kind !== 'voucher') continue
    checked.vouchers++
    const name = `voucher ${record.cumulative} of session ${record.sessionId}`
    const session = sessions.get(record.sessionId)
    if (session === undefined)
      throw new Differs({ what: `${name}: its session`, expected: 'a session-opened record before it', found: 'none' })
    same(
      `${name}: debt of ${record.up + record.down} bytes`,
      owed(session.base, record.up + record.down, session.pricePerGib),
      record.numerator,
    )
    same(`${name}: amount`, unitsOf(record.numerator), record.cumulative)
  }
}

function fold(records: readonly JournalRecord[]): Book {
  try {
    return bookOf(records)
  } catch (thrown) {
    if (!(thrown instanceof BywayError) || thrown.code !== 'STATE_CORRUPT') throw thrown
    const { record, kind } = thrown.facts
    throw new Differs({ what: `record ${record} (${kind})`, expected: 'one that can follow those before it', found: thrown.message })
  }
}

/** Roots are named by what they commit to, and every leaf of ours is under one. */
function checkRoots(book: Book, checked: Verification['checked']): void {
  for (const { rootId, descriptor, leaves } of book.roots.values()) {
    checked.roots++
    same(`root ${rootId}: name`, rootIdOf(descriptor), rootId)
    if (leaves.length === 0) continue
    const tree = buildTree(leaves)
    same(`root ${rootId}: hash of its ${leaves.length} leaves`, tree.root, descriptor.root)
    same(`root ${rootId}: sum of its caps`, tree.sum, descriptor.sum)
  }
  if (book.genesis?.role !== 'provider') return
  for (const { rootId, index, payee, cap, salt, siblings, root } of book.channels.values()) {
    const top = foldProof(payee, { index, cap, salt, siblings: [...siblings] }, root.descriptor.depth)
    same(`channel ${channelKey(rootId, index)}: root its proof leads to`, root.descriptor.root, top?.root)
    same(`channel ${channelKey(rootId, index)}: sum its proof leads to`, root.descriptor.sum, top?.sum)
  }
}

/** The last voucher of every session, and every high-water voucher, is signed by the key its root names. */
function checkSignatures(book: Book, records: readonly JournalRecord[], recover: RecoverVoucher, checked: Verification['checked']): void {
  if (book.genesis === undefined) return
  const { chainId, channels } = book.genesis
  const last = new Map<string, RecordOf<'voucher'>>()
  for (const record of records) if (record.kind === 'voucher') last.set(record.sessionId, record)
  const marks = records.filter((record) => record.kind === 'high-water')
  for (const { rootId, index, cumulative, signature } of [...last.values(), ...marks]) {
    if (signature === undefined) continue
    const { payee, root } = book.channel(rootId, index)!
    const signer = recover({ chainId, channels }, { rootId, index, payee, cumulative, signature })
    same(`voucher ${cumulative} of channel ${channelKey(rootId, index)}: signer`, root.descriptor.signer, signer)
    checked.signatures++
  }
}

/** What the vouchers add up to, computed here, is what book and ledger show. */
function checkSums(book: Book, records: readonly JournalRecord[]): void {
  const ledger = ledgerOf(records)
  const { totals } = ledger
  const highest = highestAmounts(records)
  let promised = 0n
  for (const [key, channel] of book.channels) {
    const name = `channel ${key}`
    const most = highest.get(key) ?? 0n
    same(`${name}: amount promised`, most, channel.cumulative)
    atMost(`${name}: amount promised within its cap`, channel.cap, most)
    promised += most
  }
  const [sum, name] = book.genesis?.role === 'consumer' ? [totals.spent, 'spent'] : [totals.earned, 'earned']
  same(`ledger: ${name} and given back`, promised, sum + totals.returned)
  same('ledger: whether its rows add up', 'yes', ledger.identityHolds ? 'yes' : 'no')
}

/** For each channel the most any record says was promised: by a voucher, by a peer or the chain, or by being paid. */
function highestAmounts(records: readonly JournalRecord[]): Map<string, bigint> {
  const highest = new Map<string, bigint>()
  const see = ({ rootId, index }: { rootId: Hex; index: number }, amount: bigint) => {
    const key = channelKey(rootId, index)
    if (amount >= (highest.get(key) ?? 0n)) highest.set(key, amount)
  }
  for (const record of records) {
    if (record.kind === 'voucher' || record.kind === 'high-water') see(record, record.cumulative)
    if (record.kind === 'claim-settled') for (const channel of record.channels) see(channel, channel.paid)
  }
  return highest
}

/** A root has up to a thousand leaves; so many questions an RPC answers in one go without calling it abuse. */
const QUESTIONS_AT_ONCE = 32

/** The contract paid what the book says, and still holds what it says is left. */
async function checkChain(book: Book, chain: ChainReader, checked: Verification['checked'], signal?: AbortSignal): Promise<void> {
  const onChain = new Map<Hex, 'none' | 'open' | 'closed'>()
  for (const { rootId, state } of book.roots.values()) {
    signal?.throwIfAborted()
    const found = await chain.rootState(rootId)
    onChain.set(rootId, found)
    // A provider need not have noticed a close: what matters to it is checked channel by channel.
    if (book.genesis?.role === 'provider' && state === 'open' && found === 'closed') continue
    // A plan that failed here may have been mined after all: then there is money the book does not know of.
    same(`root ${rootId}: state on chain`, state === 'open' || state === 'closed' ? state : 'none', found)
  }
  const onIt = [...book.channels.values()].filter(({ rootId }) => onChain.get(rootId) !== 'none')
  for (let at = 0; at < onIt.length; at += QUESTIONS_AT_ONCE) {
    signal?.throwIfAborted()
    const part = onIt.slice(at, at + QUESTIONS_AT_ONCE)
    const states = await Promise.all(
      part.map(({ rootId, index, payee, root }) => chain.channelPaid({ rootId, index, payee, signer: root.descriptor.signer })),
    )
    for (const [position, channel] of part.entries()) {
      checkChannel(book, channel, onChain.get(channel.rootId), states[position]!)
      checked.channels++
    }
  }
  if (book.genesis?.role === 'provider') same('ledger: burnt on chain', await chain.burntOf(book.genesis.wallet), book.burnt)
  checked.sessions = book.sessions.size
}

function checkChannel(
  book: Book,
  channel: Channel,
  root: 'none' | 'open' | 'closed' | undefined,
  { cap, paid }: { cap: bigint; paid: bigint },
): void {
  const name = `channel ${channelKey(channel.rootId, channel.index)}`
  const provider = book.genesis?.role === 'provider'
  // A channel that was never claimed is not on chain, nor one swept after the root was closed.
  const active = cap > 0n
  if (active) same(`${name}: cap on chain`, channel.cap, cap)
  if (active || root === 'open') {
    if (provider) same(`${name}: paid on chain`, paid, channel.paid)
    else atMost(`${name}: paid on chain, of what was promised`, channel.cumulative, paid)
  } else if (provider) {
    same(`${name}: claimable from a root that was closed`, 0n, channel.cumulative - channel.paid - channel.lost)
  }
}
