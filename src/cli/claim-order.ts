/** Claim orders as files: a batch of vouchers and the fee its payee signed for whoever submits it. */
import { z } from 'zod'
import { jsonText } from '../api/json.ts'
import type { ClaimBatch, FeeOrder } from '../chain/index.ts'
import { systemClock } from '../protocol/clock.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Claims } from '../provider/index.ts'
import type { Node } from './node.ts'

/** An order is good for a day: vouchers move on, and a submitter looks at it within minutes. */
const ORDER_LIFE_S = 86_400
/** Anyone may submit. */
const ANYONE = `0x${'00'.repeat(20)}` as const
/** A batch of 100 first claims with proofs of 20 levels is about 400 KiB; a file with several stays far below. */
const MAX_FILE_CHARACTERS = 16 * 1024 * 1024

export interface ClaimOrder {
  order: FeeOrder
  batch: ClaimBatch
}

/** Signs orders for everything that can be claimed. CLAIM_NOTHING, or CLAIM_FEE_TOO_HIGH when the fee would eat it. */
export async function claimOrder(node: Node, claims: Claims, fee: bigint): Promise<ClaimOrder[]> {
  const batches = await claims.collect()
  if (batches.length === 0) throw new BywayError('CLAIM_NOTHING', 'there is no voucher the contract has not paid')
  const deadline = Math.floor(systemClock.nowMs() / 1000) + ORDER_LIFE_S
  return batches.map((batch) => {
    if (fee >= batch.owed) {
      throw new BywayError('CLAIM_FEE_TOO_HIGH', 'the fee would take all that is claimed', { facts: { fee, owed: batch.owed } })
    }
    return { batch, order: node.client.signFeeOrder(batch, { fee, submitter: ANYONE, deadline }, node.wallet) }
  })
}

const hex = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`))
    .transform((text) => text as `0x${string}`)
const units = z
  .string()
  .regex(/^\d{1,39}$/)
  .transform(BigInt)
const index = z.int().min(0).max(0xffffffff)
const descriptor = z.strictObject({
  payer: hex(20),
  signer: hex(20),
  root: hex(32),
  sum: units,
  expiry: z.int().min(0),
  depth: z.int().min(0).max(32),
  nonce: units,
})
const siblings = z.array(z.strictObject({ hash: hex(32), sum: units })).max(32)
const activation = z.strictObject({ descriptor, index, cap: units, salt: hex(32), siblings })
const voucher = z.strictObject({ rootId: hex(32), index, payee: hex(20), cumulative: units, signature: hex(64) })
const orderFile = z
  .array(
    z.strictObject({
      order: z.strictObject({ payee: hex(20), signature: hex(64), fee: units, submitter: hex(20), deadline: z.int().min(0) }),
      batch: z.strictObject({ activations: z.array(activation).max(100), vouchers: z.array(voucher).min(1).max(100), owed: units }),
    }),
  )
  .min(1)

export function orderText(orders: readonly ClaimOrder[]): string {
  return `${jsonText(orders)}\n`
}

/** Reads a file of orders. ARGUMENT_INVALID says what is wrong with it. */
export function readOrder(text: string): ClaimOrder[] {
  if (text.length > MAX_FILE_CHARACTERS) throw new BywayError('ARGUMENT_INVALID', 'the claim order is too large')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new BywayError('ARGUMENT_INVALID', 'the claim order is not JSON', { cause })
  }
  const parsed = orderFile.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new BywayError('ARGUMENT_INVALID', `the claim order is malformed at ${issue!.path.join('.')}: ${issue!.message}`)
}
