/**
 * The ledger: one row for each session, and totals that are the balances of accounts.ts.
 *
 * Provider: earned = claimed + claimable + fees + burnt. Consumer: deposited = spent + unspent + refunded. Unpaid bytes are a memo: nobody promised
 * money for them. Claims pay channels and sessions share channels, so a claim is spread over the sessions of its channel, oldest first, and
 * its fee and its burn over what it paid, in proportion. Rows therefore add up to the totals to the unit.
 */
import type { Hex } from '../protocol/bytes.ts'
import { unpaidAndPrepaid } from '../protocol/credit.ts'
import { Accounts, postingOf } from './accounts.ts'
import { apply, Book } from './book.ts'
import type { Channel, Movement, Root, Session } from './positions.ts'
import type { CloseReason, JournalRecord, Role } from './records.ts'

/** Why a session brought no money. docs/protocol.md#sessions-without-money */
export const REASON_CODES = {
  NO_TRAFFIC: 'it ended before any byte was carried',
  UNPAID: 'bytes were carried, but no voucher came for them',
  BELOW_ONE_UNIT: 'its bytes are worth less than one unit; they count towards the next session of the channel',
  PREPAID: 'its bytes were paid for with those of an earlier session',
  FREE: 'its price is zero',
  LOST: 'the root was closed before the vouchers were claimed',
  IN_PROGRESS: 'it is open and no voucher has come yet',
} as const
export type ReasonCode = keyof typeof REASON_CODES

export interface LedgerRow {
  /** Undefined for money promised in sessions this folder has no record of: it was restored from an older copy. */
  sessionId: Hex | undefined
  rootId: Hex
  index: number
  /** Node key of the other side; for unknown sessions its address. */
  peer: Hex
  country: string
  openedAtMs: number | undefined
  closedAtMs: number | undefined
  state: 'open' | 'closed' | 'unknown'
  closeReason: CloseReason | undefined
  /** Bytes its vouchers pay for. */
  up: bigint
  down: bigint
  pricePerGib: bigint
  /** Provider: earned = claimed + claimable + fees + burnt, and bytes carried that nobody paid. Zero for a consumer. */
  earned: bigint
  claimed: bigint
  claimable: bigint
  fees: bigint
  burnt: bigint
  unpaidBytes: bigint
  /** Provider: bytes paid for and not carried when it ended. A later session of this payer carries them first. */
  prepaidBytes: bigint
  /** Consumer: what it cost, and bytes paid on the provider's word. Zero for a provider. */
  spent: bigint
  disputedBytes: bigint
  /** Promised but never claimed before the root was closed: lost by the provider, back with the consumer. In neither sum above. */
  returned: bigint
  /** Set when it brought no money. */
  reasonCode: ReasonCode | undefined
}

export interface LedgerTotals {
  sessions: number
  up: bigint
  down: bigint
  earned: bigint
  claimed: bigint
  claimable: bigint
  fees: bigint
  burnt: bigint
  unpaidBytes: bigint
  prepaidBytes: bigint
  deposited: bigint
  spent: bigint
  unspent: bigint
  refunded: bigint
  disputedBytes: bigint
  returned: bigint
}

export interface Ledger {
  role: Role
  /** Oldest first. */
  rows: LedgerRow[]
  totals: LedgerTotals
  /** Accounts, rows and totals agree, and the identity of the role holds. False only if this program is wrong. */
  identityHolds: boolean
}

/** The ledger of a whole journal. */
export function ledgerOf(records: Iterable<JournalRecord>): Ledger {
  const book = new Book()
  const accounts = new Accounts()
  const rows = new Rows()
  for (const record of records) {
    for (const movement of apply(book, record)) {
      accounts.post(postingOf(movement, book.genesis!.role, record.atMs))
      rows.move(movement)
    }
  }
  const role = book.genesis?.role ?? 'provider'
  const finished = rows.finish(book)
  const totals = totalsOf(book, finished, accounts)
  return { role, rows: finished, totals, identityHolds: accounts.balanced && identityHolds(totals, finished, accounts) }
}

/** Part of a promise that is not settled yet, and whose it is. */
interface Lot {
  row: LedgerRow
  units: bigint
}

/** Spreads movements over sessions. */
class Rows {
  readonly #rows = new Map<Session | Channel, LedgerRow>()
  /** Unsettled lots of each channel, oldest first. */
  readonly #lots = new Map<Channel, Lot[]>()

  move(movement: Movement): void {
    switch (movement.kind) {
      case 'billed': {
        const row = this.#rowOf(movement.session ?? movement.channel)
        this.#push(movement.channel, row, movement.units)
        row.earned += movement.units
        row.spent += movement.units
        row.claimable += movement.units
        break
      }
      case 'settled':
        this.#settle(movement)
        break
      case 'lost':
        for (const { row, units } of this.#take(movement.channel, movement.units)) giveBack(row, units)
        break
      case 'returned':
        this.#return(movement.root, movement.units)
        break
      case 'found':
        this.#find(movement.channel, movement.units)
        break
      case 'deposited':
      case 'refunded':
        break
    }
  }

  /** All rows in the order their sessions were opened, unknown ones last, with only the columns of the role. */
  finish(book: Book): LedgerRow[] {
    const provider = book.genesis?.role === 'provider'
    for (const session of book.sessions.values()) {
      const row = this.#rowOf(session)
      const { up, down, closed, unpaid, disputed } = session
      const bytes = { up, down, disputedBytes: disputed, ...unpaidAndPrepaid(unpaid) }
      Object.assign(row, { ...bytes, closedAtMs: closed?.atMs, closeReason: closed?.reason })
      row.state = closed === undefined ? 'open' : 'closed'
      row.reasonCode = reasonOf(session, row)
    }
    const rows = this.#ordered()
    for (const row of rows) {
      if (provider) row.spent = 0n
      else Object.assign(row, { earned: 0n, claimable: 0n })
    }
    return rows
  }

  #settle({ channels, fee, burnt }: Extract<Movement, { kind: 'settled' }>): void {
    const paid = channels.flatMap(({ channel, units }) => this.#take(channel, units))
    const amount = paid.reduce((sum, { units }) => sum + units, 0n)
    const shared = least(fee + burnt, amount)
    const fees = least(fee, shared)
    // Running sums, rounded: what is kept from the provider of so many units, and the fee in it. Their differences add up to the whole,
    // and no share exceeds its part.
    const keptOf = (units: bigint) => (units * shared) / amount
    const feeOf = (kept: bigint) => (kept === 0n ? 0n : (kept * fees) / shared)
    let before = 0n
    for (const { row, units } of paid) {
      const [from, to] = [keptOf(before), keptOf(before + units)]
      before += units
      row.claimable -= units
      row.claimed += units - (to - from)
      row.fees += feeOf(to) - feeOf(from)
      row.burnt += to - from - (feeOf(to) - feeOf(from))
    }
    this.#charge('fees', fee - fees)
    this.#charge('burnt', burnt - (shared - fees))
  }

  /** A refund names no channel. The last sessions are the ones a provider may not have claimed. */
  #return(root: Root, units: bigint): void {
    for (const row of this.#ordered().reverse()) {
      if (row.rootId !== root.rootId) continue
      const part = least(units, row.spent)
      giveBack(row, part)
      units -= part
    }
  }

  /** What a claim settles is the oldest, so the oldest is found. */
  #find(channel: Channel, units: bigint): void {
    for (const row of this.#ordered()) {
      if (row.rootId !== channel.rootId || row.index !== channel.index) continue
      const part = least(units, row.returned)
      giveBack(row, -part)
      units -= part
      this.#push(channel, row, part)
    }
  }

  /** The fee of a claim that paid nothing new, and a burn heard of later, come off what was claimed before. */
  #charge(column: 'fees' | 'burnt', units: bigint): void {
    if (units === 0n) return
    for (const row of this.#ordered()) {
      const share = least(units, row.claimed)
      row.claimed -= share
      row[column] += share
      units -= share
    }
  }

  #push(channel: Channel, row: LedgerRow, units: bigint): void {
    if (units === 0n) return
    const lots = this.#lots.get(channel) ?? []
    this.#lots.set(channel, lots)
    const last = lots.at(-1)
    if (last?.row === row) last.units += units
    else lots.push({ row, units })
  }

  /** The oldest lots of a channel, up to so many units. */
  #take(channel: Channel, units: bigint): Lot[] {
    const lots = this.#lots.get(channel) ?? []
    const taken: Lot[] = []
    for (let lot = lots[0]; lot !== undefined && units > 0n; lot = lots[0]) {
      const part = least(lot.units, units)
      taken.push({ row: lot.row, units: part })
      lot.units -= part
      units -= part
      if (lot.units === 0n) lots.shift()
    }
    return taken
  }

  /** Rows in the order their sessions were opened, unknown ones last: an order that compaction of the journal does not change. */
  #ordered(): LedgerRow[] {
    const order = (of: Session | Channel) => ('id' in of ? of.order : Number.MAX_SAFE_INTEGER)
    return [...this.#rows].sort(([a], [b]) => order(a) - order(b)).map(([, row]) => row)
  }

  #rowOf(of: Session | Channel): LedgerRow {
    const known = this.#rows.get(of)
    if (known !== undefined) return known
    const row = 'id' in of ? newRow(of, of.channel) : newRow(undefined, of)
    this.#rows.set(of, row)
    return row
  }
}

/** Moves units from what a row earned or spent to what went back to the consumer. */
function giveBack(row: LedgerRow, units: bigint): void {
  row.earned -= units
  row.spent -= units
  row.claimable -= units
  row.returned += units
}

const least = (a: bigint, b: bigint) => (a < b ? a : b)

function newRow(session: Session | undefined, { rootId, index, root, payee }: Channel): LedgerRow {
  return {
    sessionId: session?.id,
    rootId,
    index,
    peer: session?.peer ?? (root.leaves.length > 0 ? payee : root.descriptor.payer),
    country: session?.country ?? '',
    openedAtMs: session?.openedAtMs,
    closedAtMs: undefined,
    state: 'unknown',
    closeReason: undefined,
    up: 0n,
    down: 0n,
    pricePerGib: session?.pricePerGib ?? 0n,
    earned: 0n,
    claimed: 0n,
    claimable: 0n,
    fees: 0n,
    burnt: 0n,
    unpaidBytes: 0n,
    prepaidBytes: 0n,
    spent: 0n,
    disputedBytes: 0n,
    returned: 0n,
    reasonCode: undefined,
  }
}

function reasonOf(session: Session, row: LedgerRow): ReasonCode | undefined {
  if (row.earned > 0n) return undefined
  if (row.returned > 0n) return 'LOST'
  if (session.up + session.down > 0n) return session.pricePerGib === 0n ? 'FREE' : 'BELOW_ONE_UNIT'
  if (session.closed === undefined) return 'IN_PROGRESS'
  const carried = session.closed.up + session.closed.down
  if (carried <= 0n) return carried > session.carriedUp + session.carriedDown ? 'PREPAID' : 'NO_TRAFFIC'
  return 'UNPAID'
}

const sum = <T>(items: readonly T[], of: (item: T) => bigint): bigint => items.reduce((total, item) => total + of(item), 0n)

function totalsOf(book: Book, rows: readonly LedgerRow[], accounts: Accounts): LedgerTotals {
  return {
    sessions: book.sessions.size,
    up: sum(rows, (row) => row.up),
    down: sum(rows, (row) => row.down),
    earned: accounts.credits('earned'),
    claimed: accounts.debits('claimed'),
    claimable: accounts.debits('claimable'),
    fees: accounts.debits('fees'),
    burnt: accounts.debits('burnt'),
    unpaidBytes: sum(rows, (row) => row.unpaidBytes),
    prepaidBytes: sum(rows, (row) => row.prepaidBytes),
    deposited: accounts.credits('deposited'),
    spent: accounts.debits('spent'),
    unspent: accounts.debits('escrow'),
    refunded: accounts.debits('refunded'),
    disputedBytes: sum(rows, (row) => row.disputedBytes),
    returned: sum(rows, (row) => row.returned),
  }
}

function identityHolds(totals: LedgerTotals, rows: readonly LedgerRow[], accounts: Accounts): boolean {
  const columns = ['earned', 'claimed', 'claimable', 'fees', 'burnt', 'spent'] as const
  return (
    columns.every((column) => sum(rows, (row) => row[column]) === totals[column]) &&
    rows.every((row) => row.earned === row.claimed + row.claimable + row.fees + row.burnt) &&
    totals.earned === totals.claimed + totals.claimable + totals.fees + totals.burnt &&
    totals.deposited === totals.spent + totals.unspent + totals.refunded &&
    accounts.balanced
  )
}
