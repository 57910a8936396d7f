/**
 * The file in which probers publish what they last found, with what each member of each committee signed. Whoever has it computes every observation
 * again (prober/rewards.ts); a provider that asks for being near reads from it how near it was found to be. Probers that start again read their
 * own: who says two things of one epoch equivocates.
 */
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { jsonText } from '../api/json.ts'
import type { Audited } from '../prober/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { readJsonFileIfThere } from './json-file.ts'

/** An observation and its reports are about two thousand characters: ten thousand operators. */
const MAX_FILE_BYTES = 16 * 1024 * 1024

/** Of the newest epoch; those of the one before stay beside it under their number. */
export const reportsFile = (folder: string): string => join(folder, 'reports.json')

const count = z
  .string()
  .regex(/^\d{1,39}$/)
  .transform(BigInt)
const hex = (bytes: number) =>
  z.custom<Hex>((value) => typeof value === 'string' && new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`, 'i').test(value))
const address = hex(20)
const signed = {
  statement: z.object({ kind: hex(32), stream: hex(32), counter: count, content: hex(32) }),
  signature: hex(64),
}
const said = { member: address, operator: address, epoch: count }
const reportsSchema = z.object({
  epoch: count,
  observations: z.array(
    z.object({
      operator: address,
      region: z.string(),
      link: z.string(),
      claimedMbps: count,
      uptime: count,
      rawMbps: count,
      guaranteedMbps: count,
      latencyMs: count.optional(),
    }),
  ),
  reports: z.array(z.object({ ...said, bytes: count, windowMs: count, latencyMs: count.optional(), ...signed })),
  committees: z.record(z.string(), z.array(address)),
  looks: z.array(z.object({ ...said, asked: count, answered: count, ...signed })),
})

/** The evidence of an epoch; older than the one before it goes. */
export async function writeReports(folder: string, { epoch, observations, evidence, committees, looks }: Audited): Promise<void> {
  const file = (number: bigint) => join(folder, `reports-${number}.json`)
  const text = `${jsonText({ epoch, observations, reports: evidence, committees: Object.fromEntries(committees), looks })}\n`
  await writeFile(file(epoch), text)
  const newest = reportsFile(folder)
  // Replaced in one step: a reader sees the old reports or the new ones.
  await writeFile(`${newest}.new`, text)
  await rename(`${newest}.new`, newest)
  if (epoch > 1n) await rm(file(epoch - 2n), { force: true })
}

/** What was last published; undefined before anything was. Throws ARGUMENT_INVALID when the file is not one of reports. */
export async function readReports(file: string): Promise<Audited | undefined> {
  const parsed = await readJsonFileIfThere(file, { what: 'reports', schema: reportsSchema, mostBytes: MAX_FILE_BYTES })
  if (parsed === undefined) return undefined
  const { epoch, observations, reports, committees, looks } = parsed
  return {
    epoch,
    observations: observations.map((seen) => ({ ...seen, latencyMs: seen.latencyMs })),
    evidence: reports.map((report) => ({ ...report, latencyMs: report.latencyMs })),
    committees: new Map(Object.entries(committees) as [Hex, Hex[]][]),
    looks,
  }
}

/** Milliseconds until this operator's answers begin, as a committee found it; undefined when nobody measured it, and before the first epoch was. */
export async function latencyIn(file: string | undefined, operator: Hex): Promise<bigint | undefined> {
  if (file === undefined) return undefined
  const reports = await readReports(file)
  return reports?.observations.find((seen) => seen.operator.toLowerCase() === operator.toLowerCase())?.latencyMs
}
