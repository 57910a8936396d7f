/**
 * Deposits: the roots a consumer opened, and which channel pays a provider next.
 *
 * One transaction opens a channel to every known provider. A root is written down before its transaction leaves, so a crash in between
 * neither loses the deposit nor opens a second one: at the next start the chain says what became of it.
 */
import type { Hex } from '../protocol/bytes.ts'
import { toHex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { least } from '../protocol/credit.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { nearlyUsed } from '../protocol/price.ts'
import { buildTree, type FanoutTree, type LeafProof } from '../protocol/tree.ts'
import { addressOf, type ChannelRef, type Descriptor, rootIdOf } from '../protocol/voucher.ts'
import type { Channel, Root } from '../wallet/book.ts'
import type { Vault } from '../wallet/vault.ts'
import { pause } from './pause.ts'

/** What depositing asks of the chain. */
export interface DepositChain {
  /** Units the wallet can deposit. */
  balance(): Promise<bigint>
  /** `tx` is undefined when the root was open already. */
  openRoot(descriptor: Descriptor): Promise<{ tx: Hex | undefined }>
  rootState(rootId: Hex): Promise<'none' | 'open' | 'closed'>
  /** Roots this wallet opened, as far back as the chain's node tells. */
  rootsOf(): Promise<readonly Descriptor[]>
  /** For each channel, in order, what the contract has paid. */
  channelsPaid(channels: readonly (ChannelRef & { payee: Hex; signer: Hex })[]): Promise<readonly { paid: bigint }[]>
}

export interface DepositSettings {
  /** Most units one root may lock. */
  deposit: bigint
  /** Most units for one provider in a root. */
  capPerProvider: bigint
  rootDays: number
  /** A number in [0, 1): deposit, caps and expiry differ by it, so that roots of one owner do not look alike. Undefined: they are exact. */
  vary?: () => number
}

/** A channel with what is needed to pay through it. */
export interface PayingChannel {
  ref: ChannelRef
  descriptor: Descriptor
  payee: Hex
  proof: LeafProof
  privateKey: Uint8Array
  book: Channel
  /** The chain said what it paid there. */
  confirmed: boolean
}

export interface DepositNeeds {
  vault: Vault
  chain: DepositChain
  payer: Hex
  sessionKey(nonce: bigint): Uint8Array
  randomBytes(length: number): Uint8Array
  /** Everyone a new root should pay. */
  payees(): Promise<Hex[]>
  clock: Clock
  observer: Observer
  settings: DepositSettings
}

/** Providers stop an hour before expiry (their margin); we stop using a root a little earlier. */
const EXPIRY_MARGIN_S = 2 * 3_600
const DAY_S = 86_400
/** A chain that is well answers in a fraction of this. */
const CHAIN_PATIENCE_MS = 3_000
/** A leaf smaller than a cent pays for some tens of megabytes: below that the first claim costs more than it brings. */
const LEAST_CAP_UNITS = 10_000n
/** How much smaller a varied deposit or cap may be, and how much shorter a root: enough to hide who it belongs to among others, never more than was allowed. */
const MOST_LESS = 0.25
const MOST_SHORTER = 0.1
/** A proof of ten levels; larger trees only make first claims dearer (payments: about 950 gas a level). */
const MAX_LEAVES = 1_024n

export interface OpenedDeposit {
  rootId: Hex
  deposit: bigint
  providers: number
  /** Unix seconds. */
  expiry: number
}

export interface Deposits {
  /**
   * For a new session: the channel used last, even if it is nearly used up and must be left at once. With `besides`, to leave that one: a
   * channel with room. Opens a root when there is none.
   */
  channelFor(payee: Hex, besides?: ChannelRef): Promise<PayingChannel>
  /** Locks so many units in a root that all known providers share alike, whatever is open already. */
  deposit(units: bigint): Promise<OpenedDeposit>
  /** Whether there is a channel with room for this payee already. */
  pays(payee: Hex): boolean
  /** Whether so much of the channel is used, or so little of its root's time left, that the next should be prepared. */
  nearlyUsed(channel: Channel): boolean
  /** Asks the chain what became of roots of whose transaction no answer came, and for roots of this wallet that the records lack. */
  recover(): Promise<void>
}

export function createDeposits(needs: DepositNeeds): Deposits {
  const { vault, chain, clock, observer, settings } = needs
  const trees = new Map<Hex, FanoutTree>()
  /** Channels whose high-water mark the chain confirmed since the daemon started. */
  const confirmed = new Set<Channel>()
  let opening: Promise<void> | undefined
  /** Roots whose transaction this process waits for. */
  const underWay = new Set<Hex>()
  /** Whether the chain was asked for roots we do not know. Once is enough: from then on we open them all. */
  let searched = false

  const nowS = () => Math.floor(clock.nowMs() / 1000)
  const lives = ({ root }: Channel) => root.state === 'open' && root.descriptor.expiry > nowS() + EXPIRY_MARGIN_S
  /** Roots of the other payers of this wallet pay at other places of a route. */
  const ours = ({ root }: Channel) => root.descriptor.payer === needs.payer
  const usable = (channel: Channel) => lives(channel) && !nearlyUsed(channel)

  /** The provider may lack the last voucher there, if one side was cut off: it gets it when a session opens on that channel again. */
  function usedLast(payee: Hex): Channel | undefined {
    const session = [...vault.book.sessions.values()].findLast(({ channel }) => channel.payee === payee && ours(channel))
    return session !== undefined && lives(session.channel) ? session.channel : undefined
  }

  function find(payee: Hex, besides: ChannelRef | undefined): Channel | undefined {
    const channels = [...vault.book.channels.values()].filter(
      (channel) =>
        channel.payee === payee &&
        ours(channel) &&
        usable(channel) &&
        !(channel.rootId === besides?.rootId && channel.index === besides.index),
    )
    // The fullest first: channels are used up one after the other, so that few of them are ever claimed.
    return channels.sort((a, b) => Number(b.cumulative - a.cumulative))[0]
  }

  async function channelFor(payee: Hex, besides?: ChannelRef): Promise<PayingChannel> {
    let channel = besides === undefined ? (usedLast(payee) ?? find(payee, besides)) : find(payee, besides)
    if (channel === undefined) {
      opening ??= openRoot(payee, besides).finally(() => {
        opening = undefined
      })
      await opening
      channel = find(payee, besides)
    }
    // The root under way was for others: ours is the next.
    if (channel === undefined) {
      await openRoot(payee, besides)
      channel = find(payee, besides)
    }
    if (channel === undefined) throw new BywayError('DEPOSIT_EXHAUSTED', 'no channel pays this provider', { facts: { payee } })
    await confirm(channel)
    return paying(channel)
  }

  /**
   * The chain says what it paid on a channel before anything is signed there: our records may be an older copy of themselves. While it is silent the
   * peer's word has to do, and does. Only the payee of a leaf is paid on it, and it shows the newest voucher it has before anything
   * is signed (opening.ts). One that hides a later voucher is promised again what it had been promised: it carries for nothing, and that is its loss.
   */
  async function confirm(channel: Channel): Promise<void> {
    if (confirmed.has(channel)) return
    const paid = await paidOn(channel)
    if (paid === undefined) {
      // Asked again for the next session.
      observer.warn('CHAIN_UNREACHABLE', {})
      return
    }
    const { rootId, index } = channel
    if (paid > channel.cumulative) {
      await vault.record({ kind: 'high-water', rootId, index, cumulative: paid, source: 'chain', atMs: clock.nowMs() })
      observer.warn('STATE_RESTORED', { source: 'chain', cumulative: paid.toString() })
    }
    observer.warn('CHAIN_UNREACHABLE', undefined)
    confirmed.add(channel)
  }

  /** Undefined when no answer comes in the time that somebody would wait for a session. */
  async function paidOn({ rootId, index, payee, root }: Channel): Promise<bigint | undefined> {
    const late = new AbortController()
    try {
      const asked = chain.channelsPaid([{ rootId, index, payee, signer: root.descriptor.signer }])
      const answer = await Promise.race([asked, pause(CHAIN_PATIENCE_MS, late.signal)])
      return answer?.[0]?.paid
    } catch (thrown) {
      if (asBywayError(thrown).code === 'RPC_UNREACHABLE') return undefined
      throw thrown
    } finally {
      late.abort()
    }
  }

  function paying(channel: Channel): PayingChannel {
    const { root, rootId, index, payee } = channel
    return {
      ref: { rootId, index },
      descriptor: root.descriptor,
      payee,
      proof: treeOf(root).proof(index),
      privateKey: needs.sessionKey(root.signerNonce!),
      book: channel,
      confirmed: confirmed.has(channel),
    }
  }

  function treeOf(root: Root): FanoutTree {
    let tree = trees.get(root.rootId)
    if (tree === undefined) {
      tree = buildTree(root.leaves)
      trees.set(root.rootId, tree)
    }
    return tree
  }

  /** At most a quarter less. */
  const varied = (units: bigint) => units - BigInt(Math.floor(Number(units) * (settings.vary?.() ?? 0) * MOST_LESS))

  async function openRoot(payee: Hex, besides: ChannelRef | undefined): Promise<void> {
    // A root whose answer never came may be open: no second deposit before that is known.
    await recover()
    if (find(payee, besides) !== undefined) return
    const others = await needs.payees()
    // Whoever is asked for now comes first.
    const lacking = [...new Set([payee, ...others])].filter((p) => p === payee || find(p, besides) === undefined)
    await openFor(lacking, varied(settings.deposit), varied(settings.capPerProvider))
  }

  async function deposit(units: bigint): Promise<OpenedDeposit> {
    await recover()
    const balance = await chain.balance()
    if (balance < units) {
      throw new BywayError('WALLET_EMPTY', 'the wallet holds less than the deposit', { facts: { balance, deposit: units } })
    }
    const payees = [...new Set(await needs.payees())]
    if (payees.length === 0) {
      throw new BywayError('NO_PROVIDER', 'no provider is known that a deposit could be for', { hint: 'see --offers of the consumer' })
    }
    const { rootId, descriptor, leaves } = await openFor(payees, units, units)
    return { rootId, deposit: descriptor.sum, providers: leaves.length, expiry: descriptor.expiry }
  }

  /** The first payees as far as the deposit makes leaves worth having, each with at most `most`. */
  async function openFor(wanted: readonly Hex[], units: bigint, most: bigint) {
    const balance = await chain.balance()
    const sum = least(units, balance)
    const places = Number(least(MAX_LEAVES, sum / LEAST_CAP_UNITS))
    const payees = wanted.slice(0, Math.max(1, places))
    const cap = least(most, sum / BigInt(payees.length))
    if (cap < LEAST_CAP_UNITS) {
      throw new BywayError('WALLET_EMPTY', 'the wallet holds too few dollars for a deposit', {
        facts: { balance, providers: payees.length },
        hint: `Send test dollars or stablecoins to ${needs.payer}, or lower --deposit.`,
      })
    }
    const leaves = payees.map((p) => ({ payee: p, cap, salt: toHex(needs.randomBytes(32)) }))
    const tree = buildTree(leaves)
    const signerNonce = unusedNonce()
    const descriptor: Descriptor = {
      payer: needs.payer,
      signer: addressOf(needs.sessionKey(signerNonce)),
      root: tree.root,
      sum: tree.sum,
      expiry: nowS() + Math.floor(settings.rootDays * DAY_S * (1 - (settings.vary?.() ?? 0) * MOST_SHORTER)),
      depth: tree.depth,
      nonce: BigInt(toHex(needs.randomBytes(8))),
    }
    const rootId = rootIdOf(descriptor)
    await vault.record({ kind: 'root-planned', rootId, descriptor, leaves, signerNonce, atMs: clock.nowMs() })
    observer.log('opening a root', { rootId, providers: payees.length, units: tree.sum.toString() })
    underWay.add(rootId)
    try {
      const { tx } = await chain.openRoot(descriptor)
      await vault.record({ kind: 'root-opened', rootId, tx: tx ?? NO_TX, atMs: clock.nowMs() })
    } catch (thrown) {
      const error = asBywayError(thrown, 'TRANSACTION_FAILED')
      // Only a refusal is final. Without an answer the transaction may still be mined: recover() will ask.
      if (error.code === 'TRANSACTION_FAILED' || error.code === 'WALLET_EMPTY') {
        await vault.record({ kind: 'root-failed', rootId, why: error.message.slice(0, 200), atMs: clock.nowMs() })
      }
      throw error
    } finally {
      underWay.delete(rootId)
    }
    return { rootId, descriptor, leaves }
  }

  /** A session key for one root only, also when other roots were forgotten for a while. */
  function unusedNonce(): bigint {
    const signers = new Set([...vault.book.roots.values()].map(({ descriptor }) => descriptor.signer))
    let nonce = BigInt(vault.book.roots.size)
    while (signers.has(addressOf(needs.sessionKey(nonce)))) nonce++
    return nonce
  }

  async function recover(): Promise<void> {
    for (const root of vault.book.roots.values()) {
      if (root.state !== 'planned' || underWay.has(root.rootId)) continue
      const state = await chain.rootState(root.rootId)
      const at = { rootId: root.rootId, atMs: clock.nowMs() }
      if (state === 'none') await vault.record({ kind: 'root-failed', ...at, why: 'the chain does not know it' })
      else await vault.record({ kind: 'root-opened', ...at, tx: NO_TX })
    }
    if (!searched) for (const descriptor of await chain.rootsOf()) await adopt(descriptor)
    searched = true
  }

  /** A root of ours that these records lack: an older copy, or a transaction that was mined after it was given up. */
  async function adopt(descriptor: Descriptor): Promise<void> {
    const rootId = rootIdOf(descriptor)
    const known = vault.book.roots.get(rootId)
    const failed = known === undefined || known.state === 'failed'
    if (!failed || underWay.has(rootId) || (await chain.rootState(rootId)) !== 'open') return
    const atMs = clock.nowMs()
    if (known === undefined) {
      // Whom it pays is forgotten, so nothing can be signed on it. What is left of the deposit comes back when its time is over.
      await vault.record({ kind: 'root-planned', rootId, descriptor, leaves: [], signerNonce: 0n, atMs })
      observer.warn('STATE_RESTORED', { source: 'chain', rootId })
    }
    await vault.record({ kind: 'root-opened', rootId, tx: NO_TX, atMs })
  }

  const pays = (payee: Hex) => (usedLast(payee) ?? find(payee, undefined)) !== undefined
  return { channelFor, pays, deposit, nearlyUsed: (channel) => nearlyUsed(channel) || !lives(channel), recover }
}

/** The transaction is not known any more: the daemon stopped before its answer came. */
const NO_TX: Hex = `0x${'00'.repeat(32)}`
