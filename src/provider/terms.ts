/**
 * What a provider checks before it serves: that the channel a consumer brings really pays it.
 *
 * Everything that needs no chain is decided here, purely, in the order that gives the most useful refusal; docs/protocol.md#opening lists it.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { ErrorCode } from '../protocol/errors.ts'
import { type MessageBody, PROTOCOL_VERSION } from '../protocol/messages.ts'
import { foldProof, type LeafProof } from '../protocol/tree.ts'
import { type Descriptor, recoverSigner, rootIdOf, sessionDigest } from '../protocol/voucher.ts'

/** What this provider asks of everybody. */
export interface Terms {
  chainId: number
  channels: Hex
  payee: Hex
  /** Units per GiB that a session pays at least: what offers ask that still hold. */
  leastPerGib(): bigint
}

/** A channel as a consumer presented it, internally consistent; whether its root is open is for the chain to say. */
export interface PresentedChannel {
  rootId: Hex
  descriptor: Descriptor
  proof: LeafProof
}

/** Each channel gives away less than one unit (amounts are floors). With this much behind it that is a thousandth of what its payer locks up. */
export const LEAST_CAP_UNITS = 1_000n
/** Serving stops this long before expiry, so that the last voucher can still be claimed at leisure (design: no race at the end). */
export const EXPIRY_MARGIN_S = 3_600

export type Presented = { ok: true; channel: PresentedChannel } | { ok: false; code: ErrorCode; message: string }

export function checkPresented(message: MessageBody<'session'>, terms: Terms, exporter: Uint8Array, nowS: number): Presented {
  const no = (code: ErrorCode, why: string): Presented => ({ ok: false, code, message: why })
  if (message.version !== PROTOCOL_VERSION) return no('PROTOCOL_VERSION', `this node speaks version ${PROTOCOL_VERSION}`)
  if (message.chainId !== BigInt(terms.chainId)) return no('CHAIN_MISMATCH', `this node is paid on chain ${terms.chainId}`)
  if (message.channels !== terms.channels) return no('CONTRACT_MISMATCH', `this node is paid through contract ${terms.channels}`)
  if (message.payee !== terms.payee) return no('PROOF_NOT_OURS', `the leaf pays ${message.payee}, this node is ${terms.payee}`)
  const least = terms.leastPerGib()
  if (message.pricePerGib < least) return no('PRICE_TOO_LOW', `this node asks ${least} units per GiB`)
  if (message.expiry > BigInt(Number.MAX_SAFE_INTEGER)) return no('ROOT_EXPIRED', 'the expiry is no time')
  const descriptor: Descriptor = { ...pick(message), expiry: Number(message.expiry) }
  if (descriptor.expiry <= nowS + EXPIRY_MARGIN_S) return no('ROOT_EXPIRED', `the root expires at ${descriptor.expiry}, within the margin`)
  if (message.cap < LEAST_CAP_UNITS) return no('CAP_EXCEEDED', `this node serves channels of ${LEAST_CAP_UNITS} units or more`)
  const proof: LeafProof = { index: message.index, cap: message.cap, salt: message.salt, siblings: message.siblings }
  const top = foldProof(message.payee, proof, descriptor.depth)
  if (top === undefined || top.root !== descriptor.root || top.sum !== descriptor.sum) {
    return no('PROOF_INVALID', 'the proof does not lead from this leaf to the root and sum')
  }
  const rootId = rootIdOf(descriptor)
  if (recoverSigner(sessionDigest(exporter, rootId, message.index), message.proof) !== descriptor.signer) {
    return no('SESSION_PROOF_INVALID', 'the session is not signed by the channel’s session key on this connection')
  }
  return { ok: true, channel: { rootId, descriptor, proof } }
}

const pick = ({ payer, signer, root, sum, depth, nonce }: MessageBody<'session'>) => ({ payer, signer, root, sum, depth, nonce })
