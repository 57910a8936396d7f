/**
 * The file in which probers publish what they last found, with what each member of each committee signed. Whoever has it computes every observation
 * again (prober/rewards.ts); a provider that asks for being near reads from it how near it was found to be.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { jsonText } from '../api/json.ts'
import type { Audited } from '../prober/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'

/** An observation and its reports are about two thousand characters: ten thousand operators. */
const MAX_FILE_CHARACTERS = 16 * 1024 * 1024

/** Of the newest epoch; those of the one before stay beside it under their number. */
export const reportsFile = (folder: string): string => join(folder, 'reports.json')

const reportsSchema = z.object({
  observations: z.array(
    z.object({
      operator: z.string().transform((text) => text.toLowerCase()),
      latencyMs: z
        .string()
        .regex(/^\d{1,9}$/)
        .transform(BigInt)
        .optional(),
    }),
  ),
})

/** The evidence of an epoch; older than the one before it goes. */
export async function writeReports(folder: string, { epoch, observations, evidence, looks }: Audited): Promise<void> {
  const file = (number: bigint) => join(folder, `reports-${number}.json`)
  const text = `${jsonText({ epoch, observations, reports: evidence, looks })}\n`
  await writeFile(file(epoch), text)
  const newest = reportsFile(folder)
  // Replaced in one step: a reader sees the old reports or the new ones.
  await writeFile(`${newest}.new`, text)
  await rename(`${newest}.new`, newest)
  if (epoch > 1n) await rm(file(epoch - 2n), { force: true })
}

/**
 * Milliseconds until this operator's answers begin, as a committee found it; undefined when nobody measured it, and before the first epoch was.
 * Throws ARGUMENT_INVALID when the file is not one of reports.
 */
export async function latencyIn(file: string | undefined, operator: Hex): Promise<bigint | undefined> {
  if (file === undefined) return undefined
  let json: unknown
  try {
    const text = await readFile(file, 'utf8')
    if (text.length > MAX_FILE_CHARACTERS) throw new Error('the file is too large')
    json = JSON.parse(text)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new BywayError('ARGUMENT_INVALID', `cannot read ${file} as JSON`, { cause })
  }
  const parsed = reportsSchema.safeParse(json)
  if (parsed.success) return parsed.data.observations.find((seen) => seen.operator === operator.toLowerCase())?.latencyMs
  const [issue] = parsed.error.issues
  throw new BywayError('ARGUMENT_INVALID', `the reports are malformed at ${issue!.path.join('.')}: ${issue!.message}`)
}
