/** `byway wallet`: addresses and balances of every home, and a way to send dollars. */
import type { Command } from 'commander'
import { ETHER } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { parseDollars } from '../protocol/dollars.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { bookOf } from '../wallet/book.ts'
import { formatUsd } from './format.ts'
import { chainOf, type NodeHome, readHomes } from './homes.ts'
import { openNode } from './node.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'
import type { Env } from './resolve.ts'
import { address } from './setting-types.ts'
import { type KeysOf, keysOf } from './settings.ts'

type Home = NodeHome<KeysOf<'wallet'>>

export async function wallet(command: Command, env: Env, output: Output): Promise<void> {
  const homes = await readHomes(command, keysOf('wallet'), env)
  const { send, to } = command.opts<{ send?: string; to?: string }>()
  if (send !== undefined || to !== undefined) return sendDollars(homes, send, to, env, output)
  const nodes = await Promise.all(homes.map(balancesOf))
  output.result({ nodes }, () =>
    output.table(
      [
        { title: 'node' },
        { title: 'wallet' },
        { title: 'dollars', align: 'right' },
        { title: 'in channels', align: 'right' },
        { title: 'claimable', align: 'right' },
        { title: 'gas (ether)', align: 'right' },
      ],
      nodes.map((node) => [
        node.name,
        node.wallet,
        node.dollars === undefined ? (node.unreachable ?? '') : formatUsd(node.dollars),
        formatUsd(node.inChannels),
        formatUsd(node.claimable),
        node.etherWei === undefined ? '' : (Number(node.etherWei / (ETHER / 1_000_000n)) / 1e6).toString(),
      ]),
    ),
  )
}

interface Balances {
  name: string
  home: string
  role: string
  wallet: Hex
  inChannels: bigint
  claimable: bigint
  dollars?: bigint
  etherWei?: bigint
  /** Why the chain’s part is missing. */
  unreachable?: string
}

async function balancesOf(home: Home): Promise<Balances> {
  const { name, genesis, records, paths } = home
  const book = bookOf(records)
  const provider = genesis.role === 'provider'
  const open = [...book.roots.values()].filter((root) => root.state === 'open')
  const inChannels = provider ? 0n : open.reduce((sum, root) => sum + root.descriptor.sum - root.spent, 0n)
  const claimable = provider
    ? [...book.channels.values()].reduce((sum, channel) => sum + channel.cumulative - channel.paid - channel.lost, 0n)
    : 0n
  const facts = { name, home: paths.home, role: genesis.role, wallet: genesis.wallet, inChannels, claimable }
  try {
    const { etherWei, dollars } = await chainOf(home).client.balances(genesis.wallet)
    return { ...facts, dollars, etherWei }
  } catch (thrown) {
    // What the journal knows is worth showing without a chain too.
    return { ...facts, unreachable: asBywayError(thrown).code }
  }
}

async function sendDollars(
  homes: readonly Home[],
  send: string | undefined,
  to: string | undefined,
  env: Env,
  output: Output,
): Promise<void> {
  const amount = send === undefined ? undefined : parseDollars(send)
  const target = to === undefined ? undefined : address.schema.safeParse(to)
  if (amount === undefined || amount === 0n) throw new BywayError('ARGUMENT_INVALID', '--send takes dollars, such as 1.50')
  if (target?.success !== true) throw new BywayError('ARGUMENT_INVALID', `--to takes ${address.allowed}`)
  if (homes.length !== 1) {
    throw new BywayError('ARGUMENT_INVALID', 'dollars are sent from one wallet', {
      hint: `Name one with --home: ${homes.map(({ paths }) => paths.home).join(', ')}.`,
    })
  }
  const [home] = homes as [Home]
  const node = await openNode({ role: home.genesis.role, paths: home.paths, settings: { ...home.settings, logLevel: 'warn' }, env })
  try {
    const sent = await createProgress(output).step(`sending ${formatUsd(amount)} to ${target.data}`, () =>
      node.client.transfer(target.data as Hex, amount, node.wallet),
    )
    output.result(sent, () => output.line(`sent in transaction ${sent.tx}`))
  } finally {
    await node.close()
  }
}
