/**
 * A campaign: kills provider and consumer in turn under load, then lets both end in order and weighs the evidence.
 *
 * After each kill the journal of the dead node must hold every voucher that this life of it sent or acknowledged; at the end the ledgers
 * of both sides must be equal, the vouchers must claim, and `byway verify` must find both books right.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { callDaemon } from '../../src/api/client.ts'
import { socketPath } from '../../src/api/socket.ts'
import { Evidence, MOMENTS, type Moment } from './evidence.ts'
import { compareLedgers } from './ledgers.ts'
import { type Load, startLoad } from './load.ts'
import { byway } from './main.ts'
import type { NodeProcess } from './process.ts'
import { type Random, seededRandom } from './random.ts'
import { makeWorld, type World } from './world.ts'

export interface CampaignOptions {
  kills: number
  seed: number
  /** `off`: vouchers are acknowledged before they are on disk. */
  fsync: 'on' | 'off'
  /** Unsynced writes die with the process, as in a power cut. */
  powerCut: boolean
  /** No further kill once something was lost: a control need not go on. */
  stopAtLoss?: boolean
  /** Keeps the folder of the run. */
  keep?: boolean
  say(line: string): void
}

export interface Report {
  kills: number
  seconds: number
  moments: Record<Moment, number>
  sent: number
  acknowledged: number
  sessions: number
  bytes: number
  transfers: { finished: number; broken: number; wrong: number }
  /** Kills for which no traffic came back within the limit. */
  stalls: number
  /** Nodes that said their folder was an older copy. */
  restoredWarnings: number
  lost: number
  conflicts: number
  rewound: number
  ledgers: string[]
  verify: string
  claimed: bigint
  earned: bigint
  /** Paid on the provider's word: what was under way when the consumer died. */
  disputedBytes: bigint
  surprises: string[]
  findings: string[]
  folder: string
}

const CLIENTS = 5
/** This part of the kills comes in bursts, so close that they strike nodes that are starting or opening their session. */
const BURST_SHARE = 0.15
const BURST_GOES_ON = 0.7
const BURST_PAUSE_MS = 500
/** This part waits for a rare moment, such as a root or a claim being under way, and strikes right then or a little later. */
const RARE_SHARE = 0.3
const RARE_LIMIT_MS = 6_000
const RARE_PAUSE_MS = 25
const RARE = { consumer: ['root-planned', 'session-opened'], provider: ['claim-sent', 'session-opened', 'channel-accepted'] } as const
/** The others wait until bytes flow again, and then up to this long. */
const LATER_MS = 1_200
/** Bytes that must have moved since the last kill for traffic to count as flowing. */
const FLOWING_BYTES = 500_000
/** A minute: start-up, proofs, a root and the way back to traffic take two or three seconds. */
const FLOW_LIMIT_MS = 60_000
const POLL_MS = 20
const CLAIM_PAUSE_MS = 700
const ORDERLY_LIMIT_MS = 120_000
const SAY_EVERY_KILLS = 10

export async function runCampaign(options: CampaignOptions): Promise<Report> {
  const { kills, seed, say } = options
  const startedMs = performance.now()
  // Moments and load each have their own, so that what the clients do does not change when the kills strike.
  const random = seededRandom(seed)
  const evidence = new Evidence()
  const moments = Object.fromEntries(MOMENTS.map((moment) => [moment, 0])) as Record<Moment, number>
  const switches = { BYWAY_DEBUG_FSYNC: options.fsync, BYWAY_DEBUG_POWER_CUT: options.powerCut ? '1' : '0' }
  const world = await makeWorld(switches, say)
  const { provider, consumer } = world
  let killed = 0
  let stalls = 0
  let burst = false
  let finished = false
  try {
    const load = startLoad(world.proxyPort, world.origin.port, CLIENTS, seededRandom(seed + 1))
    const claiming = new AbortController()
    const claims = claimNowAndThen(provider, claiming.signal)
    for (let kill = 1; kill <= kills && !(options.stopAtLoss === true && evidence.counts.lost > 0); kill++) {
      const victim = kill % 2 === 1 ? provider : consumer
      burst = random.chance(burst ? BURST_GOES_ON : BURST_SHARE)
      if (burst) await delay(random.between(0, BURST_PAUSE_MS))
      else if (!(await untilMoment(victim, load, random))) stalls++
      if (victim === consumer) load.proxyDies()
      await victim.kill()
      killed++
      moments[await evidence.afterEnd(victim, roleOf(victim, world))]++
      victim.start()
      if (kill % SAY_EVERY_KILLS === 0) {
        const { sent, acknowledged, lost } = evidence.counts
        say(
          `${kill} of ${kills} kills: ${sent} vouchers sent, ${acknowledged} acknowledged, lost ${lost}, conflicts ${evidence.conflicts.length}`,
        )
      }
    }
    say('an orderly end')
    await load.eachFinishes(AbortSignal.timeout(ORDERLY_LIMIT_MS)).catch(() => stalls++)
    await load.stop()
    claiming.abort()
    await claims
    await end(consumer, evidence, 'sent')
    // The transaction of a deposit may be mined only after the life that followed the kill had given it up: the next start finds it.
    consumer.start()
    await consumer.ready()
    await end(consumer, evidence, 'sent')
    const claimed = await claimAll(provider)
    await end(provider, evidence, 'acknowledged')
    const ledgers = await compareLedgers(provider.journal, consumer.journal)
    const verified = await byway(['verify', '--home', world.folder])
    const { sent, acknowledged, lost, rewound } = evidence.counts
    finished = true
    return {
      kills: killed,
      seconds: Math.round((performance.now() - startedMs) / 1000),
      moments,
      sent,
      acknowledged,
      sessions: ledgers.sessions,
      bytes: load.counts.bytes,
      transfers: { finished: load.counts.finished, broken: load.counts.broken, wrong: load.counts.wrong.length },
      stalls,
      restoredWarnings: (await restoredWarnings(provider)) + (await restoredWarnings(consumer)),
      ...{ lost, rewound, conflicts: evidence.conflicts.length },
      ledgers: ledgers.differences,
      verify: verified.status === 0 ? 'all equal' : `${verified.stdout}${verified.stderr}`.trim(),
      claimed,
      earned: ledgers.earned,
      disputedBytes: ledgers.disputedBytes,
      surprises: [...provider.surprises, ...consumer.surprises],
      findings: [...evidence.findings, ...evidence.conflicts, ...load.counts.wrong],
      folder: world.folder,
    }
  } finally {
    await world.close(options.keep === true || !finished)
  }
}

/** Nothing lost, nothing signed twice, nobody surprised, and both books the same. */
export function isRight(report: Report): boolean {
  const { lost, conflicts, rewound, stalls, restoredWarnings, ledgers, surprises, transfers } = report
  const none = lost + conflicts + rewound + stalls + restoredWarnings + ledgers.length + surprises.length + transfers.wrong === 0
  return none && report.verify === 'all equal' && report.claimed > 0n
}

const roleOf = (node: NodeProcess, world: World) => (node === world.consumer ? 'sent' : 'acknowledged')

/** Waits for the moment of the next kill; false when traffic did not come back in time. */
async function untilMoment(victim: NodeProcess, load: Load, random: Random): Promise<boolean> {
  const goal = load.counts.bytes + FLOWING_BYTES
  const until = performance.now() + FLOW_LIMIT_MS
  const rare = random.chance(RARE_SHARE) ? [random.pick(RARE[victim.name as keyof typeof RARE])] : undefined
  const struck = rare === undefined ? false : await victim.says(rare, RARE_LIMIT_MS)
  if (struck) {
    await delay(random.between(0, RARE_PAUSE_MS))
    return true
  }
  while (load.counts.bytes < goal) {
    if (performance.now() > until) return false
    await delay(POLL_MS)
  }
  await delay(random.between(0, LATER_MS))
  return true
}

/** Claims all the time, so that kills strike claims too. */
async function claimNowAndThen(provider: NodeProcess, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // Killed, starting, nothing to claim: the next one may do better.
    await callDaemon(socketPath(provider.home, {}), 'POST /v1/claim').catch(() => {})
    await delay(CLAIM_PAUSE_MS, undefined, { signal }).catch(() => {}) // aborted: the loop sees it
  }
}

/** Everything the vouchers promise: after it there is nothing left to claim. */
async function claimAll(provider: NodeProcess): Promise<bigint> {
  let total = 0n
  for (;;) {
    try {
      const { claims } = (await callDaemon(socketPath(provider.home, {}), 'POST /v1/claim', { timeoutMs: ORDERLY_LIMIT_MS })) as {
        claims: { amount: string }[]
      }
      for (const { amount } of claims) total += BigInt(amount)
    } catch (thrown) {
      if ((thrown as { code?: string }).code === 'CLAIM_NOTHING') return total
      throw thrown
    }
  }
}

async function end(node: NodeProcess, evidence: Evidence, role: 'sent' | 'acknowledged'): Promise<void> {
  const how = await node.stop()
  if (how !== 'exit code 0') node.surprises.push(`${node.name} did not end in order: ${how}`)
  await evidence.afterEnd(node, role)
}

async function restoredWarnings(node: NodeProcess): Promise<number> {
  return (await readFile(node.log, 'utf8')).split('\n').filter((line) => line.includes('warning-raised') && line.includes('STATE_RESTORED'))
    .length
}
