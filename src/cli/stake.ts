/**
 * `byway stake`: puts WAY behind this node (its bond) or another operator, and shows what is staked, what it earned and what is on its way out.
 * The first stake of a node registers it.
 */
import type { Command } from 'commander'
import { z } from 'zod'
import { type Action, type Operator, type OperatorRole, type Profile, ROLES } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { formatWay } from '../protocol/way.ts'
import { type Owner, openOwner } from './economy.ts'
import { formatDuration, formatPercent, formatUntil, shortHex } from './format.ts'
import { hexText, readJsonFile } from './json-file.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut } from './signing.ts'
import { addressWord, countWord, oneOfWords, percentWord, regionWord, wayWord } from './words.ts'

/** What an operator that says nothing keeps of its delegators' rewards: the usual order of size among networks that delegate. */
const COMMISSION_BPS = 1_000
/** No line sold to households or servers is wider: a slip of the finger would raise the bond with it. */
const MAX_MBPS = 1_000_000
const NO_OFFER: Hex = `0x${'00'.repeat(32)}`

interface StakeOptions {
  operator?: string
  region?: string
  mbps?: string
  commission?: string
  role?: string
  payout?: string
  evidence?: string
}

export function stakeShape(command: Command): void {
  command
    .argument('[way]', 'WAY to put in; without it, shows what is staked.')
    .option('--operator <address>', 'Whom to stand behind; without it, this node itself.')
    .option('--region <name>', 'Registers the node in this region, such as de.')
    .option('--mbps <number>', 'Bandwidth the node claims; its own stake must cover it, and audits measure it.')
    .option('--commission <percent>', 'Part of each reward kept before delegators share; it may only fall. (10 at first)')
    .option('--role <role>', 'provider, prober or both. (provider at first)')
    .option('--payout <address>', 'Where the rewards of this node go. (its wallet at first)')
    .option('--evidence <file>', 'Reports an operator that signed two different statements at one place; half of the slash is yours.')
    .addHelpText('after', '\nExample:\n  byway stake 1000 --region de --mbps 100    bonds and registers this node')
  addSigning(command)
}

export async function stake(command: Command, env: Env, output: Output): Promise<void> {
  const owner = await openOwner(command, env)
  const [amount] = command.args
  const options = command.opts<StakeOptions>()
  if (options.evidence !== undefined) return report(owner, command, options.evidence, output)
  const changes = profileChanges(options)
  if (amount === undefined && changes === undefined) return showStake(owner, output)
  const tokens = amount === undefined ? 0n : wayWord('the stake', amount)
  const operator = options.operator === undefined ? owner.address : addressWord('--operator', options.operator)
  await putIn(owner, command, output, operator, tokens, changes)
}

/** Stakes behind an operator; registers or changes the profile first where it is this node and something was said about it. */
export async function putIn(
  owner: Owner,
  command: Command,
  output: Output,
  operator: Hex,
  tokens: bigint,
  changes: Partial<Profile> | undefined,
): Promise<void> {
  const { economy, address, keys } = owner
  const { registry } = economy
  const [standing, unbondingS] = await Promise.all([registry.operator(operator), registry.unbondingS()])
  const own = operator === address
  if (!own && changes !== undefined) {
    throw new BywayError('ARGUMENT_INVALID', 'a profile can only be written by the operator itself', { facts: { operator } })
  }
  if (!own) requireKnown(standing)
  const profile = own ? profileOf(standing, { ...changes }, address, keys.nodeId) : standing.profile!
  const actions: Action[] = []
  if (own && (changes !== undefined || standing.profile === undefined)) actions.push(registry.setProfile(profile))
  if (tokens > 0n) actions.push(registry.stake(operator, tokens))

  const whom = own ? 'this node' : `operator ${shortHex(operator)}`
  await carryOut(owner, command, output, {
    will: [
      ...(own && actions.length > (tokens > 0n ? 1 : 0) ? [registering(profile)] : []),
      ...(tokens > 0n ? [`move ${formatWay(tokens)} from the wallet into the stake of ${whom}`] : []),
    ],
    notes: [
      ...(tokens > 0n
        ? [`It comes back ${formatDuration(unbondingS * 1000)} after \`byway unstake\`, and can be slashed until then.`]
        : []),
      ...(own ? [] : [`The operator keeps ${formatPercent(profile.commissionBps)} of each reward; the rest is shared by stake.`]),
    ],
    actions,
    facts: { operator, tokens, profile, unbondingS },
  })
}

const registering = ({ role, region, mbps, commissionBps, payout }: Profile): string =>
  `register this node as ${role} in ${region} with ${mbps} Mbps, commission ${formatPercent(commissionBps)}, payout to ${payout}`

export function requireKnown({ operator, profile, struckOff }: Operator): void {
  if (profile === undefined) {
    throw new BywayError('UNKNOWN_ON_CHAIN', 'no operator is registered at this address', {
      facts: { operator },
      hint: '`byway delegate` lists them all',
    })
  }
  if (struckOff) {
    throw new BywayError('STRUCK_OFF', 'this operator was struck off: it signed two different things at one place', { facts: { operator } })
  }
}

function profileChanges(options: StakeOptions): Partial<Profile> | undefined {
  const changes: Partial<Profile> = {
    ...(options.region === undefined ? {} : { region: regionWord('--region', options.region) }),
    ...(options.mbps === undefined ? {} : { mbps: countWord('--mbps', options.mbps, MAX_MBPS) }),
    ...(options.commission === undefined ? {} : { commissionBps: percentWord('--commission', options.commission) }),
    ...(options.role === undefined ? {} : { role: oneOfWords('role', ROLES.slice(1) as OperatorRole[], options.role) }),
    ...(options.payout === undefined ? {} : { payout: addressWord('--payout', options.payout) }),
  }
  return Object.keys(changes).length === 0 ? undefined : changes
}

function profileOf({ profile }: Operator, changes: Partial<Profile>, address: Hex, nodeKey: Hex): Profile {
  const fresh = { nodeKey, offerHash: NO_OFFER, payout: address, commissionBps: COMMISSION_BPS, role: 'provider' } as const
  const { region, mbps, ...rest } = { ...(profile ?? fresh), nodeKey, ...changes }
  if (region !== undefined && mbps !== undefined) return { ...rest, region, mbps }
  throw new BywayError('ARGUMENT_INVALID', 'this node is not registered yet: say in which region it is and what bandwidth it claims', {
    hint: 'Add --region and --mbps, such as --region de --mbps 100.',
  })
}

async function showStake({ economy, address, name }: Owner, output: Output): Promise<void> {
  const { registry } = economy
  const [operator, holdings, thaws, credit, unbondingS, balances, nowS] = await Promise.all([
    registry.operator(address),
    registry.holdingsOf(address),
    registry.thawsOf(address),
    registry.creditOf(address),
    registry.unbondingS(),
    economy.balances(address),
    economy.nowS(),
  ])
  output.result({ wallet: address, way: balances.way, operator, holdings, thaws, credit, unbondingS }, () => {
    output.line(`${name} ${address}: ${formatWay(balances.way)} in the wallet`)
    output.line(standingText(operator))
    if (holdings.length > 0) {
      output.line()
      output.table(
        [{ title: 'operator' }, { title: 'staked', align: 'right' }, { title: 'rewards', align: 'right' }],
        holdings.map((held) => [held.operator === address ? 'this node' : held.operator, formatWay(held.tokens), formatWay(held.rewards)]),
      )
    }
    if (thaws.length > 0) {
      output.line()
      output.table(
        [{ title: 'leaving' }, { title: 'to' }, { title: 'WAY', align: 'right' }, { title: 'free' }],
        thaws.map((thaw) => [
          thaw.operator === address ? 'this node' : thaw.operator,
          thaw.to ?? 'the wallet',
          formatWay(thaw.tokens),
          formatUntil(thaw.releaseAt, nowS),
        ]),
      )
    }
    if (credit > 0n) output.line(`${formatWay(credit)} to collect: \`byway rewards --claim\``)
  })
}

function standingText({ profile, own, bonded, required, active, struckOff }: Operator): string {
  if (struckOff) return 'This node was struck off: it signed two different things at one place.'
  if (profile === undefined) return 'This node is not registered: `byway stake 1000 --region de --mbps 100`.'
  const standing = active ? 'active' : `not active, ${formatWay(required - own)} short of its bond`
  const claims = `${profile.role} in ${profile.region}, ${profile.mbps} Mbps, commission ${formatPercent(profile.commissionBps)}`
  return `Registered as ${claims}: ${standing}. Own stake ${formatWay(own)} of ${formatWay(bonded)} behind it.`
}

const word = hexText(32)
const signedStatement = z.strictObject({
  statement: z.strictObject({
    kind: word,
    stream: word,
    counter: z.union([z.int().min(0), z.string().regex(/^\d{1,20}$/)]).transform(BigInt),
    content: word,
  }),
  signature: hexText(64),
})
/** Two statements and their signatures are a thousand characters. */
const MAX_FILE_BYTES = 64 * 1024
const evidenceFile = z.strictObject({ first: signedStatement, second: signedStatement })

async function report(owner: Owner, command: Command, file: string, output: Output): Promise<void> {
  const { first, second } = await readJsonFile(file, { what: 'evidence', schema: evidenceFile, mostBytes: MAX_FILE_BYTES })
  await carryOut(owner, command, output, {
    will: ['report an operator that signed two different statements at one place; all its stake is slashed'],
    notes: ['At most half of the slash is credited to this wallet (`byway rewards --claim`), the rest is burnt.'],
    actions: [owner.economy.registry.reportEquivocation(first, second)],
    facts: { first, second },
  })
}
