/**
 * The accounts: every change of money with both its sides, so that nothing appears or vanishes.
 *
 *     provider   a voucher        claimable +   earned +
 *                a claim          claimed +  fees +  burnt +  claimable -
 *                a lost channel   earned -   claimable -      and back when it is found
 *     consumer   a root opened    escrow +   deposited +
 *                a voucher        spent +    escrow -
 *                a refund         refunded + escrow -
 *                never claimed    escrow +   spent -
 */
import { apply, Book } from './book.ts'
import type { Movement } from './positions.ts'
import type { JournalRecord, Role } from './records.ts'

export type Account = 'earned' | 'claimable' | 'claimed' | 'fees' | 'burnt' | 'deposited' | 'escrow' | 'spent' | 'refunded'

/** One side of a posting; exactly one of debit and credit is above zero. */
export interface LedgerEntry {
  account: Account
  debit: bigint
  credit: bigint
}

export interface Posting {
  atMs: number
  kind: Movement['kind']
  /** Debits equal credits. */
  entries: LedgerEntry[]
}

/** The journal of the bookkeeper: every change of money with both its sides. */
export function* postingsOf(records: Iterable<JournalRecord>): Generator<Posting> {
  const book = new Book()
  for (const record of records) {
    for (const movement of apply(book, record)) yield postingOf(movement, book.genesis!.role, record.atMs)
  }
}

export function postingOf(movement: Movement, role: Role, atMs: number): Posting {
  return { atMs, kind: movement.kind, entries: entriesOf(movement, role).filter(({ debit, credit }) => debit !== 0n || credit !== 0n) }
}

function entriesOf(movement: Movement, role: Role): LedgerEntry[] {
  switch (movement.kind) {
    case 'billed':
      return role === 'provider'
        ? [debit('claimable', movement.units), credit('earned', movement.units)]
        : [debit('spent', movement.units), credit('escrow', movement.units)]
    case 'settled': {
      const amount = movement.channels.reduce((sum, { units }) => sum + units, 0n)
      // A claim overtaken by another paid nothing new and still cost its fee: then money leaves `claimed`.
      const kept = amount - movement.fee - movement.burnt
      const claimed = kept >= 0n ? debit('claimed', kept) : credit('claimed', -kept)
      return [claimed, debit('fees', movement.fee), debit('burnt', movement.burnt), credit('claimable', amount)]
    }
    case 'found':
      return [debit('claimable', movement.units), credit('earned', movement.units)]
    case 'lost':
      return [debit('earned', movement.units), credit('claimable', movement.units)]
    case 'deposited':
      return [debit('escrow', movement.units), credit('deposited', movement.units)]
    case 'refunded':
      return [debit('refunded', movement.units), credit('escrow', movement.units)]
    case 'returned':
      return [debit('escrow', movement.units), credit('spent', movement.units)]
  }
}

const debit = (account: Account, units: bigint): LedgerEntry => ({ account, debit: units, credit: 0n })
const credit = (account: Account, units: bigint): LedgerEntry => ({ account, debit: 0n, credit: units })

/** Running debit balances. */
export class Accounts {
  readonly #balances = new Map<Account, bigint>()
  balanced = true

  post({ entries }: Posting): void {
    let difference = 0n
    for (const { account, debit, credit } of entries) {
      difference += debit - credit
      this.#balances.set(account, this.debits(account) + debit - credit)
    }
    if (difference !== 0n) this.balanced = false
  }

  debits(account: Account): bigint {
    return this.#balances.get(account) ?? 0n
  }

  credits(account: Account): bigint {
    return -this.debits(account)
  }
}
