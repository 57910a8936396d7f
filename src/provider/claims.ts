/**
 * Claims: turns vouchers into money on chain, in batches, and notices what others claimed for us.
 *
 * A claim is a visible thing with a transaction: sent, then settled or failed, each a record. What the contract says it paid is the truth;
 * after a crash or a claim by somebody else the book is brought level with it.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { LeafProof } from '../protocol/tree.ts'
import type { ChannelRef, Descriptor, Voucher } from '../protocol/voucher.ts'
import type { Channel } from '../wallet/book.ts'
import type { Vault } from '../wallet/vault.ts'

/** Proof of a leaf with the root it belongs to: what a first claim brings. */
export interface Activation extends LeafProof {
  descriptor: Descriptor
}

/** What claiming asks of the chain. */
export interface ClaimChain {
  /** For each channel, in order: what the contract paid and whether it is active. */
  channelsPaid(channels: readonly (ChannelRef & { payee: Hex; signer: Hex })[]): Promise<readonly { paid: bigint; active: boolean }[]>
  /** Sends one claim; `sent` is called with the hash before the receipt is waited for. */
  claim(batch: ClaimBatch, sent: (tx: Hex) => Promise<void>): Promise<{ tx: Hex; amount: bigint; fee: bigint }>
}

export interface ClaimBatch {
  payee: Hex
  activations: Activation[]
  vouchers: Voucher[]
}

/** One transaction's worth: 100 vouchers are about 1.2M gas, far below any block, and larger batches save almost nothing more. */
const BATCH_VOUCHERS = 100

export interface ClaimResult {
  tx: Hex
  vouchers: number
  amount: bigint
  fee: bigint
}

export interface Claims {
  /** Units on vouchers that the contract has not paid yet. */
  claimable(): bigint
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

  async function level(channels: readonly Channel[]): Promise<readonly { paid: bigint; active: boolean }[]> {
    const states = await chain.channelsPaid(
      channels.map(({ rootId, index, root }) => ({ rootId, index, payee, signer: root.descriptor.signer })),
    )
    for (const [i, channel] of channels.entries()) {
      const { paid } = states[i]!
      if (paid <= channel.paid) continue
      await vault.record({ kind: 'high-water', rootId: channel.rootId, index: channel.index, cumulative: paid, source: 'chain', atMs: clock.nowMs() })
      observer.log('claimed elsewhere', { rootId: channel.rootId, paid: paid.toString() })
    }
    return states
  }

  async function collect(): Promise<ClaimBatch[]> {
    const channels = unclaimed()
    const states = await level(channels)
    const due = channels.map((channel, i) => ({ channel, active: states[i]!.active })).filter(({ channel }) => open(channel))
    const batches: ClaimBatch[] = []
    for (let at = 0; at < due.length; at += BATCH_VOUCHERS) {
      const part = due.slice(at, at + BATCH_VOUCHERS)
      batches.push({
        payee,
        activations: part.filter(({ active }) => !active).map(({ channel }) => activationOf(channel)),
        vouchers: part.map(({ channel: { rootId, index, latest } }) => ({ rootId, index, payee, ...latest! })),
      })
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
      const { tx, amount, fee } = await chain.claim(batch, async (hash) => {
        sentAs = hash
        const vouchers = batch.vouchers.map(({ rootId, index, cumulative }) => ({ rootId, index, cumulative }))
        await vault.record({ kind: 'claim-sent', tx: hash, vouchers, atMs: clock.nowMs() })
      })
      const channels = batch.vouchers.map(({ rootId, index, cumulative }) => ({ rootId, index, paid: cumulative }))
      await vault.record({ kind: 'claim-settled', tx, amount, fee, channels, atMs: clock.nowMs() })
      observer.count('claims', 1, { result: 'ok' })
      return { tx, vouchers: batch.vouchers.length, amount, fee }
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

  return {
    claimable: () => unclaimed().reduce((sum, channel) => sum + channel.latest!.cumulative - channel.paid, 0n),
    collect,
    claim() {
      running ??= run().finally(() => {
        running = undefined
      })
      return running
    },
  }
}

function activationOf({ root, index, cap, salt, siblings }: Channel): Activation {
  return { descriptor: root.descriptor, index, cap, salt, siblings: [...siblings] }
}
