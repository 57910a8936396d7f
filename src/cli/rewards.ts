/**
 * `byway rewards`: what this wallet has coming in WAY, from where, and claiming all of it.
 *
 *     usage      minted for the dollars its claims left to burn, once the auction sold them
 *     capacity   paid for proven bandwidth by epoch roots; its leaves come from a file, and are checked against the final root
 *     bootstrap  the same for the first years
 *     stake      what the operators it stands behind were paid
 */
import type { Command } from 'commander'
import { type Action, proofIn, type RewardLeaf, type RootsClient } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { formatWay } from '../protocol/way.ts'
import { type Owner, openOwner } from './economy.ts'
import { formatUntil, formatUsd } from './format.ts'
import { type Leaves, leavesIn } from './leaves.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut } from './signing.ts'

export function rewardsShape(command: Command): void {
  command
    .option('--claim', 'Brings everything that is due into the wallet.')
    .addHelpText(
      'after',
      '\nExample:\n  byway rewards                         what is due\n  byway rewards --claim --dry-run       what claiming it would cost',
    )
  addSigning(command)
}

interface Due {
  nowS: number
  usage: { waiting: bigint; epochs: { epoch: bigint; own: bigint; all: bigint; due: bigint }[] }
  roots: RootDue[]
  stake: { operator: Hex; rewards: bigint }[]
  credit: bigint
}

interface RootDue {
  what: 'capacity' | 'bootstrap'
  client: RootsClient
  epoch: bigint | undefined
  /** Undefined when the leaves are not known. */
  due: bigint | undefined
  claimed: bigint
  pendingUntil: number | undefined
  claim: Action | undefined
}

export async function rewards(command: Command, env: Env, output: Output): Promise<void> {
  const owner = await openOwner(command, env)
  const { claim = false } = command.opts<{ claim?: boolean }>()
  const due = await dueTo(owner, await leavesIn(owner.settings.leaves))
  if (claim) await claimAll(owner, command, output, due)
  else showDue(owner, due, output)
}

async function dueTo({ economy, address }: Owner, leaves: Leaves): Promise<Due> {
  const { usage, registry, capacityRewards, bootstrapRewards } = economy
  const [waiting, epochs, capacity, bootstrap, holdings, credit, nowS] = await Promise.all([
    usage.waiting(address),
    usage.rewardsOf(address),
    rootDue('capacity', capacityRewards, address, leaves.capacity),
    rootDue('bootstrap', bootstrapRewards, address, leaves.bootstrap),
    registry.holdingsOf(address),
    registry.creditOf(address),
    economy.nowS(),
  ])
  const stake = holdings.filter(({ rewards }) => rewards > 0n).map(({ operator, rewards }) => ({ operator, rewards }))
  return { nowS, usage: { waiting, epochs }, roots: [capacity, bootstrap], stake, credit }
}

async function rootDue(
  what: RootDue['what'],
  client: RootsClient,
  operator: Hex,
  leaves: readonly RewardLeaf[] | undefined,
): Promise<RootDue> {
  const [view, claimed] = await Promise.all([client.view(), client.claimed(operator)])
  const base = { what, client, epoch: view.root === undefined ? undefined : view.epoch, claimed, pendingUntil: view.pending?.endsAt }
  if (view.root === undefined || leaves === undefined) return { ...base, due: view.root === undefined ? 0n : undefined, claim: undefined }
  const proof = proofIn(leaves, view.root, operator)
  const due = proof === undefined || proof.cumulative <= claimed ? 0n : proof.cumulative - claimed
  return { ...base, due, claim: due > 0n ? client.claim(proof!) : undefined }
}

function showDue({ address, name }: Owner, due: Due, output: Output): void {
  const { usage, roots, stake, credit, nowS } = due
  const json = {
    wallet: address,
    usage,
    roots: roots.map(({ what, epoch, due: units, claimed, pendingUntil }) => ({ what, epoch, due: units, claimed, pendingUntil })),
    stake,
    credit,
  }
  output.result(json, () => {
    const minted = usage.epochs.reduce((sum, epoch) => sum + epoch.due, 0n)
    const later = usage.waiting > 0n ? `${formatUsd(usage.waiting)} of claims has not been sent to burn yet` : ''
    output.line(`${name} ${address}`)
    output.table(
      [{ title: 'reward' }, { title: 'due', align: 'right' }, { title: 'note' }],
      [
        ['usage', formatWay(minted), later],
        ...roots.map((root) => [root.what, root.due === undefined ? 'not known' : formatWay(root.due), rootNote(root, nowS)]),
        ['stake', formatWay(stake.reduce((sum, { rewards }) => sum + rewards, 0n)), ''],
        ['booked', formatWay(credit), ''],
      ],
    )
  })
}

function rootNote({ epoch, due, pendingUntil }: RootDue, nowS: number): string {
  const next = pendingUntil === undefined ? '' : `; the next root is final ${formatUntil(pendingUntil, nowS)}`
  if (epoch === undefined) return `no root is final yet${next}`
  return `root of epoch ${epoch}${due === undefined ? ': name its leaves with --leaves' : ''}${next}`
}

async function claimAll(owner: Owner, command: Command, output: Output, { usage, roots, stake, credit }: Due): Promise<void> {
  const { economy, address } = owner
  const { registry } = economy
  const epochs = usage.epochs.filter(({ due }) => due > 0n)
  const claims = roots.filter(({ claim }) => claim !== undefined)
  const minted = epochs.reduce((sum, { due }) => sum + due, 0n)
  // What a root pays an operator is shared among whoever stands behind it, so it is booked anew.
  const operators = new Set([...stake.map(({ operator }) => operator), ...(claims.length > 0 ? [address] : [])])
  const booked = stake.reduce((sum, { rewards }) => sum + rewards, credit)
  const actions = [
    ...(usage.waiting > 0n ? [economy.usage.collect([address])] : []),
    ...epochs.map(({ epoch }) => economy.usage.mint(epoch, [address])),
    ...claims.map(({ claim }) => claim!),
    ...[...operators].map((operator) => registry.claimRewards(operator)),
    ...(operators.size > 0 || credit > 0n ? [registry.collect(address)] : []),
  ]
  if (actions.length === 0) {
    throw new BywayError('NOTHING_DUE', 'no reward is due to this wallet now', { hint: '`byway rewards` shows what is on its way' })
  }
  await carryOut(owner, command, output, {
    will: [
      ...(usage.waiting > 0n
        ? [`send ${formatUsd(usage.waiting)} of claims on its way to be burnt; its reward is due in later epochs`]
        : []),
      ...(minted > 0n ? [`mint ${formatWay(minted)} for use of the exchange, to the wallet`] : []),
      ...claims.map(({ what, due }) => `claim ${formatWay(due!)} for ${what}, for this operator and everybody behind it`),
      ...(booked > 0n ? [`bring ${formatWay(booked)} of stake rewards and credits into the wallet`] : []),
    ],
    notes: [],
    actions,
    facts: {
      usage: minted,
      collected: usage.waiting,
      roots: claims.map(({ what, due }) => ({ what, due })),
      stake: booked,
    },
  })
}
