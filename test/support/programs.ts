/** Programs of others that a test drives: where they are, and what is said when they are not there. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Debian keeps what administrators run where only root looks. */
export const PATH = [process.env.PATH ?? '', '/usr/sbin', '/sbin'].join(delimiter)

export function find(program: string): string | undefined {
  return PATH.split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false // not there, or not for us: the next folder
      }
    })
}

/** Says which of them are missing, as the reason to skip a test; false when none is. */
export function lacks(...programs: readonly string[]): string | false {
  const missing = programs.filter((program) => find(program) === undefined)
  return missing.length > 0 && `not installed: ${missing.join(', ')}`
}
