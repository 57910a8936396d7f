/**
 * Room headers: every folder says what it is for, the rule it keeps, and where to start reading, so that nobody has to ask.
 *
 * The header is the opening comment of one of the folder's files (its index or main file) or the opening of its README.md.
 */
import { posix } from 'node:path'
import { headerOf } from './files.ts'

const TOP = ['contracts', 'test', 'bench', 'scripts', 'docs']
/** Two sentences; less says nothing. */
const LEAST_CHARACTERS = 120

export function checkHeaders(files: ReadonlyMap<string, string>): string[] {
  const folders = new Set(TOP)
  for (const path of files.keys()) if (path.startsWith('src/') && path.split('/').length > 2) folders.add(posix.dirname(path))
  return [...folders].sort().flatMap((folder) => {
    // The contracts keep their code one level down; their header may be there.
    const inside = [...files].filter(([path]) => (folder === 'contracts' ? path.startsWith('contracts/') : posix.dirname(path) === folder))
    if (inside.some(([path, text]) => isRoomHeader(headerOf(path, text)))) return []
    return [`${folder}: no file opens with a header that says what the folder is for, the rule it keeps, and "Start reading ..."`]
  })
}

function isRoomHeader(header: string): boolean {
  return header.length >= LEAST_CHARACTERS && /\brules?\b/i.test(header) && /\bstart reading\b/i.test(header)
}
