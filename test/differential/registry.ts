/** The Registry's money: stake, unbonding, moves to another operator, rewards and slashes of two operators and three owners. */
import { earned, raise } from '../../src/economy/accumulator.ts'
import { EMPTY_POOL, enter, exit, type Pool, slash, splitSlash, worth } from '../../src/economy/stake.ts'
import { refuse, Sequence } from './sequence.ts'

const UNBONDING = 7n * 86_400n
const COMMISSION = [500n, 2_000n] as const
/** Accounts: operators 0 and 1, a delegator 2, payouts 3 and 4 of the operators, a reporter 5. */
const ACCOUNTS = 6

interface Holding {
  shares: bigint
  owed: bigint
  generation: number
  seen: bigint
}
interface Thaw {
  owner: number
  releaseAt: bigint
  operator: number
  generation: number
  to: number | undefined
  shares: bigint
}

export function registrySequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  const bonded: Pool[] = [EMPTY_POOL, EMPTY_POOL]
  const thawing: Pool[] = [EMPTY_POOL, EMPTY_POOL]
  const perShare = [new Map<number, bigint>(), new Map<number, bigint>()]
  const holdings = [0, 1].map(() => [0, 1, 2].map((): Holding => ({ shares: 0n, owed: 0n, generation: 0, seen: 0n })))
  const thaws: (Thaw | undefined)[] = []
  const credits = Array.from({ length: ACCOUNTS }, () => 0n)
  const balances = Array.from({ length: ACCOUNTS }, (_, account) => (account < 3 ? 10n ** 30n : 0n))
  let [nowS, inside] = [0n, 0n]

  const raised = (operator: number, generation: number) => perShare[operator]!.get(generation) ?? 0n
  const unbooked = (operator: number, { shares, seen, generation }: Holding) => earned(shares, seen, raised(operator, generation))
  const total = () => bonded.reduce((sum, { tokens }, i) => sum + tokens + thawing[i]!.tokens, 0n)
  function book(operator: number, owner: number): Holding {
    const holding = holdings[operator]![owner]!
    holding.owed += unbooked(operator, holding)
    const { generation } = bonded[operator]!
    if (holding.generation !== generation) Object.assign(holding, { generation, shares: 0n })
    holding.seen = raised(operator, generation)
    return holding
  }
  function join(operator: number, owner: number, tokens: bigint): bigint {
    const holding = book(operator, owner)
    const entered = enter(bonded[operator]!, tokens)
    bonded[operator] = entered.pool
    holding.shares += entered.shares
    return entered.shares
  }
  const current = (operator: number, owner: number) => {
    const holding = holdings[operator]![owner]!
    return holding.generation === bonded[operator]!.generation ? holding.shares : 0n
  }

  for (let i = 0; i < operations; i++) {
    const { kind, who, what, amount } = sequence.next(8)
    const [operator, owner] = [who % 2, (who >> 1) % 3]
    sequence.attempt(() => {
      switch (kind) {
        case 0: {
          const tokens = 1n + (amount % 10n ** 24n)
          inside += tokens
          balances[owner]! -= tokens
          return join(operator, owner, tokens)
        }
        case 1: {
          const held = current(operator, owner)
          const shares = amount % (held + 1n)
          refuse(shares === 0n || worth(bonded[operator]!, shares) === 0n)
          const holding = book(operator, owner)
          holding.shares -= shares
          const left = exit(bonded[operator]!, shares)
          bonded[operator] = left.pool
          const { generation } = thawing[operator]!
          const entered = enter(thawing[operator]!, left.tokens)
          thawing[operator] = entered.pool
          const to = what % 3 === 0 ? 1 - operator : undefined
          thaws.push({ owner, releaseAt: nowS + UNBONDING, operator, generation, to, shares: entered.shares })
          return BigInt(thaws.length)
        }
        case 2:
          nowS += amount % (20n * 86_400n)
          return 0n
        case 3: {
          const id = what % (thaws.length + 1)
          const thaw = thaws[id - 1]
          refuse(thaw === undefined || nowS < thaw.releaseAt)
          thaws[id - 1] = undefined
          const { to, shares, generation, ...of } = thaw!
          let tokens = 0n
          if (generation === thawing[of.operator]!.generation) {
            const left = exit(thawing[of.operator]!, shares)
            thawing[of.operator] = left.pool
            tokens = left.tokens
          }
          if (to !== undefined && tokens !== 0n) join(to, of.owner, tokens)
          else credits[of.owner]! += tokens
          return tokens
        }
        case 4: {
          const reward = amount % 10n ** 21n
          const pool = bonded[operator]!
          const commission = pool.shares === 0n ? reward : (reward * COMMISSION[operator]!) / 10_000n
          if (pool.shares !== 0n) {
            perShare[operator]!.set(pool.generation, raise(raised(operator, pool.generation), reward - commission, pool.shares))
          }
          credits[3 + operator]! += commission
          inside += reward
          return 0n
        }
        case 5: {
          const holding = book(operator, owner)
          const { owed } = holding
          holding.owed = 0n
          credits[owner === operator ? 3 + operator : owner]! += owed
          return owed
        }
        case 6: {
          const part = what % 16 === 0 ? 10_000n : amount % 2_000n
          const cut = slash(bonded[operator]!, thawing[operator]!, part)
          ;[bonded[operator], thawing[operator]] = [cut.bonded, cut.thawing]
          const { reporter, burnt } = what % 2 === 1 ? splitSlash(cut.removed, 5_000n) : { reporter: 0n, burnt: cut.removed }
          credits[5]! += reporter
          inside -= burnt
          return cut.removed
        }
        default: {
          const account = what % ACCOUNTS
          const sum = credits[account]!
          credits[account] = 0n
          balances[account]! += sum
          inside -= sum
          return sum
        }
      }
    })
    const holding = holdings[operator]![owner]!
    sequence.fold(total(), worth(bonded[operator]!, current(operator, owner)), holding.owed + unbooked(operator, holding), credits[owner]!)
  }
  sequence.fold(inside, ...balances)
  return sequence
}
