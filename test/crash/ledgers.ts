/** Whether the ledgers of both sides say the same, session by session, to the byte and the unit. */
import { realDisk } from '../../src/wallet/disk.ts'
import { readJournal } from '../../src/wallet/journal.ts'
import { type LedgerRow, ledgerOf } from '../../src/wallet/ledger.ts'

export interface LedgerComparison {
  sessions: number
  differences: string[]
  spent: bigint
  earned: bigint
  disputedBytes: bigint
}

export async function compareLedgers(providerJournal: string, consumerJournal: string): Promise<LedgerComparison> {
  const [sold, bought] = await Promise.all(
    [providerJournal, consumerJournal].map(async (path) => ledgerOf((await readJournal(realDisk(), path))!.records)),
  )
  const differences: string[] = []
  for (const ledger of [sold!, bought!]) if (!ledger.identityHolds) differences.push(`the ${ledger.role}'s own ledger does not add up`)
  const sellers = bySession(sold!.rows)
  const buyers = bySession(bought!.rows)
  for (const id of new Set([...sellers.keys(), ...buyers.keys()])) {
    const [seller, buyer] = [said(sellers.get(id)), said(buyers.get(id))]
    // A session in which nothing was paid for may be known to one side only: the other was killed while it was opened.
    if (seller !== buyer) differences.push(`session ${id}: provider ${seller}, consumer ${buyer}`)
  }
  const [earned, spent] = [sold!.totals.earned, bought!.totals.spent]
  if (earned !== spent) differences.push(`provider earned ${earned}, consumer spent ${spent}`)
  return { sessions: buyers.size, differences, earned, spent, disputedBytes: bought!.totals.disputedBytes }
}

/** Rows without an id are promises nobody has the session of; each is its own difference. */
const bySession = (rows: readonly LedgerRow[]) => new Map(rows.map((row, i) => [row.sessionId ?? `unknown-${i}-${row.rootId}`, row]))

const said = (row: LedgerRow | undefined) =>
  row === undefined ? 'up 0, down 0, units 0' : `up ${row.up}, down ${row.down}, units ${row.earned + row.spent}`
