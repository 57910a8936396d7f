/**
 * The probers of the local exchange: each epoch they measure the providers through a consumer of their own, and say what capacity earned.
 *
 * They are operators with keys of their own, all in this process because they belong to one somebody; between strangers each would be a process
 * of its own. What they measure is real: bytes through sessions, tills and vouchers, as customers get them. Providers are enrolled here as
 * well, with a bond of play money.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type BudgetKind, createEpochsClient, type RewardLeaf } from '../chain/index.ts'
import {
  type Audited,
  auditProviders,
  concludeEpoch,
  type EpochNeeds,
  Looking,
  lookAt,
  measureTogether,
  mintBudgets,
  type ProviderSeen,
  proposeRoots,
  reportRegions,
  settleRoots,
  settleVaults,
} from '../prober/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { realDisk } from '../wallet/disk.ts'
import { readJournal } from '../wallet/journal.ts'
import { ledgerOf } from '../wallet/ledger.ts'
import { homePaths } from '../wallet/paths.ts'
import type { Child } from './child.ts'
import { type EnrolNeeds, economyOf, enrolProbers, enrolProvider } from './enrol.ts'
import { leavesIn, writeLeaves } from './leaves.ts'
import type { Output } from './output.ts'
import { readReports, reportsFile, writeReports } from './reports.ts'

/** A twelfth of a devnet epoch: what ended is noticed soon. */
const ROUND_MS = 5_000
/** Nothing is measured right after the start: whoever looks then sees the world as it was left. */
const FIRST_ROUND_MS = 15_000
/** While nobody sends anything the chain's time stands still: then a block is made. */
const STILL_S = 10
/** A root waits for an epoch at least; a few more for a round that failed. */
const EPOCHS_KEPT = 8

export interface Epochs {
  /** Ends after the step under way. */
  stop(): Promise<void>
}

export interface EpochsOptions extends EnrolNeeds {
  /** Where leaves and reports are published. */
  folder: string
  probers: number
  /** Of the consumer that carries the probes, once it runs. */
  proxy: () => { host: string; port: number } | undefined
  providers: () => readonly Child[]
  output: Output
}

/** Where the leaves of the final roots are. */
export const leavesFile = (folder: string): string => join(folder, 'leaves.json')

/** Turns epochs until it is stopped. A round that fails is told to programs and tried again. */
export function keepEpochs(options: EpochsOptions): Epochs {
  const { output } = options
  const ending = new AbortController()
  let world: Promise<EpochWorld> | undefined
  let round = Promise.resolve()
  const look = () => {
    round = round.then(async () => {
      if (ending.signal.aborted) return
      try {
        world ??= openWorld(options, ending.signal)
        await goOn(await world, options, ending.signal)
      } catch (error) {
        if (!ending.signal.aborted) output.event('epoch', { failed: error instanceof Error ? error.message : String(error) })
        // What could not be opened is opened anew.
        await world?.catch(() => (world = undefined))
      }
    })
  }
  let timer: NodeJS.Timeout | undefined
  const first = setTimeout(() => {
    look()
    timer = setInterval(look, ROUND_MS)
  }, FIRST_ROUND_MS)
  return {
    async stop() {
      clearTimeout(first)
      clearInterval(timer)
      ending.abort()
      await round
    },
  }
}

interface EpochWorld {
  needs: EpochNeeds
  enrolled: Set<Hex>
  /** The newest epochs that were audited, oldest first: those that no root covers yet are among them. */
  audited: Audited[]
  /** Bytes each provider had been paid for when the epoch began. */
  carried: Map<Hex, bigint>
  looking: Looking
}

async function openWorld(options: EpochsOptions, signal: AbortSignal): Promise<EpochWorld> {
  const { rpc, contracts, folder, proxy, providers } = options
  await mkdir(folder, { recursive: true })
  const probers = await enrolProbers(options, options.probers)
  const keyOf = (operator: Hex) => providers().find(({ ready }) => ready.wallet === operator)?.ready.nodeKey
  /** Throws when it does not run: then nobody can be asked. */
  const wayTo = (operator: Hex) => {
    const [provider, through] = [keyOf(operator), proxy()]
    if (provider === undefined || through === undefined) throw new Error('not running')
    return { proxy: through, provider }
  }
  const needs: EpochNeeds = {
    economy: economyOf(options),
    epochs: createEpochsClient(rpc, contracts),
    sender: probers[0]!.wallet,
    probers,
    async passBlocks(count) {
      for (let block = 0; block < count; block++) await rpc.request(z.unknown(), 'evm_mine', [], signal)
    },
    measure: async ({ operator, claimedMbps }, members) => measureTogether({ ...wayTo(operator), claimedMbps, members, signal }),
    leavesOf: async (kind, root) => (await leavesIn(rootFile(folder, root)))[kind]?.slice(),
    publish: (kind, root, leaves, final) => publish(folder, kind, root, leaves, final),
  }
  const look = async (operator: Hex) => void (await lookAt({ ...wayTo(operator), signal }))
  const members = probers.map(({ operator }) => operator)
  // What was said of this epoch before a restart stands: another word would be equivocation. A file of another version says nothing.
  const before = await readReports(reportsFile(folder)).catch(() => undefined)
  const audited = before !== undefined && before.epoch === (await needs.epochs.epoch()) ? [before] : []
  return { needs, enrolled: new Set(), audited, carried: new Map(), looking: new Looking(members, look) }
}

/** Leaves stay known by their root, also when the other kind is published; the final ones are in one file. */
const rootFile = (folder: string, root: Hex): string => join(folder, `${root}.json`)

async function publish(folder: string, kind: BudgetKind, root: Hex, leaves: readonly RewardLeaf[], final: boolean): Promise<void> {
  await writeLeaves(rootFile(folder, root), { [kind]: leaves })
  if (final) await writeLeaves(leavesFile(folder), { ...(await leavesIn(leavesFile(folder))), [kind]: leaves })
}

/** Does what is due now: windows that ended, the epoch that ended, the audits of the one that began. */
async function goOn(world: EpochWorld, options: EpochsOptions, signal: AbortSignal): Promise<void> {
  const { needs, enrolled } = world
  const { output } = options
  for (const child of options.providers()) {
    if (enrolled.has(child.ready.wallet)) continue
    await enrolProvider(options, child)
    enrolled.add(child.ready.wallet)
  }
  if (Math.floor(Date.now() / 1000) - (await needs.economy.nowS()) >= STILL_S) await needs.passBlocks(1)
  const settled = await settleRoots(needs)
  if (settled.length > 0) output.event('epoch', { state: 'settled', roots: settled })

  const epoch = await needs.epochs.epoch()
  const last = world.audited.at(-1)
  if (last?.epoch === epoch) {
    await world.looking.look(last)
    return
  }
  await mintBudgets(needs)
  if (last !== undefined) {
    const over = concludeEpoch(needs, last, world.looking.found(last.epoch))
    world.audited = [...world.audited.slice(0, -1), over]
    await writeReports(options.folder, over)
    await reportRegions(needs, over, await demandSince(world, options.providers()))
    const proposed = await proposeRoots(needs, world.audited)
    const vaults = await settleVaults(needs, over.observations)
    output.event('epoch', { state: 'over', epoch: last.epoch, proposed, vaults })
  }
  signal.throwIfAborted()
  const audited = await auditProviders(needs, await seen(needs, options.providers()))
  world.audited = [...world.audited, audited].slice(-EPOCHS_KEPT)
  await writeReports(options.folder, audited)
  output.event('epoch', {
    state: 'audited',
    epoch: audited.epoch,
    proven: audited.observations.map(({ operator, guaranteedMbps }) => ({ operator, guaranteedMbps })),
  })
}

/** Providers as they registered. On one machine each counts as a link of its own, although all share one. */
async function seen({ economy }: EpochNeeds, providers: readonly Child[]): Promise<ProviderSeen[]> {
  const all = await Promise.all(
    providers.map(async ({ ready: { wallet } }): Promise<ProviderSeen | undefined> => {
      const { profile, active } = await economy.registry.operator(wallet)
      if (profile === undefined || !active) return undefined
      return { operator: wallet, region: profile.region, link: wallet, claimedMbps: BigInt(profile.mbps) }
    }),
  )
  return all.filter((provider) => provider !== undefined)
}

/** Bytes each provider was paid for since this was last asked: what their own books say. */
async function demandSince({ carried }: EpochWorld, providers: readonly Child[]): Promise<Map<Hex, bigint>> {
  const demand = new Map<Hex, bigint>()
  for (const { ready } of providers) {
    const journal = await readJournal(realDisk(), homePaths(ready.home).journal)
    const { up, down } = ledgerOf(journal?.records ?? []).totals
    const before = carried.get(ready.wallet)
    carried.set(ready.wallet, up + down)
    demand.set(ready.wallet, before === undefined ? 0n : up + down - before)
  }
  return demand
}
