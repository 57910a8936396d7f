/** A region vault: two investors and three providers, deposits, exits, fees, periods settled and lapsed. */
import { toAssets, toShares, vaultFlow } from '../../src/economy/vault.ts'
import { refuse, Sequence } from './sequence.ts'

const PERIOD = 30n * 86_400n
const FLOOR = 5_000_000n
const LATE = 2n
const SCALE = 1n << 64n
/** Accounts: investors 0 and 1, providers 2 to 4. */
const ACCOUNTS = 5

export function vaultSequence(seed: bigint, operations: number): Sequence {
  const sequence = new Sequence(seed)
  const shares = [0n, 0n]
  const credits = Array.from({ length: ACCOUNTS }, () => 0n)
  const balances = Array.from({ length: ACCOUNTS }, (_, account) => (account < 2 ? 10n ** 30n : 0n))
  const exits: ({ owner: number; readyAt: bigint; shares: bigint } | undefined)[] = []
  const members = new Map<number, bigint>()
  const fees = new Map<bigint, { sum: bigint; taken: bigint; of: Map<number, bigint> }>()
  let [nowS, balance, owed, supply, perNode, nextPeriod] = [0n, 0n, 0n, 0n, 0n, 0n]
  let books = { subsidised: 0n, returned: 0n }

  const assets = () => balance - owed
  const vault = () => ({ assets: assets(), supply, offset: 6 })
  const credit = (account: number) => credits[account]! + (members.has(account) ? (perNode - members.get(account)!) / SCALE : 0n)
  const bookOf = (account: number) => {
    credits[account] = credit(account)
    if (members.has(account)) members.set(account, perNode)
  }
  const feesOf = (period: bigint) => {
    const known = fees.get(period) ?? { sum: 0n, taken: 0n, of: new Map<number, bigint>() }
    fees.set(period, known)
    return known
  }

  for (let i = 0; i < operations; i++) {
    const { kind, who, what, amount } = sequence.next(9)
    const [investor, node] = [who % 2, 2 + (who % 3)]
    sequence.attempt(() => {
      switch (kind) {
        case 0: {
          const deposit = amount % 10n ** 12n
          const minted = toShares(vault(), deposit)
          balance += deposit
          balances[investor]! -= deposit
          supply += minted
          shares[investor]! += minted
          return minted
        }
        case 1: {
          const part = amount % (shares[investor]! + 1n)
          refuse(part === 0n)
          shares[investor]! -= part
          exits.push({ owner: investor, readyAt: nowS + PERIOD, shares: part })
          return BigInt(exits.length - 1)
        }
        case 2:
          nowS += amount % (60n * 86_400n)
          return 0n
        case 3: {
          const id = what % (exits.length + 1)
          const exit = exits[id]
          refuse(exit === undefined || nowS < exit.readyAt)
          exits[id] = undefined
          const back = toAssets(vault(), exit!.shares)
          supply -= exit!.shares
          owed += back
          credits[exit!.owner]! += back
          return back
        }
        case 4: {
          const fee = amount % 10n ** 8n
          refuse(fee === 0n)
          const period = feesOf(nowS / PERIOD)
          period.sum += fee
          period.of.set(node, (period.of.get(node) ?? 0n) + fee)
          owed += fee
          balance += fee
          return 0n
        }
        case 5: {
          refuse(nowS < (nextPeriod + 1n) * PERIOD)
          for (const each of [2, 3, 4].filter((account) => (what >> account) % 2 === 1)) {
            if (members.has(each)) {
              bookOf(each)
              members.delete(each)
            } else members.set(each, perNode)
          }
          const period = feesOf(nextPeriod++)
          const flow = vaultFlow(period.sum, BigInt(members.size), FLOOR, books)
          const subsidy = flow.subsidy < assets() ? flow.subsidy : assets()
          if (subsidy !== 0n) {
            owed += subsidy
            perNode += (subsidy * SCALE) / BigInt(members.size)
          }
          period.taken = flow.taken
          owed -= flow.taken
          books = { subsidised: books.subsidised + subsidy, returned: books.returned + flow.taken }
          return 0n
        }
        case 6:
          refuse(nowS < (nextPeriod + 1n + LATE) * PERIOD)
          nextPeriod++
          return 0n
        case 7: {
          const number = BigInt(what) % (nextPeriod + 1n)
          refuse(number >= nextPeriod)
          const period = feesOf(number)
          const part = period.sum === 0n ? 0n : ((period.of.get(node) ?? 0n) * (period.sum - period.taken)) / period.sum
          period.of.delete(node)
          credits[node]! += part
          return part
        }
        default: {
          const account = what % ACCOUNTS
          bookOf(account)
          const sum = credits[account]!
          credits[account] = 0n
          owed -= sum
          balance -= sum
          balances[account]! += sum
          return sum
        }
      }
    })
    sequence.fold(assets(), supply, owed, books.subsidised, books.returned, credit(node), credit(investor))
  }
  sequence.fold(balance, ...balances)
  return sequence
}
