/** JSON files that people and programs name to a command: read whole, of a bounded size, and parsed by a schema; written in one step. */
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { jsonText } from '../api/json.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'

export interface JsonFile<T> {
  /** What it holds, for errors: `terms`. */
  readonly what: string
  readonly schema: z.ZodType<T>
  readonly mostBytes: number
}

/** Throws ARGUMENT_INVALID when the file cannot be read, is too large, or is not what it should be; the message says where. */
export async function readJsonFile<T>(path: string, { what, schema, mostBytes }: JsonFile<T>): Promise<T> {
  let json: unknown
  try {
    if ((await stat(path)).size > mostBytes) throw new Error(`the file is larger than ${mostBytes} bytes`)
    json = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new BywayError('ARGUMENT_INVALID', `cannot read ${path} as JSON`, { cause, hint: `name a file that holds ${what}` })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new BywayError('ARGUMENT_INVALID', `the file of ${what} is malformed at ${issue!.path.join('.')}: ${issue!.message}`, {
    hint: 'get it again from whoever made it; another version may have written it',
  })
}

/** Of a file that may not be there yet: then undefined. */
export async function readJsonFileIfThere<T>(path: string, file: JsonFile<T>): Promise<T | undefined> {
  try {
    return await readJsonFile(path, file)
  } catch (error) {
    const cause = error instanceof BywayError ? error.cause : undefined
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw error
  }
}

/** Replaced in one step: a reader sees the old content or the new one. */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.new`, `${jsonText(value)}\n`)
  await rename(`${path}.new`, path)
}

/** So many bytes as `0x` and hexadecimal digits in lower case, as Byway writes them. */
export function hexText(bytes: number): z.ZodType<Hex, unknown> {
  const digits = new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`)
  return z.custom<Hex>(
    (value) => typeof value === 'string' && digits.test(value),
    `not 0x and ${2 * bytes} hexadecimal digits in lower case`,
  )
}
