/** What nodes answer, parsed once: only the fields we use, in our types. */
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'

const hex = (pattern: RegExp) =>
  z
    .string()
    .regex(pattern)
    .transform((text) => text.toLowerCase() as Hex)

export const addressSchema = hex(/^0x[0-9a-fA-F]{40}$/)
export const hashSchema = hex(/^0x[0-9a-fA-F]{64}$/)
export const codeSchema = hex(/^0x([0-9a-fA-F]{2})*$/)
export const quantitySchema = z
  .string()
  .regex(/^0x[0-9a-f]{1,64}$/)
  .transform(BigInt)

export const blockSchema = z.object({
  number: quantitySchema,
  timestamp: quantitySchema.transform(Number),
  /** Absent before EIP-1559. */
  baseFeePerGas: quantitySchema.optional(),
})

export const logSchema = z.object({
  address: addressSchema,
  topics: z.array(hashSchema),
  data: codeSchema,
  transactionHash: hashSchema,
})

/** null: the node does not know the transaction, or it is not mined. */
export const receiptSchema = z
  .object({
    transactionHash: hashSchema,
    blockHash: hashSchema,
    blockNumber: quantitySchema,
    status: quantitySchema.transform((status) => status === 1n),
    gasUsed: quantitySchema,
    effectiveGasPrice: quantitySchema,
    logs: z.array(logSchema),
  })
  .nullable()

export type Log = z.output<typeof logSchema>
export type Receipt = NonNullable<z.output<typeof receiptSchema>>
