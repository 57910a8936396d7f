/** What goes wrong on purpose while transfers run: packets lost, connections refused, providers killed. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../crash/random.ts'
import { fail } from './network.ts'
import type { Hop } from './world.ts'

export const MISHAPS = {
  blink: 'packets of a provider lost for a moment',
  outage: 'packets of a provider lost for seconds',
  cut: 'all connections of a provider reset',
  kill: 'a provider killed (kill -9) and started again',
} as const
export type Mishap = keyof typeof MISHAPS

/** How often each; an outage keeps a provider from all other mishaps for long. Without rights over the network only processes are killed. */
const WEIGHTS: readonly Mishap[] = ['blink', 'blink', 'blink', 'cut', 'cut', 'cut', 'outage', 'kill', 'kill', 'kill']
/** Around the first retransmissions of TCP. */
const BLINK_MS = { least: 100, most: 1_500 }
/** Longer than a heartbeat, so that some sessions are given up. */
const OUTAGE_MS = { least: 3_000, most: 8_000 }
/** Every connection with anything to say meets the rule. */
const CUT_MS = 120
const DEAD_MS = { least: 0, most: 1_500 }
/** What a mishap can still break after it is over: silence is noticed within half a minute. */
const AFTERMATH_MS = 35_000

export class Mishaps {
  readonly counts: Record<Mishap, number> = { blink: 0, outage: 0, cut: 0, kill: 0 }
  readonly #hops: readonly Hop[]
  readonly #network: boolean
  /** One at a time for each provider. */
  readonly #struck = new Set<Hop>()
  #lastMs = Number.NEGATIVE_INFINITY
  readonly #told: { atMs: number; what: string }[] = []

  constructor(hops: readonly Hop[], network: boolean) {
    this.#hops = hops
    this.#network = network
  }

  /** One of them, to one provider, after `inMs`. All follow from `random`; a provider that is already in trouble is spared. Resolves when it is over. */
  strike(random: Random, inMs: number): Promise<void> {
    const drawn = random.pick(WEIGHTS)
    const mishap = this.#network ? drawn : 'kill'
    const hop = random.pick(this.#hops)
    const between = ({ least, most }: { least: number; most: number }) => random.between(least, most)
    const ms = mishap === 'cut' ? CUT_MS : between({ blink: BLINK_MS, outage: OUTAGE_MS, kill: DEAD_MS }[mishap])
    return this.#strike(mishap, hop, inMs, ms)
  }

  async #strike(mishap: Mishap, hop: Hop, inMs: number, ms: number): Promise<void> {
    await delay(inMs)
    if (this.#struck.has(hop)) return
    this.#struck.add(hop)
    this.counts[mishap]++
    this.#told.push({ atMs: performance.now(), what: `${mishap} of ${hop.node.name} for ${ms} ms` })
    this.#lastMs = performance.now()
    if (mishap === 'kill') {
      await hop.node.kill()
      await delay(ms)
      hop.node.start()
      await hop.node.ready()
    } else {
      const restore = fail(hop.port, mishap === 'cut' ? 'refused' : 'lost')
      await delay(ms)
      restore()
    }
    this.#lastMs = performance.now()
    this.#struck.delete(hop)
  }

  /** What struck since then, for a person who looks for the cause. */
  told(fromMs: number): string[] {
    return this.#told.filter(({ atMs }) => atMs >= fromMs).map(({ atMs, what }) => `${what} after ${Math.round(atMs - fromMs)} ms`)
  }

  /** Whether one struck since then, or shortly before. */
  since(fromMs: number): boolean {
    return this.#struck.size > 0 || fromMs - this.#lastMs < AFTERMATH_MS
  }
}
