/** The capacity market: one provider, two buyers, four hours; rights sold, used, judged, settled and expired. */
import { onUse, upfront } from '../../src/economy/reservation.ts'
import { refuse, Sequence } from './sequence.ts'

const HOUR = 3_600n
const WINDOW = 86_400n
/** 1,000 Mbps proven, in GB an hour. */
const CAPACITY = 450n
const PENALTY = 1_000n
const WHOLE = 10_000n

interface Line {
  price: bigint
  bond: bigint
  offered: bigint
  sold: bigint
  unused: bigint
  deviation: bigint
  judged: boolean
  settled: boolean
  upfront: bigint
  unusedUpfront: bigint
}
const NOTHING = { price: 0n, bond: 0n, offered: 0n, sold: 0n, unused: 0n, deviation: 0n, upfront: 0n, unusedUpfront: 0n }

export function capacitySequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  /** Hours 1 to 4 after the one in which it begins. */
  const lines = [1, 2, 3, 4].map((): Line => ({ ...NOTHING, judged: false, settled: false }))
  const bought: { line: number; percent: bigint; holder: number }[] = []
  const held = new Map<string, bigint>()
  /** The provider, and two buyers. */
  const credits = [0n, 0n, 0n]
  const balances = [10n ** 30n, 10n ** 30n, 10n ** 30n]
  let [nowS, inside] = [0n, 0n]
  const endOf = (line: number) => BigInt(line + 2) * HOUR
  const keyOf = ({ line, percent, holder }: { line: number; percent: bigint; holder: number }) => `${line}/${percent}/${holder}`

  for (let i = 0; i < operations; i++) {
    const { kind, who, what, amount } = sequence.next(9)
    const number = who % 4
    const line = lines[number]!
    const holder = 1 + ((who >> 2) % 2)
    const right = bought[what % Math.max(1, bought.length)]
    sequence.attempt(() => {
      switch (kind) {
        case 0: {
          const [gb, price] = [amount % 200n, 1_000_000n + BigInt(what % 8 === 0 ? 777 : 0)]
          refuse(nowS >= endOf(number) - HOUR || gb === 0n)
          refuse((line.offered !== 0n && line.price !== price) || line.offered + gb > CAPACITY)
          if (line.offered === 0n) [line.price, line.bond] = [price, (price * PENALTY) / WHOLE]
          line.offered += gb
          inside += line.bond * gb
          balances[0]! -= line.bond * gb
          return 0n
        }
        case 1:
        case 2: {
          const [percent, gb] = [BigInt(what % 102), amount % 60n]
          refuse(percent === 0n || percent > 100n || gb === 0n || nowS >= endOf(number) || gb > line.offered - line.sold)
          const [now, later] = [upfront(line.price, percent) * gb, onUse(line.price, percent) * gb]
          line.sold += gb
          line.unused += gb
          line.upfront += now
          line.unusedUpfront += now
          inside += now + later
          balances[holder]! -= now + later
          const it = { line: number, percent, holder }
          bought.push(it)
          held.set(keyOf(it), (held.get(keyOf(it)) ?? 0n) + gb)
          return 0n
        }
        case 3:
          nowS += amount % (what % 4 === 0 ? 50n * HOUR : HOUR)
          return 0n
        case 4: {
          refuse(right === undefined)
          const [of, has] = [lines[right!.line]!, held.get(keyOf(right!)) ?? 0n]
          const gb = amount % (has + 2n)
          refuse(nowS < endOf(right!.line) - HOUR || nowS >= endOf(right!.line) + WINDOW || gb === 0n || gb > has)
          of.unused -= gb
          of.unusedUpfront -= upfront(of.price, right!.percent) * gb
          credits[0]! += onUse(of.price, right!.percent) * gb
          held.set(keyOf(right!), has - gb)
          return 0n
        }
        case 5: {
          refuse(line.judged || nowS >= endOf(number) + WINDOW)
          const deviation = amount % 12_000n
          ;[line.judged, line.deviation] = [true, deviation < WHOLE ? deviation : WHOLE]
          return 0n
        }
        case 6: {
          refuse(nowS < endOf(number) + WINDOW || line.settled)
          line.settled = true
          const lost = ((line.unusedUpfront + line.bond * line.unused) * line.deviation + WHOLE - 1n) / WHOLE
          const sum = line.upfront + line.bond * line.offered - lost
          credits[0]! += sum
          return sum
        }
        case 7: {
          refuse(right === undefined || !lines[right.line]!.settled)
          const of = lines[right!.line]!
          const gb = held.get(keyOf(right!)) ?? 0n
          const failed = ((upfront(of.price, right!.percent) + of.bond) * of.deviation) / WHOLE
          const refund = gb * (onUse(of.price, right!.percent) + failed)
          credits[right!.holder]! += refund
          held.set(keyOf(right!), 0n)
          return refund
        }
        default: {
          const account = what % 3
          const sum = credits[account]!
          credits[account] = 0n
          balances[account]! += sum
          inside -= sum
          return sum
        }
      }
    })
    sequence.fold(line.offered, line.sold, line.unused, line.unusedUpfront, ...credits)
  }
  sequence.fold(inside, ...balances)
  return sequence
}
