/**
 * A campaign: transfers by plan through the proxy, some at once, while mishaps strike; then every transfer is judged.
 *
 * The first part of it is calm: nothing strikes, so nothing may break that was not given up by plan.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { RESUME_LIMIT_MS } from '../../src/protocol/flow.ts'
import { SILENT_MS } from '../../src/provider/session.ts'
import { seededRandom } from '../crash/random.ts'
import { isInside } from '../support/own-network.ts'
import type { Account } from './end.ts'
import { isWrong, judge, VERDICTS, type Verdict } from './judge.ts'
import { type Mishap, Mishaps } from './mishaps.ts'
import { type Plan, planTransfers } from './plan.ts'
import { startSwallowing } from './swallow.ts'
import { runTransfer, startOrigin } from './transfers.ts'
import { makeWorld } from './world.ts'

export interface CampaignOptions {
  transfers: number
  seed: number
  hops: 1 | 2 | 3
  /** The positive control: a line before the proxy loses the last bytes of downloads. */
  swallow: boolean
  keep: boolean
  say(line: string): void
}

export interface Report {
  verdicts: Record<Verdict, number>
  mishaps: Record<Mishap, number>
  /** Packets could be lost, or only processes killed. */
  network: boolean
  up: number
  down: number
  largest: number
  /** Attempts to open a flow that failed; each was made again. */
  refused: number
  /** Connections that reached the origin and ended before their first bytes, by how they ended. */
  speechless: { reset: number; ended: number }
  /** Connections at the origin that never ended. */
  left: number
  surprises: string[]
  findings: string[]
  seconds: number
}

/** As many at once as one page opens. */
const AT_ONCE = 8
/** Of all transfers: this part runs before anything strikes. */
const CALM_SHARE = 0.2
/** A mishap for so many transfers, on average; whoever began it waits until it is over. */
const TRANSFERS_A_MISHAP = 2
/** It strikes within this time, so that it meets transfers at any point. */
const STRIKES_WITHIN_MS = 1_500
/** Far above the longest plan and the silence after which a session is given up. */
const TRANSFER_LIMIT_MS = 120_000
/** A flow must be had in this time, whatever struck. */
const REFUSED_LIMIT_MS = 90_000
const AGAIN_MS = 250
/** A provider whose consumer fell silent without a word notices it after the one, and keeps its flows for the other. */
const SETTLE_LIMIT_MS = SILENT_MS + RESUME_LIMIT_MS + 5_000
const SAY_EVERY = 50

export async function runCampaign(options: CampaignOptions): Promise<Report> {
  const { transfers, seed, hops, say } = options
  const startedMs = performance.now()
  const plans = planTransfers(transfers, seededRandom(seed))
  // Its own, so that what strikes does not change what is transferred.
  const random = seededRandom(seed + 1)
  const verdicts = Object.fromEntries(Object.keys(VERDICTS).map((verdict) => [verdict, 0])) as Record<Verdict, number>
  const findings: string[] = []
  const total = { up: 0, down: 0, largest: 0, refused: 0 }
  say('starting a chain, providers and a consumer')
  const world = await makeWorld(hops + 1)
  const mishaps = new Mishaps(world.hops, isInside())
  const origin = await startOrigin(plans, TRANSFER_LIMIT_MS)
  const line = options.swallow ? await startSwallowing(world.proxyPort) : undefined
  const to = {
    proxyPort: line?.port ?? world.proxyPort,
    originPort: origin.port,
    username: hops === 1 ? 'any' : `any-hops-${hops}`,
    limitMs: TRANSFER_LIMIT_MS,
  }
  let finished = false

  async function transfer(plan: Plan): Promise<void> {
    const untilMs = performance.now() + REFUSED_LIMIT_MS
    for (;;) {
      const fromMs = performance.now()
      const client = await runTransfer(plan, to)
      if (client !== undefined) {
        const there = await origin.account(plan.id)
        weigh(plan, client, there, fromMs)
        return
      }
      total.refused++
      if (performance.now() > untilMs) {
        verdicts.hung++
        findings.push(`transfer ${plan.id}: no flow was to be had in ${REFUSED_LIMIT_MS / 1000} s`)
        return
      }
      await delay(AGAIN_MS)
    }
  }

  function weigh(plan: Plan, client: Account, there: Account | undefined, fromMs: number): void {
    const verdict = judge(client, there, mishaps.since(fromMs))
    verdicts[verdict]++
    const [up, down] = [there?.received ?? 0, client.received]
    total.up += up
    total.down += down
    total.largest = Math.max(total.largest, up, down)
    if (isWrong(verdict)) {
      const brief = (account: Account) => JSON.stringify({ ...account, sentHash: undefined, receivedHash: undefined })
      const of = there === undefined ? 'nothing' : brief(there)
      findings.push(
        `${verdict}: ${JSON.stringify(plan)}\n    ${mishaps.told(fromMs).join(', ')}\n    client ${brief(client)}\n    origin ${of}`,
      )
    }
  }

  try {
    let next = 0
    const worker = async () => {
      while (next < plans.length) {
        const number = next++
        const calm = options.swallow || number < plans.length * CALM_SHARE
        const strikes = !calm && random.chance(1 / TRANSFERS_A_MISHAP)
        const mishap = strikes ? mishaps.strike(random, random.between(0, STRIKES_WITHIN_MS)) : undefined
        await transfer(plans[number]!)
        await mishap
        if ((number + 1) % SAY_EVERY === 0) say(`${number + 1} of ${plans.length}: ${short(verdicts)}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    for (const until = performance.now() + SETTLE_LIMIT_MS; origin.open() > 0 && performance.now() < until; ) await delay(AGAIN_MS)
    const left = origin.open()
    findings.push(...origin.strange)
    const surprises = [...world.hops.map(({ node }) => node), world.consumer].flatMap((node) => node.surprises)
    finished = true
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    return {
      verdicts,
      mishaps: mishaps.counts,
      network: isInside(),
      ...total,
      speechless: origin.speechless,
      left,
      surprises,
      findings,
      seconds,
    }
  } finally {
    await line?.close()
    await origin.close()
    await world.close(options.keep || !finished)
  }
}

/** Nothing that the verdicts call wrong, nobody who ended by himself, nothing left open. */
export function isRight({ findings, surprises, left }: Report): boolean {
  return findings.length + surprises.length + left === 0
}

const short = (verdicts: Record<Verdict, number>) =>
  Object.entries(verdicts)
    .filter(([, count]) => count > 0)
    .map(([verdict, count]) => `${verdict} ${count}`)
    .join(', ')
