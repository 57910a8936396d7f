/**
 * Claims: turns vouchers into money on chain, in batches, and notices what others claimed for us.
 *
 * A claim is a visible thing with a transaction: sent, then settled or failed, each a record. What the contract says it paid is the truth;
 * after a crash or a claim by somebody else the book is brought level with it.
 */
import type { ChannelId, ClaimBatch, ClaimFate, ClaimPlan, Holding } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { ChannelRef } from '../protocol/voucher.ts'
import type { Channel } from '../wallet/book.ts'
import type { Vault } from '../wallet/vault.ts'

/** What claiming asks of the chain. */
export interface ClaimChain {
  /** For each channel, in order, what the contract paid. */
  channelsPaid(channels: readonly ChannelId[]): Promise<readonly { paid: bigint }[]>
  /** What was ever burnt of this payee's claims. */
  burnt(): Promise<bigint>
  /** Cuts what the contract will pay into transactions. */
  planClaims(holdings: readonly Holding[]): Promise<ClaimPlan>
  /** Sends one claim for this payee; `sent` is called with its hash before it leaves. */
  claim(batch: ClaimBatch, sent: (tx: Hex) => Promise<void>): Promise<{ tx: Hex; amount: bigint; fee: bigint; burnt: bigint }>
  /** What became of a claim of which no answer came. */
  claimedBy(tx: Hex): Promise<ClaimFate>
}

export interface ClaimResult {
  tx: Hex
  vouchers: number
  amount: bigint
  fee: bigint
  burnt: bigint
}

export interface Claims {
  /** Units on vouchers that the contract has not paid yet. */
  claimable(): bigint
  /** Of those, units on channels whose root expires before `timeS`: lost if they are not claimed before the payer closes it. */
  expiringBefore(timeS: number): bigint
  /** Brings the book level with the contract, then the batches that are worth sending. */
  collect(): Promise<ClaimBatch[]>
  /** Claims everything; CLAIM_NOTHING when there is nothing. One call at a time. */
  claim(): Promise<ClaimResult[]>
}

export function createClaims(needs: { vault: Vault; chain: ClaimChain; payee: Hex; clock: Clock; observer: Observer }): Claims {
  const { vault, chain, payee, clock, observer } = needs
  const open = (channel: Channel) => channel.root.state === 'open' && (channel.latest?.cumulative ?? 0n) > channel.paid
  const unclaimed = () => [...vault.book.channels.values()].filter(open)
  let running: Promise<ClaimResult[]> | undefined

  /** What others claimed for us, and what a claim paid whose answer never came. */
  async function level(): Promise<void> {
    await recoverPending()
    // Before what was paid: then no claim in between can be counted as burnt and not yet as paid.
    const burnt = await chain.burnt()
    const channels = unclaimed()
    const states = await chain.channelsPaid(
      channels.map(({ rootId, index, root }) => ({ rootId, index, payee, signer: root.descriptor.signer })),
    )
    for (const [i, { rootId, index, paid: known }] of channels.entries()) {
      const { paid } = states[i]!
      if (paid <= known) continue
      await vault.record({ kind: 'high-water', rootId, index, cumulative: paid, source: 'chain', atMs: clock.nowMs() })
      observer.log('claimed elsewhere', { rootId, paid: paid.toString() })
    }
    // On a channel that is closed here, a claim of others may have burnt what this book never saw paid.
    const { book } = vault
    if (burnt > book.burnt && book.fees + burnt <= book.paid) await vault.record({ kind: 'burn-seen', total: burnt, atMs: clock.nowMs() })
  }

  async function recoverPending(): Promise<void> {
    for (const { tx, vouchers } of [...vault.book.pendingClaims.values()]) {
      const fate = await chain.claimedBy(tx)
      if (fate.fate === 'mined') {
        // Mined while the book was brought level before: then its burn is in there already.
        const unseen = (await chain.burnt()) - vault.book.burnt
        await recordSettled({ ...fate, burnt: fate.burnt < unseen ? fate.burnt : unseen }, vouchers)
      }
      if (fate.fate === 'reverted') await vault.record({ kind: 'claim-failed', tx, why: 'reverted', atMs: clock.nowMs() })
    }
  }

  async function recordSettled(
    { tx, amount, fee, burnt }: { tx: Hex; amount: bigint; fee: bigint; burnt: bigint },
    vouchers: readonly (ChannelRef & { cumulative: bigint })[],
  ): Promise<void> {
    const channels = vouchers.map(({ rootId, index, cumulative }) => ({ rootId, index, paid: cumulative }))
    await vault.record({ kind: 'claim-settled', tx, amount, fee, burnt, channels, atMs: clock.nowMs() })
  }

  async function collect(): Promise<ClaimBatch[]> {
    await level()
    const { batches, skipped } = await chain.planClaims(unclaimed().map(holdingOf))
    for (const { holding, reason } of skipped) {
      const { rootId } = holding.voucher
      observer.log('voucher not claimed', { rootId, reason })
      // The payer closed it after its time: what was not claimed is lost, and the ledger says so.
      if (reason === 'root-not-open' && vault.book.roots.get(rootId)?.state === 'open') {
        await vault.record({ kind: 'root-closed', rootId, refund: 0n, tx: UNSEEN_TX, atMs: clock.nowMs() })
      }
    }
    return batches
  }

  async function run(): Promise<ClaimResult[]> {
    const batches = await collect()
    if (batches.length === 0) {
      throw new BywayError('CLAIM_NOTHING', 'there is no voucher the contract has not paid', { hint: 'See `byway ledger`.' })
    }
    const results: ClaimResult[] = []
    for (const batch of batches) results.push(await send(batch))
    return results
  }

  async function send(batch: ClaimBatch): Promise<ClaimResult> {
    let sentAs: Hex | undefined
    try {
      const { tx, amount, fee, burnt } = await chain.claim(batch, async (hash) => {
        sentAs = hash
        const vouchers = batch.vouchers.map(({ rootId, index, cumulative }) => ({ rootId, index, cumulative }))
        await vault.record({ kind: 'claim-sent', tx: hash, vouchers, atMs: clock.nowMs() })
      })
      await recordSettled({ tx, amount, fee, burnt }, batch.vouchers)
      observer.count('claims', 1, { result: 'ok' })
      return { tx, vouchers: batch.vouchers.length, amount, fee, burnt }
    } catch (thrown) {
      const error = asBywayError(thrown, 'TRANSACTION_FAILED')
      observer.count('claims', 1, { result: error.code })
      // Without an answer the transaction may still be mined; the next claim finds out from the contract.
      if (sentAs !== undefined && error.code === 'TRANSACTION_FAILED') {
        await vault.record({ kind: 'claim-failed', tx: sentAs, why: error.message.slice(0, 200), atMs: clock.nowMs() })
      }
      throw error
    }
  }

  const owed = (channels: readonly Channel[]) => channels.reduce((sum, channel) => sum + channel.latest!.cumulative - channel.paid, 0n)

  return {
    claimable: () => owed(unclaimed()),
    expiringBefore: (timeS) => owed(unclaimed().filter(({ root }) => root.descriptor.expiry < timeS)),
    collect,
    claim() {
      running ??= run().finally(() => {
        running = undefined
      })
      return running
    },
  }
}

/** A transaction this node did not see. */
const UNSEEN_TX: Hex = `0x${'00'.repeat(32)}`

function holdingOf({ rootId, index, payee, root, cap, salt, siblings, latest }: Channel): Holding {
  return {
    activation: { descriptor: root.descriptor, index, cap, salt, siblings: [...siblings] },
    voucher: { rootId, index, payee, ...latest! },
  }
}
