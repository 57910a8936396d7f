/**
 * Opening a session: from a consumer's `session` message to `accepted`, or a refusal with its reason.
 *
 * Besides the terms (terms.ts) two things must be true before anything is served: the chain holds the money, and both sides agree on the
 * channel's high-water mark. The consumer shows its latest statement, the provider adopts it if its own is older (a crash between receiving
 * and writing, or a restored backup), and answers with what it now holds. So whoever lost records gets them back here.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { creditWindow } from '../protocol/credit.ts'
import { BywayError } from '../protocol/errors.ts'
import type { MessageBody } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { numeratorOf, owed, unitsOf } from '../protocol/price.ts'
import { newTill, type Till } from '../protocol/till.ts'
import { type ChannelRef, recoverSigner, voucherDigest } from '../protocol/voucher.ts'
import type { Vault } from '../wallet/vault.ts'
import type { PresentedChannel } from './terms.ts'

/** What a provider asks the chain. */
export interface ChannelGuard {
  /** Money behind a channel: whether its root is open, and what the contract has already paid on it. Throws RPC_UNREACHABLE. */
  inspect(channel: PresentedChannel, payee: Hex): Promise<{ open: boolean; paid: bigint }>
}

export interface OpeningNeeds {
  vault: Vault
  guard: ChannelGuard
  separator: Uint8Array
  payee: Hex
  country: string
  clock: Clock
  observer: Observer
}

const refOf = (channel: PresentedChannel): ChannelRef => ({ rootId: channel.rootId, index: channel.proof.index })

/** Throws ROOT_NOT_OPEN when no money stands behind the channel. A channel served before is trusted while the chain is silent. */
export async function requireMoney(channel: PresentedChannel, needs: OpeningNeeds): Promise<void> {
  const known = needs.vault.channel(refOf(channel))
  let state: { open: boolean; paid: bigint }
  try {
    state = await needs.guard.inspect(channel, needs.payee)
    needs.observer.warn('CHAIN_UNREACHABLE', undefined)
  } catch (thrown) {
    if (known === undefined) throw thrown
    needs.observer.warn('CHAIN_UNREACHABLE', {})
    return
  }
  if (!state.open) {
    throw new BywayError('ROOT_NOT_OPEN', 'the chain knows no open root of this name', { facts: { rootId: channel.rootId } })
  }
  // The contract paid more than our records say: they are an older copy.
  if (state.paid > (known?.cumulative ?? 0n)) await adoptMark(channel, state.paid, 'chain', needs)
}

async function adoptMark(channel: PresentedChannel, cumulative: bigint, source: 'peer' | 'chain', needs: OpeningNeeds): Promise<void> {
  await acceptChannel(channel, needs)
  await needs.vault.record({ kind: 'high-water', ...refOf(channel), cumulative, source, atMs: needs.clock.nowMs() })
  needs.observer.warn('STATE_RESTORED', { source, cumulative: cumulative.toString() })
}

/** Everything the first claim will need, once per channel. */
async function acceptChannel(channel: PresentedChannel, needs: OpeningNeeds): Promise<void> {
  if (needs.vault.channel(refOf(channel)) !== undefined) return
  const { cap, salt, siblings } = channel.proof
  const { descriptor } = channel
  await needs.vault.record({
    kind: 'channel-accepted',
    ...refOf(channel),
    descriptor,
    payee: needs.payee,
    cap,
    salt,
    siblings,
    atMs: needs.clock.nowMs(),
  })
}

/**
 * Takes over the consumer's latest statement if it says more than ours. Only its amount is signed: bytes, base and price are the consumer's
 * word, so nothing but the amount may earn it credit (boughtBytes in credit.ts). Throws VOUCHER_SIGNER, VOUCHER_AMOUNT or CAP_EXCEEDED for a
 * false one.
 */
export async function adoptLatest(channel: PresentedChannel, latest: MessageBody<'session'>['latest'], needs: OpeningNeeds): Promise<void> {
  await acceptChannel(channel, needs)
  if (latest === undefined) return
  const { statement, base, pricePerGib } = latest
  const known = needs.vault.channel(refOf(channel))
  const numerator = owed(base, statement.up + statement.down, pricePerGib)
  if (numerator <= (known?.numerator ?? 0n)) return
  const digest = voucherDigest(needs.separator, { ...refOf(channel), payee: needs.payee, cumulative: statement.cumulative })
  if (recoverSigner(digest, statement.signature) !== channel.descriptor.signer) {
    throw new BywayError('VOUCHER_SIGNER', 'the latest voucher shown is not signed by the session key')
  }
  if (statement.cumulative !== unitsOf(numerator))
    throw new BywayError('VOUCHER_AMOUNT', 'the latest voucher’s amount does not match its bytes')
  if (statement.cumulative > channel.proof.cap) throw new BywayError('CAP_EXCEEDED', 'the latest voucher exceeds the channel’s cap')
  const atMs = needs.clock.nowMs()
  const session = { ...refOf(channel), sessionId: statement.sessionId }
  const row = needs.vault.session(statement.sessionId)
  const lost = row === undefined
  const { up, down, cumulative, signature } = statement
  const fits = lost
    ? unitsOf(base) >= (known?.cumulative ?? 0n)
    : row.channel === known && row.base === base && row.pricePerGib === pricePerGib && up >= row.up && down >= row.down
  if (!fits) {
    // Our rows and the consumer's cannot both be right (one of us was restored); the amount is signed and counts all the same.
    await needs.vault.record({ kind: 'high-water', ...refOf(channel), cumulative, numerator, signature, source: 'peer', atMs })
    needs.observer.warn('STATE_RESTORED', { source: 'peer', cumulative: cumulative.toString() })
    return
  }
  if (lost) {
    // Our journal never heard of this session: it was restored from an older copy. Its row is written again from the consumer's word.
    if (unitsOf(base) > (known?.cumulative ?? 0n)) await adoptMark(channel, unitsOf(base), 'peer', needs)
    else needs.observer.warn('STATE_RESTORED', { source: 'peer', cumulative: cumulative.toString() })
    const peer = channel.descriptor.payer
    await needs.vault.record({
      kind: 'session-opened',
      ...session,
      peer,
      country: needs.country,
      pricePerGib,
      base,
      carriedUp: 0n,
      carriedDown: 0n,
      atMs,
    })
  }
  if (!lost && up + down - row.up - row.down > mostUnderWay(channel, needs)) {
    needs.observer.warn('STATE_RESTORED', { source: 'peer', cumulative: cumulative.toString() })
  }
  await needs.vault.record({ kind: 'voucher', ...session, up, down, disputed: 0n, numerator, cumulative, signature, atMs })
  if (lost) await needs.vault.record({ kind: 'session-closed', ...session, up, down, reason: 'restarted', atMs })
}

/** A crash costs this node at most the statement for what it lent at once, and for as much again ahead; if more is missing, its folder is an older copy. */
function mostUnderWay({ descriptor }: PresentedChannel, { vault }: OpeningNeeds): bigint {
  return 2n * creditWindow({ paidBytes: vault.book.counterparty(descriptor.payer).paidBytes, unpaidBytes: 0n })
}

/** Writes the new session down and returns its till, with what the payer left unpaid, or paid ahead, carried into it. */
export async function beginSession(
  channel: PresentedChannel,
  sessionId: Hex,
  pricePerGib: bigint,
  carried: { up: bigint; down: bigint },
  window: bigint,
  needs: OpeningNeeds,
): Promise<Till> {
  const known = needs.vault.channel(refOf(channel))
  const cumulative = known?.cumulative ?? 0n
  const base = known?.numerator ?? numeratorOf(cumulative)
  await needs.vault.record({
    kind: 'session-opened',
    ...refOf(channel),
    sessionId,
    peer: channel.descriptor.payer,
    country: needs.country,
    pricePerGib,
    base,
    carriedUp: carried.up,
    carriedDown: carried.down,
    atMs: needs.clock.nowMs(),
  })
  const till = newTill({ base, pricePerGib, cap: channel.proof.cap, cumulative, window })
  till.up = carried.up
  till.down = carried.down
  return till
}
