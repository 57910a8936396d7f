/**
 * The file in which probers publish what each operator was ever awarded: the leaves of the final epoch roots. It is believed only as far as its
 * tree is the root on chain.
 */
import { z } from 'zod'
import type { BudgetKind, RewardLeaf } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { readJsonFileIfThere, writeJsonFile } from './json-file.ts'

/** A leaf is about a hundred characters: a hundred thousand operators. */
const MAX_FILE_BYTES = 16 * 1024 * 1024

const leafSchema = z.strictObject({
  operator: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/)
    .transform((text) => text.toLowerCase() as Hex),
  cumulative: z
    .string()
    .regex(/^\d{1,39}$/)
    .transform(BigInt),
})
/** Leaves of each of the two roots; what is left out is not known. */
const leavesSchema = z.object({ capacity: z.array(leafSchema).optional(), bootstrap: z.array(leafSchema).optional() })
export type Leaves = { readonly [K in BudgetKind]?: readonly RewardLeaf[] | undefined }

/** Leaves of a file that may not be there yet: before the first root is final there is nothing to publish. */
export async function leavesIn(file: string | undefined): Promise<Leaves> {
  if (file === undefined) return {}
  return (await readJsonFileIfThere(file, { what: 'leaves', schema: leavesSchema, mostBytes: MAX_FILE_BYTES })) ?? {}
}

export const writeLeaves = (file: string, leaves: Leaves): Promise<void> => writeJsonFile(file, leaves)
