/** Service agreements from opening to their one final state, with reports, disputes, rulings and silence. */
import { deviationRefund, disputeBonds } from '../../src/economy/agreement.ts'
import { refuse, Sequence } from './sequence.ts'

const [LIVENESS, PATIENCE] = [7_200n, 3n * 86_400n]
const BOND = 1_000_001n
const CAP = 2_500n
/** Accounts: consumer, provider, reporter, disputer, and where lost bonds go. */
const [CONSUMER, PROVIDER, REPORTER, DISPUTER, SINK] = [0, 1, 2, 3, 4] as const

interface Agreement {
  payment: bigint
  bond: bigint
  objective: bigint
  indicator: bigint
  end: bigint
  until: bigint
  state: 'open' | 'reported' | 'disputed' | 'over'
}

export function agreementsSequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  const agreements: Agreement[] = []
  const credits = [0n, 0n, 0n, 0n, 0n]
  const balances = [0, 1, 2, 3, 4].map((account) => (account === SINK ? 0n : 10n ** 30n))
  let [nowS, inside] = [0n, 0n]

  function end(agreement: Agreement): void {
    const refund = deviationRefund(agreement.bond, agreement.objective, agreement.indicator, CAP)
    agreement.state = 'over'
    credits[CONSUMER]! += refund
    credits[PROVIDER]! += agreement.payment + agreement.bond - refund
  }

  for (let i = 0; i < operations; i++) {
    const { kind, who, what, amount } = sequence.next(10)
    const agreement = agreements.at(-1 - (who % Math.max(1, Math.min(2, agreements.length))))
    sequence.attempt(() => {
      switch (kind) {
        case 0: {
          const objective = BigInt(what) % 10_001n
          refuse(objective === 0n)
          const [payment, bond] = [amount % 10n ** 12n, (amount >> 40n) % 10n ** 12n]
          const until = nowS + 1n + (BigInt(what) % 7_200n)
          agreements.push({ payment, bond, objective, indicator: 0n, end: until, until: until + PATIENCE, state: 'open' })
          balances[CONSUMER]! -= payment
          balances[PROVIDER]! -= bond
          inside += payment + bond
          return 0n
        }
        case 2:
          nowS += amount % (what % 4 !== 0 ? 3_600n : 4n * 86_400n)
          return 0n
        case 1:
        case 3:
          refuse(agreement?.state !== 'open' || nowS < agreement.end || nowS >= agreement.until)
          Object.assign(agreement!, { state: 'reported', indicator: BigInt(what) % 10_001n, until: nowS + LIVENESS })
          balances[REPORTER]! -= BOND
          inside += BOND
          return 0n
        case 4:
        case 8:
          refuse(agreement?.state !== 'reported' || nowS >= agreement.until)
          Object.assign(agreement!, { state: 'disputed', until: nowS + PATIENCE })
          balances[DISPUTER]! -= BOND
          inside += BOND
          return 0n
        case 5:
        case 9: {
          refuse(agreement?.state !== 'disputed' || nowS >= agreement.until)
          // Every other ruling confirms the report.
          const indicator = what % 2 === 0 ? agreement!.indicator : BigInt(what) % 10_001n
          const right = indicator === agreement!.indicator
          agreement!.indicator = indicator
          end(agreement!)
          const { winner, lost } = disputeBonds(BOND)
          credits[right ? REPORTER : DISPUTER]! += winner
          credits[SINK]! += lost
          return 0n
        }
        case 6: {
          refuse(agreement === undefined || agreement.state === 'over' || nowS < agreement.until)
          const { state, payment, bond, objective } = agreement!
          if (state === 'disputed') {
            agreement!.state = 'over'
            for (const [account, sum] of [
              [CONSUMER, payment],
              [PROVIDER, bond],
              [REPORTER, BOND],
              [DISPUTER, BOND],
            ] as const)
              credits[account]! += sum
            return 0n
          }
          if (state === 'open') agreement!.indicator = objective
          else credits[REPORTER]! += BOND
          end(agreement!)
          return 0n
        }
        default: {
          const account = what % 5
          const sum = credits[account]!
          credits[account] = 0n
          balances[account]! += sum
          inside -= sum
          return sum
        }
      }
    })
    sequence.fold(...credits)
  }
  sequence.fold(inside, ...balances)
  return sequence
}
