/**
 * The file in which probers publish what they last found, with what each member of each committee signed. Whoever has it computes every observation
 * again (prober/rewards.ts); a provider that asks for being near reads from it how near it was found to be. Probers that start again read their
 * own: who says two things of one epoch equivocates.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Audited } from '../prober/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { hexText, readJsonFileIfThere, writeJsonFile } from './json-file.ts'

/** An observation and its reports are about two thousand characters: ten thousand operators. */
const MAX_FILE_BYTES = 16 * 1024 * 1024

/** Of the newest epoch; those of the one before stay beside it under their number. */
export const reportsFile = (folder: string): string => join(folder, 'reports.json')

const count = z
  .string()
  .regex(/^\d{1,39}$/)
  .transform(BigInt)
const [address, word] = [hexText(20), hexText(32)]
const signed = {
  statement: z.object({ kind: word, stream: word, counter: count, content: word }),
  signature: hexText(64),
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
  const reports = { epoch, observations, reports: evidence, committees: Object.fromEntries(committees), looks }
  await writeJsonFile(file(epoch), reports)
  await writeJsonFile(reportsFile(folder), reports)
  if (epoch > 1n) await rm(file(epoch - 2n), { force: true })
}

/** What was last published; undefined before anything was. Throws ARGUMENT_INVALID when the file is not one of reports. */
export async function readReports(file: string): Promise<Audited | undefined> {
  const parsed = await readJsonFileIfThere(file, { what: 'reports', schema: reportsSchema, mostBytes: MAX_FILE_BYTES })
  if (parsed === undefined) return undefined
  const { epoch, observations, reports, committees, looks } = parsed
  return {
    epoch,
    // A latency that was not known has no key in JSON.
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
