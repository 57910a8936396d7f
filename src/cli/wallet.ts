/** `byway wallet`: addresses and balances of every home, and a way to send dollars. */
import type { Command } from 'commander'
import { ETHER } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { parseDollars } from '../protocol/dollars.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { bookOf, type Root } from '../wallet/book.ts'
import { formatUsd } from './format.ts'
import { chainOf, type NodeHome, readHomes } from './homes.ts'
import { openNode } from './node.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'
import type { Env } from './resolve.ts'
import { address } from './setting-types.ts'
import { type KeysOf, keysOf } from './settings.ts'

type Home = NodeHome<KeysOf<'wallet'>>

export function walletShape(command: Command): void {
  command.option('--send <dollars>', 'Send dollars from the wallet (with --to).').option('--to <address>', 'Where to send them.')
}

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
      nodes.flatMap((node) => [
        [node.name, node.wallet, dollarsOf(node), formatUsd(node.inChannels), formatUsd(node.claimable), etherOf(node)],
        // The wallet of a consumer pays at the only hop of a route; each other place has a payer of its own.
        ...(node.payers ?? []).map((payer) => [
          '  payer',
          payer.address,
          dollarsOf(payer),
          formatUsd(payer.inChannels),
          '',
          etherOf(payer),
        ]),
      ]),
    ),
  )
}

const dollarsOf = ({ dollars, unreachable }: Held) => (dollars === undefined ? (unreachable ?? '') : formatUsd(dollars))
const etherOf = ({ etherWei }: Held) => (etherWei === undefined ? '' : (Number(etherWei / (ETHER / 1_000_000n)) / 1e6).toString())

/** What the chain says of an address, or why it does not. */
interface Held {
  dollars?: bigint
  etherWei?: bigint
  unreachable?: string
}

interface Balances extends Held {
  name: string
  home: string
  role: string
  wallet: Hex
  inChannels: bigint
  claimable: bigint
  /** Payers of the other places of routes that opened a root, with what they hold. A consumer's; `inChannels` of the node counts them too. */
  payers?: ({ address: Hex; inChannels: bigint } & Held)[]
}

async function balancesOf(home: Home): Promise<Balances> {
  const { name, genesis, records, paths } = home
  const book = bookOf(records)
  const provider = genesis.role === 'provider'
  const open = [...book.roots.values()].filter((root) => root.state === 'open')
  const leftOf = (roots: readonly Root[]) => roots.reduce((sum, root) => sum + root.descriptor.sum - root.spent, 0n)
  const inChannels = provider ? 0n : leftOf(open)
  const claimable = provider
    ? [...book.channels.values()].reduce((sum, channel) => sum + channel.cumulative - channel.paid - channel.lost, 0n)
    : 0n
  const held = (address: Hex): Promise<Held> =>
    chainOf(home)
      .client.balances(address)
      // What the journal knows is worth showing without a chain too.
      .catch((thrown) => ({ unreachable: asBywayError(thrown).code }))
  const facts = {
    name,
    home: paths.home,
    role: genesis.role,
    wallet: genesis.wallet,
    inChannels,
    claimable,
    ...(await held(genesis.wallet)),
  }
  if (provider) return facts
  const others = new Set([...book.roots.values()].map(({ descriptor }) => descriptor.payer).filter((payer) => payer !== genesis.wallet))
  const payers = [...others].map(async (address) => {
    const roots = open.filter(({ descriptor }) => descriptor.payer === address)
    return { address, inChannels: leftOf(roots), ...(await held(address)) }
  })
  return { ...facts, payers: await Promise.all(payers) }
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
