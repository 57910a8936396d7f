/** A chain in memory with the rules of Channels.sol that nodes depend on: deposits, proofs, caps, cumulative claims. For fast tests. */

import { type ClaimBatch, type Holding, planBatches } from '../../src/chain/claims.ts'
import type { Hex } from '../../src/protocol/bytes.ts'
import { BywayError } from '../../src/protocol/errors.ts'
import { foldProof } from '../../src/protocol/tree.ts'
import { type ChannelRef, type Descriptor, rootIdOf } from '../../src/protocol/voucher.ts'

export class MemoryChain {
  readonly balances = new Map<Hex, bigint>()
  readonly roots = new Map<Hex, { descriptor: Descriptor; state: 'open' | 'closed' }>()
  readonly paid = new Map<string, bigint>()
  down = false
  #transactions = 0

  #tx(): Hex {
    return `0x${(++this.#transactions).toString(16).padStart(64, '0')}`
  }

  #up(): void {
    if (this.down) throw new BywayError('RPC_UNREACHABLE', 'the chain is down')
  }

  key = ({ rootId, index }: ChannelRef) => `${rootId}:${index}`

  for(payer: Hex) {
    return {
      balance: async () => {
        this.#up()
        return this.balances.get(payer) ?? 0n
      },
      openRoot: async (descriptor: Descriptor) => {
        this.#up()
        const balance = this.balances.get(payer) ?? 0n
        if (balance < descriptor.sum) throw new Error('too few dollars')
        this.balances.set(payer, balance - descriptor.sum)
        this.roots.set(rootIdOf(descriptor), { descriptor, state: 'open' })
        return { tx: this.#tx() }
      },
      rootState: async (rootId: Hex) => {
        this.#up()
        return this.roots.get(rootId)?.state ?? ('none' as const)
      },
      rootsOf: async () => {
        this.#up()
        return [...this.roots.values()].map(({ descriptor }) => descriptor).filter((descriptor) => descriptor.payer === payer)
      },
      channelsPaid: async (refs: readonly ChannelRef[]) => {
        this.#up()
        return refs.map((ref) => ({ paid: this.paid.get(this.key(ref)) ?? 0n, active: this.paid.has(this.key(ref)) }))
      },
    }
  }

  guard = {
    inspect: async ({ rootId, proof }: { rootId: Hex; proof: { index: number } }) => {
      this.#up()
      return { open: this.roots.get(rootId)?.state === 'open', paid: this.paid.get(this.key({ rootId, index: proof.index })) ?? 0n }
    },
  }

  async planClaims(holdings: readonly Holding[]) {
    this.#up()
    const paid = holdings.map(({ voucher }) => this.paid.get(this.key(voucher)))
    return planBatches(
      holdings,
      paid.map((units, i) => ({ cap: holdings[i]!.activation.cap, paid: units ?? 0n, active: units !== undefined })),
      holdings.map(({ voucher }) => this.roots.get(voucher.rootId)?.state === 'open'),
    )
  }

  claimsOf(payee: Hex) {
    return {
      channelsPaid: this.for(payee).channelsPaid,
      planClaims: (holdings: readonly Holding[]) => this.planClaims(holdings),
      claim: (batch: ClaimBatch, sent: (tx: Hex) => Promise<void>) => this.claim(payee, batch, sent),
      claimedBy: () => this.claimedBy(),
      // Claims here burn nothing: what burns is tested where there are contracts.
      burnt: async () => 0n,
    }
  }

  async claimedBy() {
    return { fate: 'unknown' } as const
  }

  async claim(payee: Hex, batch: ClaimBatch, sent: (tx: Hex) => Promise<void>) {
    this.#up()
    const tx = this.#tx()
    await sent(tx)
    for (const { descriptor, ...proof } of batch.activations) {
      const top = foldProof(payee, proof, descriptor.depth)
      if (top?.root !== descriptor.root) throw new Error('bad proof')
      this.paid.set(this.key({ rootId: rootIdOf(descriptor), index: proof.index }), 0n)
    }
    let amount = 0n
    for (const voucher of batch.vouchers) {
      const before = this.paid.get(this.key(voucher))
      if (before === undefined) throw new Error('not active')
      if (voucher.cumulative <= before) continue
      amount += voucher.cumulative - before
      this.paid.set(this.key(voucher), voucher.cumulative)
    }
    this.balances.set(payee, (this.balances.get(payee) ?? 0n) + amount)
    return { tx, amount, fee: 0n, burnt: 0n }
  }
}
