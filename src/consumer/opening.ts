/**
 * The consumer's half of opening a session: what it shows, what it checks in the answer, and the purse it begins with.
 *
 * This is where a restored backup shows: a provider that holds a later voucher of ours proves it with our own signature, and is believed;
 * one that only says so is not.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { creditWindow, least } from '../protocol/credit.ts'
import { BywayError } from '../protocol/errors.ts'
import { type MessageBody, PROTOCOL_VERSION } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { bytesWithin, owed, unitsOf } from '../protocol/price.ts'
import { newPurse, type Purse } from '../protocol/purse.ts'
import { type ChannelRef, type Domain, recoverSigner, sessionDigest, signDigest, voucherDigest } from '../protocol/voucher.ts'
import type { Session } from '../wallet/book.ts'
import type { CloseReason } from '../wallet/records.ts'
import type { Vault } from '../wallet/vault.ts'
import type { PayingChannel } from './deposits.ts'

/** The `session` message for a channel on this connection. */
export function sessionMessage(
  channel: PayingChannel,
  terms: { domain: Domain; pricePerGib: bigint; exporter: Uint8Array },
  vault: Vault,
): MessageBody<'session'> {
  const { descriptor, proof, payee } = channel
  const { payer, signer, root, sum, depth, nonce } = descriptor
  const digest = sessionDigest(terms.exporter, channel.ref.rootId, channel.ref.index)
  return {
    version: PROTOCOL_VERSION,
    chainId: BigInt(terms.domain.chainId),
    channels: terms.domain.channels,
    ...{ payer, signer, root, sum, depth, nonce, payee },
    expiry: BigInt(descriptor.expiry),
    index: proof.index,
    cap: proof.cap,
    salt: proof.salt,
    siblings: proof.siblings,
    pricePerGib: terms.pricePerGib,
    latest: latestOf(channel, terms.pricePerGib, vault),
    proof: signDigest(digest, channel.privateKey),
  }
}

/** The newest statement on this channel, so that a provider that lost it gets it back; undefined when none is at hand. */
function latestOf({ book }: PayingChannel, pricePerGib: bigint, vault: Vault): MessageBody<'session'>['latest'] {
  const { latest, numerator } = book
  if (latest === undefined || latest.cumulative !== unitsOf(numerator)) return undefined
  const sessions = [...vault.book.sessions.values()].filter((session) => session.channel === book)
  const session = sessions.findLast(({ base, up, down, pricePerGib: price }) => owed(base, up + down, price) === numerator)
  if (session !== undefined) {
    const { id: sessionId, up, down, base } = session
    return { statement: { sessionId, up, down, ...latest }, base, pricePerGib: session.pricePerGib }
  }
  // A provider showed us this voucher; of its session we know nothing. It stands for one without bytes, named after the voucher.
  const sessionId: Hex = `0x${latest.signature.slice(2, 2 + SESSION_ID_DIGITS)}`
  return { statement: { sessionId, up: 0n, down: 0n, ...latest }, base: numerator, pricePerGib }
}
const SESSION_ID_DIGITS = 32

/** Agrees with the provider on the channel's high-water mark, writes the session down and returns its purse. */
export async function beginSession(
  channel: PayingChannel,
  answer: MessageBody<'accepted'>,
  terms: { nodeKey: Hex; country: string; pricePerGib: bigint; separator: Uint8Array; moved: boolean },
  needs: { vault: Vault; clock: Clock; observer: Observer },
): Promise<Purse> {
  const { vault } = needs
  const { book, ref, payee } = channel
  await agreeOnMark(channel, answer, terms.separator, needs)
  const { paidUnits, paidBytes, disputedBytes } = vault.book.counterparty(payee)
  // Vouchers that this folder forgot and the provider proved: what they bought counts, though not which bytes.
  const bought = bytesWithin(paidUnits, 0n, terms.pricePerGib) ?? 0n
  const history = { paidBytes: paidBytes > bought ? paidBytes : bought, disputedBytes }
  if (vault.session(answer.sessionId) !== undefined) throw new BywayError('MESSAGE_UNEXPECTED', 'the session id was used before')
  // Below zero: paid ahead. When a session moves between channels both sides know what was under way. After a loss we know what arrived; the rest is the
  // provider's word, also that it carried all that was paid ahead.
  const carried = terms.moved ? 0n : answer.carried.up + answer.carried.down
  const seen = least(carried, terms.moved ? 0n : leftUnpaid(channel, vault))
  const doubt = carried - seen
  if (doubt > creditWindow({ paidBytes: history.paidBytes, unpaidBytes: history.disputedBytes })) {
    throw new BywayError('METER_DIVERGED', 'the provider says more is unpaid than it may have lent', { facts: { carried, seen } })
  }
  await vault.record({
    kind: 'session-opened',
    ...ref,
    sessionId: answer.sessionId,
    peer: terms.nodeKey,
    country: terms.country,
    pricePerGib: terms.pricePerGib,
    base: answer.base,
    carriedUp: answer.carried.up,
    carriedDown: answer.carried.down,
    atMs: needs.clock.nowMs(),
  })
  const purse = newPurse({
    base: answer.base,
    pricePerGib: terms.pricePerGib,
    cap: book.cap,
    cumulative: book.cumulative,
    paidBefore: history.paidBytes,
    disputedBefore: history.disputedBytes,
    window: answer.window,
  })
  purse.received = seen
  purse.statedDown = carried
  purse.disputedDown = doubt
  purse.widest = purse.widest > carried ? purse.widest : carried
  return purse
}

/** Closes the row of a session. */
export async function recordClosed(
  row: { ref: ChannelRef; sessionId: Hex; reason: CloseReason; counts: { up: bigint; down: bigint } },
  { vault, clock }: { vault: Vault; clock: Clock },
): Promise<void> {
  const { ref, sessionId, reason, counts } = row
  await vault.record({ kind: 'session-closed', ...ref, sessionId, ...counts, reason, atMs: clock.nowMs() })
}

/** Bytes of the last session with this provider that are ours to pay without a doubt; below zero those paid ahead. It had taken over what was left before it. */
function leftUnpaid({ payee, descriptor }: PayingChannel, vault: Vault): bigint {
  const ours = ({ channel }: Session) => channel.payee === payee && channel.root.descriptor.payer === descriptor.payer
  const last = [...vault.book.sessions.values()].findLast(ours)
  if (last?.closed === undefined) return 0n
  // Our own count died with our process, which is nothing to hold against the provider; it lent at most this, and had no more ahead to carry.
  if (last.closed.reason === 'restarted') return creditWindow({ paidBytes: vault.book.counterparty(payee).paidBytes, unpaidBytes: 0n })
  const { up, down, reason } = last.closed
  const left = up + down - last.up - last.down
  // What a false count was about is not owed; what was paid ahead is, to us.
  return reason === 'meter-diverged' ? least(left, 0n) : left
}

/** Believes a later voucher of ours that the provider shows, then both debts must be the same. */
async function agreeOnMark(
  channel: PayingChannel,
  { last, base }: MessageBody<'accepted'>,
  separator: Uint8Array,
  needs: { vault: Vault; clock: Clock; observer: Observer },
): Promise<void> {
  const { book, ref, payee } = channel
  const higher = last !== undefined && last.cumulative > book.cumulative
  // With the same amount the debts may differ by less than a unit: then, too, ours is the older copy.
  const longer = last?.cumulative === book.cumulative && unitsOf(base) === book.cumulative && base > book.numerator
  if (last !== undefined && (higher || longer)) {
    const { cumulative, signature } = last
    if (recoverSigner(voucherDigest(separator, { ...ref, payee, cumulative }), signature) !== channel.descriptor.signer) {
      throw new BywayError('VOUCHER_SIGNER', 'the provider shows a voucher that is not ours', { facts: { cumulative } })
    }
    const numerator = unitsOf(base) === cumulative ? { numerator: base } : {}
    await needs.vault.record({
      kind: 'high-water',
      ...ref,
      cumulative,
      ...numerator,
      signature,
      source: 'peer',
      atMs: needs.clock.nowMs(),
    })
    needs.observer.warn('STATE_RESTORED', { source: 'peer', cumulative: cumulative.toString() })
  }
  // Who learned it from the chain has no voucher to show: the other has to hear it there too before either is called a liar.
  const unproved = base < book.numerator && book.latest?.cumulative !== unitsOf(book.numerator)
  if (base !== book.numerator && (unproved || !channel.confirmed)) {
    throw new BywayError('STATE_RESTORED', 'one of us has an older copy, and only the chain can say who', {
      facts: { theirs: base, ours: book.numerator },
    })
  }
  if (base !== book.numerator) {
    throw new BywayError('METER_DIVERGED', 'the provider counts another debt than the vouchers say', {
      facts: { theirs: base, ours: book.numerator },
    })
  }
}
