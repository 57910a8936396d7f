/** The capacity market, in our words: GB of one provider in one hour, sold ahead as rights. */
import { hashTypedData } from 'viem/utils'
import { fromHex, type Hex } from '../protocol/bytes.ts'
import { capacityMarketAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, textOf, wordOf } from './calls.ts'
import type { Rpc } from './rpc.ts'
import { splitSignature, type Wallet } from './wallet.ts'

const HOUR_S = 3_600

/** What the name of a line or right says; a line has percent 0. */
export interface LineName {
  provider: Hex
  region: string
  tier: number
  /** Unix time in hours. */
  hour: number
  percent: number
}

export interface Line extends LineName {
  line: bigint
  /** Units a GB in full, and units the provider put up beside each. */
  price: bigint
  bond: bigint
  offered: number
  sold: number
  unused: number
  /** Part found undelivered, in hundredths of a percent; undefined while nobody judged. */
  deviation: number | undefined
  settled: boolean
}

/** Rights of one holder that are alike. */
export interface Right extends LineName {
  id: bigint
  line: bigint
  gb: bigint
  /** Units a GB: paid when bought, and due for what is used, which comes back for what is not. */
  upfront: bigint
  onUse: bigint
  settled: boolean
}

export interface CapacityClient {
  readonly address: Hex
  /** Everything that was ever offered for hours not over before `nowS`. */
  lines(nowS: number, signal?: AbortSignal): Promise<Line[]>
  line(line: bigint, signal?: AbortSignal): Promise<Line>
  /** Everything a provider ever offered. */
  linesOf(provider: Hex, signal?: AbortSignal): Promise<Line[]>
  rightsOf(holder: Hex, signal?: AbortSignal): Promise<Right[]>
  creditOf(owner: Hex, signal?: AbortSignal): Promise<bigint>
  /** GB an hour a provider proved, and how many of them are offered in an hour. */
  capacityOf(provider: Hex, hour: number, signal?: AbortSignal): Promise<{ proven: bigint; offered: bigint }>
  /** Units of bond a GB at that price. */
  bondFor(price: bigint, penaltyBps: bigint): bigint
  /** After the hour: how long receipts are redeemed and a committee may speak. */
  windowS(signal?: AbortSignal): Promise<number>

  offer(line: Omit<LineName, 'provider' | 'percent'>, gb: number, price: bigint, bond: bigint): Action
  buy(line: bigint, percent: number, gb: number, pays: bigint): Action
  redeem(id: bigint, gb: number): Action
  redeemReceipt(id: bigint, holder: Hex, used: bigint, signature: Hex): Action
  settle(line: bigint): Action
  expire(id: bigint, holder: Hex): Action
  collect(): Action
  /** A holder's word that it used so many GB in all of one id; anyone may bring it. */
  signReceipt(id: bigint, used: bigint, holder: Wallet): Hex
}

const RECEIPT = [
  { name: 'id', type: 'uint256' },
  { name: 'holder', type: 'address' },
  { name: 'used', type: 'uint64' },
] as const
const WHOLE = 10_000n

/** provider 160 bits | region 48 | tier 8 | hour 32 | percent 8. */
export function nameOf(id: bigint): LineName {
  const part = (shift: bigint, bits: bigint) => (id >> shift) & ((1n << bits) - 1n)
  return {
    provider: `0x${part(96n, 160n).toString(16).padStart(40, '0')}`,
    region: textOf(`0x${part(48n, 48n).toString(16).padStart(12, '0')}`),
    tier: Number(part(40n, 8n)),
    hour: Number(part(8n, 32n)),
    percent: Number(part(0n, 8n)),
  }
}

export function idOf({ provider, region, tier, hour, percent }: LineName): bigint {
  return (BigInt(provider) << 96n) | (BigInt(wordOf(region, 6)) << 48n) | (BigInt(tier) << 40n) | (BigInt(hour) << 8n) | BigInt(percent)
}

export const lineOf = (id: bigint): bigint => id & ~0xffn
/** First second of the hour, and the first after it. */
export const startOf = (id: bigint): number => nameOf(id).hour * HOUR_S
export const endOf = (id: bigint): number => startOf(id) + HOUR_S

export function createCapacityClient(rpc: Rpc, dollar: Hex, address: Hex): CapacityClient {
  const at = contractAt(rpc, address, capacityMarketAbi)
  const domain = { name: 'Byway Capacity', version: '1', chainId: rpc.chainId, verifyingContract: address }

  const line = async (id: bigint, signal?: AbortSignal): Promise<Line> => {
    const { price, bond, offered, sold, unused, deviation, judged, settled } = await at.read('lineAt', [id], signal)
    return { ...nameOf(id), line: id, price, bond, offered, sold, unused, deviation: judged ? deviation : undefined, settled }
  }

  return {
    address,
    line,
    async lines(nowS, signal) {
      const offered = await at.events('Offered', {}, signal)
      const ids = new Set(offered.map((event) => event.line).filter((id) => endOf(id) > nowS))
      return Promise.all([...ids].map((id) => line(id, signal)))
    },
    async linesOf(provider, signal) {
      const offered = await at.events('Offered', { provider }, signal)
      return Promise.all([...new Set(offered.map((event) => event.line))].map((id) => line(id, signal)))
    },
    async rightsOf(holder, signal) {
      const bought = await at.events('Bought', { buyer: holder }, signal)
      const all = await Promise.all(
        [...new Set(bought.map(({ id }) => id))].map(async (id): Promise<Right> => {
          const ofLine = lineOf(id)
          const [gb, [upfront, onUse], { settled }] = await Promise.all([
            at.read('balanceOf', [holder, id], signal),
            at.read('dues', [ofLine, id & 0xffn], signal),
            at.read('lineAt', [ofLine], signal),
          ])
          return { ...nameOf(id), id, line: ofLine, gb, upfront, onUse, settled }
        }),
      )
      return all.filter(({ gb }) => gb > 0n)
    },
    creditOf: (owner, signal) => at.read('credits', [owner], signal),
    async capacityOf(provider, hour, signal) {
      const [proven, offered] = await Promise.all([
        at.read('capacityOf', [provider], signal),
        at.read('offeredAt', [provider, BigInt(hour)], signal),
      ])
      return { proven, offered }
    },
    bondFor: (price, penaltyBps) => (price * penaltyBps) / WHOLE,
    windowS: async (signal) => Number(await at.read('WINDOW', [], signal)),

    offer: ({ region, tier, hour }, gb, price, bond) =>
      at.action('offering capacity', 'offer', [wordOf(region, 6), tier, hour, gb, price], { token: dollar, amount: bond * BigInt(gb) }),
    buy: (id, percent, gb, pays) => at.action('buying capacity', 'buy', [id, percent, gb], { token: dollar, amount: pays }),
    redeem: (id, gb) => at.action('redeeming capacity', 'redeem', [id, gb]),
    redeemReceipt(id, holder, used, signature) {
      const { r, vs } = splitSignature(signature)
      return at.action('bringing a receipt', 'redeemReceipt', [id, holder, used, r, vs])
    },
    settle: (id) => at.action('settling an hour', 'settle', [id]),
    expire: (id, holder) => at.action('returning unused capacity', 'expire', [id, holder]),
    collect: () => at.action('collecting from the capacity market', 'collect', []),
    signReceipt(id, used, holder) {
      const message = { id, holder: holder.address, used }
      return holder.sign(fromHex(hashTypedData({ domain, types: { Receipt: RECEIPT }, primaryType: 'Receipt', message }), 32))
    },
  }
}
