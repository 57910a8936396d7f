/** `byway ledger`: every session of every home, what a provider has at stake and earned in WAY, and whether the numbers add up. */
import type { Command } from 'commander'
import { asBywayError } from '../protocol/errors.ts'
import { formatWay } from '../protocol/way.ts'
import { type Ledger, type LedgerRow, ledgerOf, REASON_CODES } from '../wallet/ledger.ts'
import { type Earnings, earningsOf, earningsSource } from './earnings.ts'
import { counted, formatBytes, formatUsd, shortHex } from './format.ts'
import { type NodeHome, readHomes } from './homes.ts'
import { leavesIn } from './leaves.ts'
import { networkFor } from './network.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'

type Home = NodeHome<KeysOf<'ledger'>>

export async function ledger(command: Command, env: Env, output: Output): Promise<void> {
  const homes = await readHomes(command, keysOf('ledger'), env)
  const ledgers = await Promise.all(
    homes.map(async (home) => ({ name: home.name, home: home.paths.home, ...ledgerOf(home.records), ...(await wayOf(home)) })),
  )
  output.result({ nodes: ledgers }, () => {
    for (const [i, node] of ledgers.entries()) {
      if (i > 0) output.line()
      output.line(output.style('bold', `${node.name} (${node.role})`))
      if (node.role === 'provider') showProvider(node, output)
      else showConsumer(node, output)
      if (node.earnings !== undefined) showEarnings(node.earnings, output)
      if (node.unreachable !== undefined) output.line(`stake and rewards are not known: ${node.unreachable}`)
      if (!node.identityHolds || node.earnings?.identityHolds === false)
        output.line(output.style('red', 'the accounts do not add up: please report this'))
    }
    const reasons = new Set(ledgers.flatMap(({ rows }) => rows.flatMap(({ reasonCode }) => reasonCode ?? [])))
    if (reasons.size > 0) output.line()
    for (const code of reasons) output.line(`${code}: ${REASON_CODES[code]}`)
  })
}

/** What the chain says of a provider's stake and rewards, or why it does not. Sessions are known without a chain. */
async function wayOf({ settings, genesis }: Home): Promise<{ earnings?: Earnings; unreachable?: string }> {
  if (genesis.role !== 'provider') return {}
  try {
    const source = earningsSource(settings, networkFor(settings, genesis))
    return source === undefined ? {} : { earnings: await earningsOf(source, await leavesIn(settings.leaves), genesis.wallet) }
  } catch (thrown) {
    return { unreachable: asBywayError(thrown).code }
  }
}

function showEarnings({ stake: { own, bonded, thawing }, rewards }: Earnings, output: Output): void {
  output.table(
    [{ title: 'in WAY' }, { title: 'awarded', ...number }, { title: 'claimed', ...number }, { title: 'claimable', ...number }],
    rewards.map(({ source, awarded, claimed, claimable }) => [source, formatWay(awarded), formatWay(claimed), formatWay(claimable)]),
  )
  const sum = (of: (row: Earnings['rewards'][number]) => bigint) => rewards.reduce((total, row) => total + of(row), 0n)
  output.line(
    `awarded ${formatWay(sum(({ awarded }) => awarded))} = claimed ${formatWay(sum(({ claimed }) => claimed))} + claimable ${formatWay(sum(({ claimable }) => claimable))}; ` +
      `stake ${formatWay(own)} of ${formatWay(bonded)} behind it${thawing > 0n ? `, ${formatWay(thawing)} on its way out` : ''}`,
  )
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
  const money = ['earned', 'claimed', 'claimable', 'fees', 'burnt'] as const
  const columns = [
    ...COMMON,
    ...money.map((title) => ({ title, ...number })),
    { title: 'unpaid', ...number },
    { title: 'prepaid', ...number },
    { title: 'why nothing' },
  ]
  output.table(
    columns,
    rows.map((row) => [
      ...common(row),
      ...money.map((name) => formatUsd(row[name])),
      formatBytes(row.unpaidBytes),
      formatBytes(row.prepaidBytes),
      reason(row),
    ]),
  )
  const { earned, claimed, claimable, fees, burnt } = totals
  output.line(
    `earned ${formatUsd(earned)} = claimed ${formatUsd(claimed)} + claimable ${formatUsd(claimable)} + fees ${formatUsd(fees)} + burnt ${formatUsd(burnt)}; ` +
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
