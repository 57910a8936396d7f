/**
 * The book: what a node's journal adds up to. Roots, channels, sessions, counterparties, and what each record did to money.
 *
 * A book changes only through {@link apply}, one record after the other, in the order of the journal; applying is deterministic, so the
 * book of a running daemon and the book of its journal are the same. `apply` either takes a record whole or throws STATE_CORRUPT and
 * leaves the book as it was. A record repeated by a crash between doing and remembering (the same root opened, the same claim settled)
 * changes nothing the second time.
 * Longer than 400 lines because every kind of record is applied here, by the same few private steps.
 */
import type { Hex } from '../protocol/bytes.ts'
import { keptAhead, least, most } from '../protocol/credit.ts'
import { BywayError } from '../protocol/errors.ts'
import { numeratorOf, unitsOf } from '../protocol/price.ts'
import type { Leaf } from '../protocol/tree.ts'
import type { Descriptor } from '../protocol/voucher.ts'
import type { Channel, Counterparty, Movement, Root, Session } from './positions.ts'
import type { JournalRecord, RecordOf, Role } from './records.ts'

export type { Channel, Counterparty, Movement, Root, Session } from './positions.ts'

export class Book {
  genesis: RecordOf<'genesis'> | undefined
  /** Records applied. */
  length = 0
  readonly roots = new Map<Hex, Root>()
  readonly channels = new Map<string, Channel>()
  readonly sessions = new Map<Hex, Session>()
  readonly counterparties = new Map<Hex, Counterparty>()
  /** Claims that left and were not heard of since, by transaction. */
  readonly pendingClaims = new Map<Hex, RecordOf<'claim-sent'>>()
  readonly settledClaims = new Set<Hex>()
  /** Units the contract paid over all channels, what of them went to submitters, and what burns. */
  paid = 0n
  fees = 0n
  burnt = 0n

  /** History with a payer (provider) or payee (consumer); zeros for a stranger. */
  counterparty(id: Hex): Readonly<Counterparty> {
    return this.counterparties.get(id) ?? { id, paidUnits: 0n, paidBytes: 0n, disputedBytes: 0n, unpaidBytes: 0n, owing: new Set() }
  }

  channel(rootId: Hex, index: number): Channel | undefined {
    return this.channels.get(channelKey(rootId, index))
  }
}

export const channelKey = (rootId: Hex, index: number): string => `${rootId}:${index}`

/** The book of a whole journal. */
export function bookOf(records: Iterable<JournalRecord>): Book {
  const book = new Book()
  for (const record of records) apply(book, record)
  return book
}

/** A daemon refuses a journal of another chain, contract, key or role: its vouchers would be worth nothing here. */
export function checkGenesis(book: Book, expected: Omit<RecordOf<'genesis'>, 'kind' | 'version' | 'atMs'>): void {
  if (book.genesis === undefined) return
  for (const field of ['role', 'chainId', 'channels', 'token', 'wallet'] as const) {
    if (book.genesis[field] === expected[field]) continue
    throw new BywayError('STATE_OTHER_CHAIN', `this state folder belongs to another ${FIELD_NAMES[field]}`, {
      facts: { field, found: book.genesis[field], expected: expected[field] },
      hint: 'name another folder with --home, or start with the chain, contracts and keys this one was made with',
    })
  }
}
const FIELD_NAMES = { role: 'role', chainId: 'chain', channels: 'Channels contract', token: 'token', wallet: 'wallet' } as const

/** Applies the next record. Throws STATE_CORRUPT, changing nothing, when it cannot follow what came before. */
export function apply(book: Book, record: JournalRecord): Movement[] {
  const fail = (why: string, facts: Record<string, string | bigint | number> = {}): BywayError =>
    new BywayError('STATE_CORRUPT', `record ${book.length + 1} (${record.kind}) of the journal cannot follow what came before: ${why}`, {
      facts: { record: book.length + 1, kind: record.kind, ...facts },
      hint: 'Keep a copy of the folder and report this: the journal was damaged or written by a faulty version.',
    })
  if (record.kind !== 'genesis' && book.genesis === undefined) throw fail('a journal begins with its genesis')
  const role = ONLY_FOR[record.kind]
  if (role !== undefined && role !== book.genesis?.role) throw fail(`only a ${role} has such a record`)
  const movements = APPLY[record.kind](book, record as never, fail)
  book.length++
  return movements
}

/** Records only one role writes. */
const ONLY_FOR: { readonly [K in JournalRecord['kind']]?: Role } = {
  'root-planned': 'consumer',
  'root-opened': 'consumer',
  'root-failed': 'consumer',
  'channel-accepted': 'provider',
  'claim-sent': 'provider',
  'claim-settled': 'provider',
  'burn-seen': 'provider',
  'claim-failed': 'provider',
}

type Fail = (why: string, facts?: Record<string, string | bigint | number>) => BywayError

const APPLY: { [K in JournalRecord['kind']]: (book: Book, record: RecordOf<K>, fail: Fail) => Movement[] } = {
  genesis(book, record, fail) {
    if (book.length > 0) throw fail('a journal has one genesis')
    book.genesis = record
    return []
  },

  started: () => [],

  'root-planned'(book, record, fail) {
    const { rootId, descriptor, leaves, signerNonce } = record
    if (book.roots.has(rootId)) {
      if (book.roots.get(rootId)!.leaves.length !== leaves.length) throw fail('the root was planned with other leaves', { rootId })
      return []
    }
    const root = newRoot(rootId, descriptor, 'planned', leaves, signerNonce)
    book.roots.set(rootId, root)
    for (const [index, { payee, cap, salt }] of leaves.entries()) addChannel(book, { root, index, payee, cap, salt, siblings: [] })
    return []
  },

  'root-opened'(book, { rootId }, fail) {
    const root = rootOf(book, rootId, fail)
    if (root.state === 'open') return []
    if (root.state === 'closed') throw fail('the root is closed', { rootId })
    // A transaction that was given up on may still be mined.
    root.state = 'open'
    return [{ kind: 'deposited', root, units: root.descriptor.sum }]
  },

  'root-failed'(book, { rootId }, fail) {
    const root = rootOf(book, rootId, fail)
    if (root.state === 'open' || root.state === 'closed') throw fail('the root is open already', { rootId })
    root.state = 'failed'
    return []
  },

  'root-closed'(book, { rootId, refund, tx }, fail) {
    const root = rootOf(book, rootId, fail)
    if (root.state !== 'open' && root.state !== 'closed') throw fail('the root was never open', { rootId })
    if (root.closes.has(tx)) return []
    const left = root.descriptor.sum - root.refunded
    if (refund > left) throw fail('more came back than was deposited', { rootId, refund, left })
    root.closes.add(tx)
    root.state = 'closed'
    return book.genesis!.role === 'provider' ? loseUnclaimed(book, root) : takeRefund(root, refund)
  },

  'channel-accepted'(book, { rootId, index, descriptor, payee, cap, salt, siblings }, fail) {
    const known = book.roots.get(rootId)
    if (known !== undefined && known.descriptor.payer !== descriptor.payer) throw fail('the root has another payer', { rootId })
    const channel = book.channel(rootId, index)
    if (channel !== undefined) {
      if (channel.payee !== payee || channel.cap !== cap)
        throw fail('the channel was accepted with another payee or cap', { rootId, index })
      return []
    }
    const root = known ?? newRoot(rootId, descriptor, 'open', [], undefined)
    book.roots.set(rootId, root)
    addChannel(book, { root, index, payee, cap, salt, siblings })
    return []
  },

  'session-opened'(book, record, fail) {
    const channel = channelOf(book, record, fail)
    const { sessionId: id, base, peer, country, pricePerGib, carriedUp, carriedDown, atMs } = record
    const known = book.sessions.get(id)
    if (known !== undefined) {
      if (known.channel !== channel || known.base !== base || known.pricePerGib !== pricePerGib)
        throw fail('the session was opened on other terms', { session: id })
      return []
    }
    if (channel.root.state !== 'open') throw fail('its root is not open', { session: id, state: channel.root.state })
    // A lower base would sign below what is promised already.
    if (unitsOf(base) < channel.cumulative)
      throw fail('the session starts below what its channel has promised', { session: id, base, cumulative: channel.cumulative })
    takeOver(book, channel, carriedUp + carriedDown)
    const counts = { up: 0n, down: 0n, disputed: 0n, billed: 0n, closed: undefined, unpaid: 0n, takenOver: 0n }
    book.sessions.set(id, {
      id,
      order: book.sessions.size,
      channel,
      peer,
      country,
      pricePerGib,
      base,
      carriedUp,
      carriedDown,
      openedAtMs: atMs,
      ...counts,
    })
    return []
  },

  voucher(book, record, fail) {
    const channel = channelOf(book, record, fail)
    const session = sessionOf(book, record, channel, fail)
    const { up, down, disputed, numerator, cumulative, signature } = record
    if (cumulative !== unitsOf(numerator)) throw fail('the amount is not the floor of the debt', { cumulative, numerator })
    if (cumulative > channel.cap) throw fail('the amount exceeds the cap', { cumulative, cap: channel.cap })
    if (cumulative < channel.cumulative) throw fail('the amount is lower than one before', { cumulative, before: channel.cumulative })
    if (up < session.up || down < session.down || disputed < session.disputed)
      throw fail('it pays for fewer bytes than one before', { session: session.id })
    if (channel.root.state !== 'open') throw fail('its root is not open', { state: channel.root.state })
    const units = cumulative - channel.cumulative
    const counterparty = counterpartyOf(book, channel)
    counterparty.paidUnits += units
    counterparty.paidBytes += up + down - session.up - session.down
    counterparty.disputedBytes += disputed - session.disputed
    Object.assign(session, { up, down, disputed, billed: session.billed + units })
    setUnpaid(book, session)
    channel.root.spent += units
    Object.assign(channel, { numerator, cumulative, latest: { cumulative, signature } })
    return units === 0n ? [] : [{ kind: 'billed', channel, session, units }]
  },

  'session-closed'(book, record, fail) {
    const session = sessionOf(book, record, channelOf(book, record, fail), fail)
    const { up, down, reason, atMs } = record
    // A restart closes once more what was closed with the last breath: the first reason stands, the larger counts do.
    const before = session.closed ?? { reason, atMs, up, down }
    session.closed = { ...before, up: most(before.up, up), down: most(before.down, down) }
    setUnpaid(book, session)
    return []
  },

  'high-water'(book, record, fail) {
    const channel = channelOf(book, record, fail)
    const { cumulative, source, signature } = record
    const numerator = record.numerator ?? numeratorOf(cumulative)
    if (unitsOf(numerator) !== cumulative) throw fail('the amount is not the floor of the debt', { cumulative, numerator })
    if (cumulative > channel.cap) throw fail('the amount exceeds the cap', { cumulative, cap: channel.cap })
    const movements: Movement[] = []
    if (cumulative > channel.cumulative) movements.push(promiseUnknown(book, channel, cumulative - channel.cumulative))
    channel.numerator = most(channel.numerator, numerator)
    if (signature !== undefined && cumulative > (channel.latest?.cumulative ?? -1n)) channel.latest = { cumulative, signature }
    // What the chain has paid is what a provider has been paid. A consumer's chain says what was claimed of it; its book does not ask.
    if (source === 'chain' && book.genesis!.role === 'provider') movements.push(...settle(book, [{ channel, paid: cumulative }], 0n, 0n))
    return movements
  },

  'claim-sent'(book, record, fail) {
    if (book.pendingClaims.has(record.tx) || book.settledClaims.has(record.tx)) return []
    const channels = record.vouchers.map((voucher) => {
      const channel = channelOf(book, voucher, fail)
      const { cumulative } = voucher
      if (cumulative > channel.cumulative) throw fail('it claims more than was promised', { cumulative, promised: channel.cumulative })
      return channel
    })
    for (const channel of channels) channel.claims.add(record.tx)
    book.pendingClaims.set(record.tx, record)
    return []
  },

  'claim-settled'(book, { tx, amount, fee, burnt = 0n, channels }, fail) {
    if (book.settledClaims.has(tx)) return []
    if (fee + burnt > amount) throw fail('fee and burn exceed the amount', { fee, burnt, amount })
    const paid = channels.map((entry) => ({ channel: channelOf(book, entry, fail), paid: entry.paid }))
    for (const { channel, paid: now } of paid) {
      if (now > channel.cap)
        throw fail('the contract paid more than the cap', { rootId: channel.rootId, index: channel.index, paid: now, cap: channel.cap })
    }
    const increase = paid.reduce((sum, { channel, paid: now }) => sum + most(now - channel.paid, 0n), 0n)
    if (book.fees + fee + book.burnt + burnt > book.paid + increase)
      throw fail('fees and burns exceed everything that was paid', { fee, burnt, paid: book.paid + increase })
    endClaim(book, tx)
    book.settledClaims.add(tx)
    const unknown = paid.filter((entry) => entry.paid > entry.channel.cumulative)
    const promised = unknown.map((entry) => promiseUnknown(book, entry.channel, entry.paid - entry.channel.cumulative))
    return [...promised, ...settle(book, paid, fee, burnt)]
  },

  'burn-seen'(book, { total }, fail) {
    if (book.fees + total > book.paid) throw fail('more burnt than was paid', { total, paid: book.paid })
    // What a claim of ours told is in there already; less can only be an answer from before it.
    return total > book.burnt ? settle(book, [], 0n, total - book.burnt) : []
  },

  'claim-failed'(book, { tx }) {
    endClaim(book, tx)
    return []
  },
}

function newRoot(
  rootId: Hex,
  descriptor: Descriptor,
  state: Root['state'],
  leaves: readonly Leaf[],
  signerNonce: bigint | undefined,
): Root {
  return { rootId, descriptor, leaves, signerNonce, state, spent: 0n, refunded: 0n, closes: new Set() }
}

function addChannel(book: Book, fixed: Pick<Channel, 'root' | 'index' | 'payee' | 'cap' | 'salt' | 'siblings'>): void {
  const { rootId } = fixed.root
  const money = { numerator: 0n, cumulative: 0n, latest: undefined, paid: 0n, lost: 0n, claims: new Set<Hex>() }
  book.channels.set(channelKey(rootId, fixed.index), { rootId, ...fixed, ...money })
}

function rootOf(book: Book, rootId: Hex, fail: Fail): Root {
  const root = book.roots.get(rootId)
  if (root === undefined) throw fail('unknown root', { rootId })
  return root
}

function channelOf(book: Book, { rootId, index }: { rootId: Hex; index: number }, fail: Fail): Channel {
  const channel = book.channel(rootId, index)
  if (channel === undefined) throw fail('unknown channel', { rootId, index })
  return channel
}

function sessionOf(book: Book, { sessionId }: { sessionId: Hex }, channel: Channel, fail: Fail): Session {
  const session = book.sessions.get(sessionId)
  if (session === undefined) throw fail('unknown session', { session: sessionId })
  if (session.channel !== channel) throw fail('the session is paid from another channel', { session: sessionId })
  return session
}

function counterpartyOf(book: Book, channel: Channel): Counterparty {
  const id = book.genesis!.role === 'provider' ? channel.root.descriptor.payer : channel.payee
  const known = book.counterparties.get(id) ?? { ...book.counterparty(id) }
  book.counterparties.set(id, known)
  return known
}

/**
 * Recomputes what a closed session is owed: bytes metered or taken over that no voucher covers; below zero those it was paid for and did not carry. When
 * the count died with its process it was at least what it began with, and what was ahead may be carried: neither side loses more than the window.
 */
function setUnpaid(book: Book, session: Session): void {
  if (session.closed === undefined || book.genesis!.role === 'consumer') return
  const { up, down, reason } = session.closed
  const lost = reason === 'restarted'
  const metered = lost ? most(up + down, session.carriedUp + session.carriedDown) : up + down
  const ahead = lost ? 0n : keptAhead(session)
  owe(book, session, most(metered - session.up - session.down, -ahead) - session.takenOver)
}

/** A new session takes over what earlier ones of this counterparty left unpaid, or were paid ahead: all of it, or as much as it carries, oldest first. */
function takeOver(book: Book, channel: Channel, carried: bigint): void {
  if (carried === 0n || book.genesis!.role === 'consumer') return
  const { owing, unpaidBytes } = counterpartyOf(book, channel)
  const all = carried === unpaidBytes
  const part = (unpaid: bigint) => (carried > 0n ? most(least(unpaid, carried), 0n) : least(most(unpaid, carried), 0n))
  for (const session of owing) {
    const taken = all ? session.unpaid : part(session.unpaid)
    session.takenOver += taken
    owe(book, session, session.unpaid - taken)
    carried -= taken
  }
}

function owe(book: Book, session: Session, unpaid: bigint): void {
  const counterparty = counterpartyOf(book, session.channel)
  counterparty.unpaidBytes += unpaid - session.unpaid
  session.unpaid = unpaid
  if (unpaid !== 0n) counterparty.owing.add(session)
  else counterparty.owing.delete(session)
}

/** Units promised by vouchers this folder does not have. */
function promiseUnknown(book: Book, channel: Channel, units: bigint): Movement {
  channel.cumulative += units
  channel.numerator = most(channel.numerator, numeratorOf(channel.cumulative))
  channel.root.spent += units
  counterpartyOf(book, channel).paidUnits += units
  return { kind: 'billed', channel, session: undefined, units }
}

/** Notes what the contract now records as paid. A claim that was overtaken by a later one brings nothing more, but its fee. */
function settle(book: Book, entries: readonly { channel: Channel; paid: bigint }[], fee: bigint, burnt: bigint): Movement[] {
  const movements: Movement[] = []
  const channels: { channel: Channel; units: bigint }[] = []
  for (const { channel, paid } of entries) {
    if (paid <= channel.paid) continue
    channels.push({ channel, units: paid - channel.paid })
    book.paid += paid - channel.paid
    channel.paid = paid
    // Given up with its root, and paid after all: the claim was mined before the close.
    const found = channel.lost - most(channel.cumulative - paid, 0n)
    if (channel.lost > 0n && found > 0n) {
      channel.lost -= found
      movements.push({ kind: 'found', channel, units: found })
    }
  }
  book.fees += fee
  book.burnt += burnt
  if (channels.length > 0 || fee > 0n || burnt > 0n) movements.push({ kind: 'settled', channels, fee, burnt })
  return movements
}

function endClaim(book: Book, tx: Hex): void {
  for (const { rootId, index } of book.pendingClaims.get(tx)?.vouchers ?? []) book.channel(rootId, index)?.claims.delete(tx)
  book.pendingClaims.delete(tx)
}

function loseUnclaimed(book: Book, root: Root): Movement[] {
  const movements: Movement[] = []
  for (const channel of book.channels.values()) {
    const units = channel.cumulative - channel.paid - channel.lost
    if (channel.root !== root || units === 0n) continue
    channel.lost += units
    movements.push({ kind: 'lost', channel, units })
  }
  return movements
}

function takeRefund(root: Root, refund: bigint): Movement[] {
  root.refunded += refund
  const movements: Movement[] = [{ kind: 'refunded', root, units: refund }]
  // More came back than was unspent: a provider never claimed its last vouchers, which are worth nothing now.
  const returned = root.spent + root.refunded - root.descriptor.sum
  if (returned > 0n) {
    root.spent -= returned
    movements.push({ kind: 'returned', root, units: returned })
  }
  return movements
}
