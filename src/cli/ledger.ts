/** `byway ledger`: every session of every home, and whether the numbers add up. */
import type { Command } from 'commander'
import { type Ledger, type LedgerRow, ledgerOf, REASON_CODES } from '../wallet/ledger.ts'
import { counted, formatBytes, formatUsd, shortHex } from './format.ts'
import { readHomes } from './homes.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { keysOf } from './settings.ts'

export async function ledger(command: Command, env: Env, output: Output): Promise<void> {
  const homes = await readHomes(command, keysOf('ledger'), env)
  const ledgers = homes.map(({ name, paths, records }) => ({ name, home: paths.home, ...ledgerOf(records) }))
  output.result({ nodes: ledgers }, () => {
    for (const [i, node] of ledgers.entries()) {
      if (i > 0) output.line()
      output.line(output.style('bold', `${node.name} (${node.role})`))
      if (node.role === 'provider') showProvider(node, output)
      else showConsumer(node, output)
      if (!node.identityHolds) output.line(output.style('red', 'the accounts do not add up: please report this'))
    }
    const reasons = new Set(ledgers.flatMap(({ rows }) => rows.flatMap(({ reasonCode }) => reasonCode ?? [])))
    if (reasons.size > 0) output.line()
    for (const code of reasons) output.line(`${code}: ${REASON_CODES[code]}`)
  })
}

const number = { align: 'right' } as const

const common = (row: LedgerRow): string[] => [
  row.sessionId === undefined ? 'unknown' : shortHex(row.sessionId),
  shortHex(row.peer),
  row.country,
  row.state === 'closed' ? (row.closeReason ?? 'closed') : row.state,
  row.up.toString(),
  row.down.toString(),
  formatUsd(row.pricePerGib),
]
const COMMON = [
  { title: 'session' },
  { title: 'peer' },
  { title: 'country' },
  { title: 'state' },
  { title: 'up bytes', ...number },
  { title: 'down bytes', ...number },
  { title: 'per GiB', ...number },
]

const reason = ({ reasonCode }: LedgerRow) => reasonCode ?? ''

function showProvider({ rows, totals }: Ledger, output: Output): void {
  const money = ['earned', 'claimed', 'claimable', 'fees'] as const
  const columns = [...COMMON, ...money.map((title) => ({ title, ...number })), { title: 'unpaid', ...number }, { title: 'why nothing' }]
  output.table(
    columns,
    rows.map((row) => [...common(row), ...money.map((name) => formatUsd(row[name])), formatBytes(row.unpaidBytes), reason(row)]),
  )
  const { earned, claimed, claimable, fees } = totals
  output.line(
    `earned ${formatUsd(earned)} = claimed ${formatUsd(claimed)} + claimable ${formatUsd(claimable)} + fees ${formatUsd(fees)}; ` +
      `${counted(totals.up + totals.down, 'byte')} in ${counted(totals.sessions, 'session')}`,
  )
}

function showConsumer({ rows, totals }: Ledger, output: Output): void {
  const columns = [...COMMON, { title: 'spent', ...number }, { title: 'disputed', ...number }, { title: 'why nothing' }]
  output.table(
    columns,
    rows.map((row) => [...common(row), formatUsd(row.spent), formatBytes(row.disputedBytes), reason(row)]),
  )
  const { deposited, spent, unspent, refunded } = totals
  output.line(
    `deposited ${formatUsd(deposited)} = spent ${formatUsd(spent)} + unspent ${formatUsd(unspent)} + refunded ${formatUsd(refunded)}; ` +
      `${counted(totals.up + totals.down, 'byte')} in ${counted(totals.sessions, 'session')}`,
  )
}
