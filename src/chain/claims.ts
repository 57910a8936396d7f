/** Claims as data: vouchers packed as the contract reads them, and cut into batches that fit one transaction. Pure. */
import { concat, fromHex, type Hex, keccak, toHex, uint } from '../protocol/bytes.ts'
import type { LeafProof } from '../protocol/tree.ts'
import { type ChannelRef, type Descriptor, rootIdOf, type Voucher } from '../protocol/voucher.ts'

// --- Our choices. Safe to change. ---
/** Beyond a hundred a larger batch saves less than a hundredth of the gas, and one bad voucher spoils more. */
const MAX_VOUCHERS = 100
/** Half of what one transaction may use since EIP-7825 (2^24), a quarter of a devnet's block. */
const MAX_GAS = 8_000_000
/** Upper estimates, measured with bench/gas.ts: a voucher in a batch; proving a leaf and making its slot; one level of its proof. */
const VOUCHER_GAS = 16_000
const ACTIVATION_GAS = 45_000
const LEVEL_GAS = 1_200

/** Proof of a leaf with its root: what the first claim on a channel brings. */
export interface Activation extends LeafProof {
  descriptor: Descriptor
}

/** A channel a payee holds: its proof and its newest voucher. */
export interface Holding {
  activation: Activation
  voucher: Voucher
}

/** What one transaction claims. */
export interface ClaimBatch {
  activations: Activation[]
  vouchers: Voucher[]
  /** Units it newly pays, by what the chain knew when it was planned. */
  owed: bigint
}

/** Why a holding is in no batch. */
export type SkipReason = 'nothing-owed' | 'above-cap' | 'root-not-open'

export interface ClaimPlan {
  batches: ClaimBatch[]
  skipped: { holding: Holding; reason: SkipReason }[]
}

/** What the chain says about a holding's channel. */
export interface ChannelPaid {
  cap: bigint
  paid: bigint
  /** Whether its leaf was proved already. */
  active: boolean
}

/** rootId 32 | index 4 | cumulative 12 | r 32 | vs 32. */
export function packVouchers(vouchers: readonly Voucher[]): Hex {
  const packed = vouchers.map((voucher) =>
    concat(fromHex(voucher.rootId, 32), uint(BigInt(voucher.index), 4), uint(voucher.cumulative, 12), fromHex(voucher.signature, 64)),
  )
  return toHex(concat(...packed))
}

/** What a fee order binds. */
export function claimsHash(vouchers: readonly Voucher[]): Hex {
  return keccak(Buffer.from(packVouchers(vouchers).slice(2), 'hex'))
}

const channelName = (channel: ChannelRef) => `${channel.rootId}/${channel.index}`

/** Of each channel the newest voucher. */
export function newestHoldings(holdings: readonly Holding[]): Holding[] {
  const newest = new Map<string, Holding>()
  for (const holding of holdings) {
    const name = channelName(holding.voucher)
    const other = newest.get(name)
    if (other === undefined || holding.voucher.cumulative > other.voucher.cumulative) newest.set(name, holding)
  }
  return [...newest.values()]
}

/**
 * Batches of all holdings that the contract will pay. One voucher it refuses reverts a whole batch: so what cannot be paid is left out and
 * named. `paid` and `rootOpen` are the chain's answers, in the order of `holdings`.
 */
export function planBatches(holdings: readonly Holding[], paid: readonly ChannelPaid[], rootOpen: readonly boolean[]): ClaimPlan {
  const plan: ClaimPlan = { batches: [], skipped: [] }
  let gas = 0
  holdings.forEach((holding, i) => {
    const { activation, voucher } = holding
    const channel = paid[i]!
    const reason = skipReason(holding, channel, rootOpen[i]!)
    if (reason !== undefined) {
      plan.skipped.push({ holding, reason })
      return
    }
    const cost = VOUCHER_GAS + (channel.active ? 0 : ACTIVATION_GAS + LEVEL_GAS * activation.siblings.length)
    let batch = plan.batches.at(-1)
    if (batch === undefined || batch.vouchers.length === MAX_VOUCHERS || gas + cost > MAX_GAS) {
      batch = { activations: [], vouchers: [], owed: 0n }
      plan.batches.push(batch)
      gas = 0
    }
    gas += cost
    if (!channel.active) batch.activations.push(activation)
    batch.vouchers.push(voucher)
    batch.owed += voucher.cumulative - channel.paid
  })
  return plan
}

function skipReason({ activation, voucher }: Holding, channel: ChannelPaid, rootOpen: boolean): SkipReason | undefined {
  if (voucher.cumulative <= channel.paid) return 'nothing-owed'
  if (voucher.cumulative > activation.cap) return 'above-cap'
  // An active channel is paid even after its root was closed, until it is swept: then it is active no more.
  if (!channel.active && !rootOpen) return 'root-not-open'
  return undefined
}

/** Whether proof and voucher speak of the same channel. */
export function belongTogether({ activation, voucher }: Holding): boolean {
  return activation.index === voucher.index && rootIdOf(activation.descriptor) === voucher.rootId
}
