/**
 * Refunds: closes roots whose time is over, so that what was not spent comes back by itself.
 *
 * A root may be closed from its expiry plus the contract's grace on. Providers have claimed by then or lose what they did not.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { ChannelRef, Descriptor } from '../protocol/voucher.ts'
import type { Root } from '../wallet/book.ts'
import type { Vault } from '../wallet/vault.ts'

/** What refunding asks of the chain. */
export interface RefundChain {
  graceS(): Promise<number>
  /** Unix seconds by the chain's clock, which decides. */
  blockTime(): Promise<number>
  channelsPaid(channels: readonly (ChannelRef & { payee: Hex; signer: Hex })[]): Promise<readonly { active: boolean }[]>
  close(descriptor: Descriptor, channels: readonly { index: number; payee: Hex }[]): Promise<{ tx: Hex; refund: bigint }>
}

/** Closes every root that may be closed and returns the units that came back. Roots that cannot be closed now are tried the next time. */
export async function refundExpired(needs: { vault: Vault; chain: RefundChain; clock: Clock; observer: Observer }): Promise<bigint> {
  const { vault, chain, clock, observer } = needs
  const expired = [...vault.book.roots.values()].filter((root) => root.state === 'open' && root.descriptor.expiry * 1000 < clock.nowMs())
  if (expired.length === 0) return 0n
  const graceS = await chain.graceS()
  // A chain that mines on demand shows the time of its last block; the next one gets the clock's.
  const nowS = Math.max(await chain.blockTime(), Math.floor(clock.nowMs() / 1000))
  let back = 0n
  for (const root of expired) {
    if (root.descriptor.expiry + graceS >= nowS) continue
    try {
      back += await closeRoot(root, needs)
    } catch (thrown) {
      observer.log('root not closed', { rootId: root.rootId, why: asBywayError(thrown).message })
    }
  }
  return back
}

async function closeRoot(root: Root, { vault, chain, clock, observer }: Parameters<typeof refundExpired>[0]): Promise<bigint> {
  const { rootId, descriptor, leaves } = root
  const ids = leaves.map(({ payee }, index) => ({ rootId, index, payee, signer: descriptor.signer }))
  const states = await chain.channelsPaid(ids)
  const active = ids.filter((_, i) => states[i]!.active).map(({ index, payee }) => ({ index, payee }))
  const { tx, refund } = await chain.close(descriptor, active)
  await vault.record({ kind: 'root-closed', rootId, refund, tx, atMs: clock.nowMs() })
  observer.log('root closed', { rootId, refund: refund.toString() })
  return refund
}
