/**
 * The consumer's half of opening a session: what it shows, what it checks in the answer, and the purse it begins with.
 *
 * This is where a restored backup shows: a provider that holds a later voucher of ours proves it with our own signature, and is believed;
 * one that only says so is not.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import { creditWindow } from '../protocol/credit.ts'
import { BywayError } from '../protocol/errors.ts'
import { type MessageBody, PROTOCOL_VERSION } from '../protocol/messages.ts'
import type { Observer } from '../protocol/observe.ts'
import { owed, unitsOf } from '../protocol/price.ts'
import { newPurse, type Purse } from '../protocol/purse.ts'
import { type Domain, recoverSigner, sessionDigest, signDigest, voucherDigest } from '../protocol/voucher.ts'
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
    latest: latestOf(channel, vault),
    proof: signDigest(digest, channel.privateKey),
  }
}

/** The newest statement on this channel, so that a provider that lost it gets it back; undefined when none is at hand. */
function latestOf({ book }: PayingChannel, vault: Vault): MessageBody<'session'>['latest'] {
  if (book.latest === undefined) return undefined
  const sessions = [...vault.book.sessions.values()].filter((session) => session.channel === book)
  const session = sessions.findLast(({ base, up, down, pricePerGib }) => owed(base, up + down, pricePerGib) === book.numerator)
  if (session === undefined) return undefined
  const { id: sessionId, up, down, base, pricePerGib } = session
  return { statement: { sessionId, up, down, ...book.latest }, base, pricePerGib }
}

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
  const history = vault.book.counterparty(payee)
  // When a session moves between channels both sides know what was under way; after a loss only the provider does.
  const carried = terms.moved ? 0n : answer.carried.up + answer.carried.down
  if (carried > creditWindow({ paidBytes: history.paidBytes, unpaidBytes: history.disputedBytes })) {
    throw new BywayError('METER_DIVERGED', 'the provider says more is unpaid than it may have lent', { facts: { carried } })
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
  purse.disputedDown = carried
  return purse
}

async function agreeOnMark(
  channel: PayingChannel,
  { last, base }: MessageBody<'accepted'>,
  separator: Uint8Array,
  needs: { vault: Vault; clock: Clock; observer: Observer },
): Promise<void> {
  const { book, ref, payee } = channel
  if (last !== undefined && last.cumulative > book.cumulative) {
    const digest = voucherDigest(separator, { ...ref, payee, cumulative: last.cumulative })
    if (recoverSigner(digest, last.signature) !== channel.descriptor.signer || unitsOf(base) !== last.cumulative) {
      throw new BywayError('VOUCHER_SIGNER', 'the provider shows a voucher that is not ours', { facts: { cumulative: last.cumulative } })
    }
    const { cumulative, signature } = last
    await needs.vault.record({
      kind: 'high-water',
      ...ref,
      cumulative,
      numerator: base,
      signature,
      source: 'peer',
      atMs: needs.clock.nowMs(),
    })
    needs.observer.warn('STATE_RESTORED', { source: 'peer', cumulative: cumulative.toString() })
    return
  }
  if (base !== book.numerator) {
    throw new BywayError('METER_DIVERGED', 'the provider counts another debt than the vouchers say', {
      facts: { theirs: base, ours: book.numerator },
    })
  }
}
