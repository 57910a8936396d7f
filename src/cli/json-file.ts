/** JSON files that people and programs name to a command: read whole, of a bounded size, and parsed by a schema. */
import { readFile, stat } from 'node:fs/promises'
import type { z } from 'zod'
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
    throw new BywayError('ARGUMENT_INVALID', `cannot read ${path} as JSON`, { cause })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new BywayError('ARGUMENT_INVALID', `the file of ${what} is malformed at ${issue!.path.join('.')}: ${issue!.message}`)
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
