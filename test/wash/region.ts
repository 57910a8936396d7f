/**
 * Another thing use decides: a region's multiplier, and with it its part of the capacity rewards. A provider that owns a part of a region pays
 * itself to make it look scarce; what that gains in a season. Arithmetic of the contracts; one other region stands for the rest of the world.
 */
import { capacityAt } from '../../src/economy/emission.ts'
import { counted } from '../../src/economy/fees.ts'
import { clampMultiplier, demandRatio, regionWeight, smoothed, splitByWeight } from '../../src/economy/multiplier.ts'

const DAYS = 90
/** Dollars a WAY, and what of each dollar paid to oneself is lost under the shipped parameters. */
const WAY_PRICE = 0.05
const LOST = 0.1 * (1 - 0.9)
/** Terabytes a day: a gigabit of proven capacity is ten. A quarter of it is sold. */
const SUPPLY = 100n
const SOLD = 25n
const DOLLARS_A_TB = 500
/** Weight of the rest of the world: as much as twenty regions like this one. */
const REST = 20n

/** Dollars gained by faking `perDay` terabytes in each of `days` days with `share` percent of the region's capacity. */
export function regionGain(share: bigint, perDay: bigint, days: number, capped: boolean): number {
  const season = (fake: bigint) => {
    let [ratio, earned] = [0n, 0]
    for (let day = 0; day < DAYS; day++) {
      const paid = (SOLD * share) / 100n + (day < days ? fake : 0n)
      const mine = { paid, capacity: (SUPPLY * share) / 100n }
      const others = { paid: SOLD - (SOLD * share) / 100n, capacity: SUPPLY - mine.capacity }
      const demand = capped ? counted([mine, others]).used : paid + others.paid
      ratio = smoothed(ratio, demandRatio(demand, SUPPLY, 50_000n))
      const weight = regionWeight(clampMultiplier(ratio, 10_000n, 50_000n), 50n, 10_000n)
      const [part = 0n] = splitByWeight(capacityAt(BigInt(day)), [weight, REST * regionWeight(10_000n, 50n, 10_000n)])
      earned += ((Number(part) / 1e18) * WAY_PRICE * Number(share)) / 100
    }
    return earned - days * Number(fake) * DOLLARS_A_TB * LOST
  }
  return season(perDay) - season(0n)
}

/** The best of a grid over how much and how long. */
export function bestRegionGain(share: bigint, capped: boolean): { gain: number; perDay: bigint; days: number } {
  let best = { gain: Number.NEGATIVE_INFINITY, perDay: 0n, days: 0 }
  for (let perDay = 10n; perDay <= 600n; perDay += 10n) {
    for (let days = 5; days <= DAYS; days += 5) {
      const gain = regionGain(share, perDay, days, capped)
      if (gain > best.gain) best = { gain, perDay, days }
    }
  }
  return best
}
