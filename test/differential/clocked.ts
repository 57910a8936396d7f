/** What mostly time decides: subscriptions, scheduled emissions, regional multipliers with their notice and tickets. */
import { bootstrapAt, capacityAt, NetPool } from '../../src/economy/emission.ts'
import { clampMultiplier, demandRatio, regionWeight, smoothed, splitByWeight } from '../../src/economy/multiplier.ts'
import { refuse, Sequence } from './sequence.ts'

const DAY = 86_400n
const MONTH = 30n * DAY
const PRICE = 3_000_001n

/** Two subscribers of one plan. */
export function subscriptionSequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  const terms = [0, 1].map(() => ({ paid: 0n, taken: 0n, start: 0n, end: 0n }))
  const balances = [0n, 0n]
  let [nowS, provider] = [1n, 0n]
  for (let i = 0; i < operations; i++) {
    const { kind, who, what, amount } = sequence.next(4)
    const term = terms[who % 2]!
    const earned = () => (nowS >= term.end ? term.paid : (term.paid * (nowS - term.start)) / (term.end - term.start))
    sequence.attempt(() => {
      switch (kind) {
        case 0: {
          const months = BigInt(what % 26)
          refuse(months === 0n || months > 24n || nowS < term.end)
          provider += term.paid - term.taken
          Object.assign(term, { paid: PRICE * months, taken: 0n, start: nowS, end: nowS + months * MONTH })
          balances[who % 2]! -= term.paid
          return 0n
        }
        case 1:
          nowS += amount % (20n * DAY)
          return 0n
        case 2: {
          const sum = earned() - term.taken
          term.taken += sum
          provider += sum
          return sum
        }
        default: {
          refuse(nowS >= term.end)
          const due = earned()
          const refund = term.paid - due
          ;[term.paid, term.end] = [due, nowS]
          balances[who % 2]! += refund
          return refund
        }
      }
    })
    // What subscribers spent is positive on the chain, where it is what is missing from what they began with.
    sequence.fold(provider, ...balances.map((balance) => 10n ** 18n + balance))
  }
  return sequence
}

/** What others burn, and what the epochs bring. */
export function emissionsSequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  const net = new NetPool()
  const budgets: bigint[] = []
  let [nowS, burned, capacity, bootstrap] = [0n, 0n, 0n, 0n]
  for (let i = 0; i < operations; i++) {
    const { kind, what, amount } = sequence.next(3)
    sequence.attempt(() => {
      if (kind === 0) {
        nowS += amount % (what % 8 === 0 ? 400n * DAY : 5n * DAY)
        return 0n
      }
      if (kind === 1) {
        burned += amount % 10n ** 24n
        return 0n
      }
      const over = Number(nowS / DAY) - budgets.length
      const turned = Math.min(100, over)
      if (turned === 0) return 0n
      for (const back of net.turn(burned, turned)) {
        const epoch = BigInt(budgets.length)
        budgets.push(capacityAt(epoch) + back)
        capacity += capacityAt(epoch) + back
        bootstrap += bootstrapAt(epoch)
      }
      return BigInt(turned)
    })
    sequence.fold(net.pool, capacity, bootstrap, budgets[what % Math.max(1, budgets.length)] ?? 0n)
  }
  return sequence
}

/** Two regions, reports of them, and tickets for one of them. */
export function multipliersSequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  const [LEAST, MOST, NOTICE] = [10_000n, 50_000n, 30n * DAY]
  const regions = [0, 1].map(() => ({ smoothed: 0n, multiplier: 0n, lower: 0n, lowerAt: 0n, nodes: 0n, progress: 0n }))
  const tickets: { start: bigint; end: bigint; amount: bigint; paid: bigint }[] = []
  let [nowS, nextEpoch, surcharges] = [0n, 0n, 0n]
  const inForce = ({ multiplier, lower, lowerAt }: (typeof regions)[number]) =>
    clampMultiplier(lower !== 0n && nowS >= lowerAt ? lower : multiplier, LEAST, MOST)

  for (let i = 0; i < operations; i++) {
    const { kind, who, what, amount } = sequence.next(4)
    sequence.attempt(() => {
      switch (kind) {
        case 0:
          nowS += amount % (10n * DAY)
          return 0n
        case 1: {
          const epoch = nextEpoch + BigInt(what % 2)
          refuse(nowS < (epoch + 1n) * DAY)
          nextEpoch = epoch + 1n
          // One region or both; each with a part of the same bits.
          for (const [number, region] of regions.entries()) {
            if (who % 3 === number) continue
            const bits = amount >> BigInt(24 * number)
            if (region.lower !== 0n && nowS >= region.lowerAt) [region.multiplier, region.lower] = [region.lower, 0n]
            const next = smoothed(region.smoothed, demandRatio(bits % 5_000n, (bits >> 13n) % 1_500n, MOST))
            const target = clampMultiplier(next, LEAST, MOST)
            if (target >= region.multiplier) [region.multiplier, region.lower] = [target, 0n]
            else if (region.lower === 0n) [region.lower, region.lowerAt] = [target, nowS + NOTICE]
            else if (target > region.lower) region.lower = target
            region.smoothed = next
            ;[region.nodes, region.progress] = [bits % 12n, (bits >> 8n) % 12_000n]
          }
          return 0n
        }
        case 2: {
          const sum = amount % 10n ** 20n
          const length = BigInt(what) * 100n
          refuse(sum === 0n || length === 0n)
          tickets.push({ start: nowS, end: nowS + length, amount: sum, paid: 0n })
          return BigInt(tickets.length)
        }
        default: {
          const ticket = tickets[(what % (tickets.length + 1)) - 1]
          refuse(ticket === undefined)
          const { start, end, amount: whole, paid } = ticket!
          const due = (whole * ((nowS < end ? nowS : end) - start)) / (end - start) - paid
          ticket!.paid += due
          surcharges += due
          return due
        }
      }
    })
    const weights = regions.map((region) => regionWeight(inForce(region), region.nodes, region.progress))
    sequence.fold(...regions.map(inForce), ...splitByWeight(10n ** 24n, weights), surcharges)
  }
  return sequence
}
