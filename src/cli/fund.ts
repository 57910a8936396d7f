/**
 * `byway fund`: what a wallet holds, and getting dollars, WAY and gas into it; and deposits of a running consumer.
 *
 * On the local chain money is play money and comes from a faucet. Elsewhere it comes from another wallet of this machine (`--from`), or from
 * wherever the owner has it: the command says where to send it.
 */
import type { Command } from 'commander'
import { z } from 'zod'
import { callDaemon } from '../api/client.ts'
import { socketPath } from '../api/socket.ts'
import { DEVNET_CHAIN_ID, ETHER, fundDevnet } from '../chain/index.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { formatWay } from '../protocol/way.ts'
import { bookOf } from '../wallet/book.ts'
import { homePaths } from '../wallet/paths.ts'
import { type Owner, openOwner, openOwnerAt } from './economy.ts'
import { formatEther, formatTime, formatUsd } from './format.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut, confirm } from './signing.ts'
import { dollarsWord, wayWord } from './words.ts'

/** Gas for hundreds of transactions of a devnet. */
const FAUCET_ETHER = ETHER
/** Opening a root waits for its block and confirmations. */
const DEPOSIT_TIMEOUT_MS = 300_000

export function fundShape(command: Command): void {
  command
    .argument('[dollars]', 'Dollars to bring in, or `deposit`; without it, shows what the wallet holds.')
    .argument('[more]', 'With `deposit`: dollars to lock for all known providers together.')
    .option('--way <way>', 'WAY to bring in as well.')
    .option('--from <home>', 'Takes them from the wallet of another home on this machine.')
    .addHelpText(
      'after',
      [
        '\nExample:',
        '  byway fund                            what the wallet holds, and its address; makes one if there is none',
        '  byway fund 100 --way 5000             on the local chain: play money from the faucet',
        '  byway fund 20 --from ~/byway/savings  from another wallet',
        '  byway fund deposit 20                 a running consumer locks 20 dollars for all providers it knows',
      ].join('\n'),
    )
  addSigning(command)
}

export async function fund(command: Command, env: Env, output: Output): Promise<void> {
  const [first, more] = command.args
  const { way: wayText, from } = command.opts<{ way?: string; from?: string }>()
  const owner = await openOwner(command, env, true)
  if (first === 'deposit') return openDeposit(owner, command, env, dollarsWord('the deposit', more), output)
  const dollars = first === undefined ? 0n : dollarsWord('the amount', first)
  const way = wayText === undefined ? 0n : wayWord('--way', wayText)
  if (dollars === 0n && way === 0n) return showFunds(owner, output)
  if (from !== undefined) return bring(owner, await openOwnerAt(homePaths(from), command, env), command, dollars, way, output)
  if (owner.network.chainId === DEVNET_CHAIN_ID) return fromFaucet(owner, dollars, way, output)
  throw new BywayError('ARGUMENT_INVALID', 'this chain has no faucet', {
    facts: { wallet: owner.address, dollar: owner.economy.contracts.dollar, way: owner.economy.contracts.way },
    hint: `send them to ${owner.address} from where you have them, or name a wallet of this machine with --from`,
  })
}

async function showFunds({ name, address, economy, records, role }: Owner, output: Output): Promise<void> {
  const balances = await economy.balances(address)
  const deposits = [...bookOf(records).roots.values()]
    .filter((root) => root.state === 'open')
    .map(({ rootId, descriptor, spent }) => ({
      rootId,
      payer: descriptor.payer,
      deposit: descriptor.sum,
      spent,
      expiry: descriptor.expiry,
    }))
  const { dollar, way } = economy.contracts
  output.result({ name, wallet: address, role, ...balances, deposits, tokens: { dollar, way } }, () => {
    output.line(`${name} ${address}`)
    output.table(
      [{ title: 'holds' }, { title: 'amount', align: 'right' }, { title: 'for' }],
      [
        ['dollars', formatUsd(balances.dollars), 'deposits, vaults, capacity and agreements'],
        ['WAY', formatWay(balances.way), 'stake and votes'],
        ['ether', formatEther(balances.etherWei), 'gas'],
      ],
    )
    for (const { deposit, spent, expiry } of deposits) {
      output.line(`deposit of ${formatUsd(deposit)}, ${formatUsd(spent)} spent, expires ${formatTime(expiry)}`)
    }
  })
}

async function fromFaucet(owner: Owner, dollars: bigint, way: bigint, output: Output): Promise<void> {
  const { address, economy, rpc } = owner
  const before = await economy.balances(address)
  await createProgress(output).step('asking the faucet of the local chain', () =>
    fundDevnet(rpc, economy.contracts, address, {
      ether: FAUCET_ETHER,
      ...(dollars > 0n ? { dollars: before.dollars + dollars } : {}),
      ...(way > 0n ? { way: before.way + way } : {}),
    }),
  )
  await showFunds(owner, output)
}

async function bring(owner: Owner, from: Owner, command: Command, dollars: bigint, way: bigint, output: Output): Promise<void> {
  const { economy } = from
  await carryOut(from, command, output, {
    will: [
      ...(dollars > 0n ? [`send ${formatUsd(dollars)} to ${owner.name}, ${owner.address}`] : []),
      ...(way > 0n ? [`send ${formatWay(way)} to ${owner.name}, ${owner.address}`] : []),
    ],
    notes: [],
    actions: [
      ...(dollars > 0n ? [economy.sendDollars(owner.address, dollars)] : []),
      ...(way > 0n ? [economy.sendWay(owner.address, way)] : []),
    ],
    facts: { to: owner.address, dollars, way },
  })
}

const depositAnswer = z.object({ rootId: z.string(), deposit: z.string().transform(BigInt), providers: z.int(), expiry: z.int() })

/** The daemon does it: the root must stand in its journal before its transaction leaves. */
async function openDeposit(owner: Owner, command: Command, env: Env, units: bigint, output: Output): Promise<void> {
  const { dryRun = false } = command.opts<{ dryRun?: boolean }>()
  const facts = { wallet: owner.address, units, dryRun }
  output.line(output.style('bold', 'This will'))
  output.line(`  lock ${formatUsd(units)} of the wallet in a root, shared alike by all providers the consumer knows`)
  output.line(
    'in one transaction of about 100000 gas. What is not spent comes back by itself after the root expires (--root-days of the consumer).',
  )
  if (dryRun) return output.result({ ...facts, opened: undefined }, () => output.line('Nothing was signed (--dry-run).'))
  await confirm(command, output)
  const answer = await createProgress(output).step('opening a root', () =>
    callDaemon(socketPath(owner.paths.home, env), 'POST /v1/deposit', { body: { units }, timeoutMs: DEPOSIT_TIMEOUT_MS }).catch(
      (thrown) => {
        const error = asBywayError(thrown)
        if (error.code !== 'DAEMON_UNREACHABLE' && error.code !== 'ROUTE_UNKNOWN') throw error
        throw new BywayError('DAEMON_UNREACHABLE', 'no consumer runs on this home; it is the one to open deposits', {
          cause: error,
          hint: 'start it with `byway connect`: it opens a deposit by itself when it needs one',
        })
      },
    ),
  )
  const opened = depositAnswer.parse(answer)
  output.result({ ...facts, opened }, () =>
    output.line(`${formatUsd(opened.deposit)} for ${opened.providers} providers until ${formatTime(opened.expiry)}, root ${opened.rootId}`),
  )
}
