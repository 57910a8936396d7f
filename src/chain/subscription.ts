/** Subscriptions, in our words: flat dollars a month for a byte allowance, with what is not used coming back on cancelling. */
import type { Hex } from '../protocol/bytes.ts'
import { subscriptionAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, hashOf } from './calls.ts'
import type { Rpc } from './rpc.ts'

/** Its name is the hash of exactly these terms, so that nobody changes what somebody subscribed to. */
export interface SubscriptionPlan {
  provider: Hex
  /** Units a month of 30 days. */
  price: bigint
  /** Bytes a month. */
  allowance: bigint
}

export interface SubscriptionTerm {
  paid: bigint
  /** What the provider has earned so far; the rest comes back on cancelling. */
  earned: bigint
  /** What of that is paid out. */
  taken: bigint
  /** Unix seconds; 0 when there is none. */
  start: number
  end: number
}

/** Fixed in the contract. */
const MONTH_S = 30 * 86_400

export interface SubscriptionClient {
  readonly address: Hex
  readonly monthS: number
  planOf(plan: SubscriptionPlan): Hex
  term(plan: SubscriptionPlan, subscriber: Hex, signal?: AbortSignal): Promise<SubscriptionTerm>
  subscribe(plan: SubscriptionPlan, months: number): Action
  cancel(plan: SubscriptionPlan): Action
  /** Pays the provider what it earned so far. Anyone may. */
  take(plan: SubscriptionPlan, subscriber: Hex): Action
}

export function createSubscriptionClient(rpc: Rpc, dollar: Hex, address: Hex): SubscriptionClient {
  const at = contractAt(rpc, address, subscriptionAbi)
  const planOf = ({ provider, price, allowance }: SubscriptionPlan) => hashOf(['address', 'uint96', 'uint64'], [provider, price, allowance])
  return {
    address,
    monthS: MONTH_S,
    planOf,
    async term(plan, subscriber, signal) {
      const [{ paid, taken, start, end }, earned] = await at.read('termOf', [planOf(plan), subscriber], signal)
      return { paid, earned, taken, start: Number(start), end: Number(end) }
    },
    subscribe: (plan, months) =>
      at.action('subscribing', 'subscribe', [plan, BigInt(months)], { token: dollar, amount: plan.price * BigInt(months) }),
    cancel: (plan) => at.action('cancelling the subscription', 'cancel', [plan]),
    take: (plan, subscriber) => at.action('taking what a subscription earned', 'take', [plan, subscriber]),
  }
}
