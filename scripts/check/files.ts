/** The files of the house, by path relative to the root, as the rules read them. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Installed, generated, or recorded: not written by us, so no rule of ours applies. */
const SKIPPED = new Set(['node_modules', '.git', 'contracts/out', 'contracts/cache', 'test/vectors'])
const WRITTEN = /\.(ts|tsx|js|cjs|mjs|sol|md)$/

export async function readTree(root: string, folder = ''): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (SKIPPED.has(path) || entry.name === 'node_modules') continue
    if (entry.isDirectory()) for (const [inner, text] of await readTree(root, path)) files.set(inner, text)
    else if (WRITTEN.test(entry.name)) files.set(path, await readFile(join(root, path), 'utf8'))
  }
  return files
}

/** The comment or page opening a reader sees first: what comes before any code, license and pragma lines aside. */
export function headerOf(path: string, text: string): string {
  if (path.endsWith('.md')) return text.split('\n').slice(0, 30).join('\n')
  const start = text.replace(/^(#!.*\n|\s+|\/\/ SPDX.*\n|pragma .*\n)+/, '')
  return /^\/\*\*?([\s\S]*?)\*\//.exec(start)?.[1] ?? /^(?:\/\/.*\n)+/.exec(start)?.[0] ?? ''
}

/** Written by a program, and it says so in its first line. */
export const isGenerated = (text: string): boolean => /generated/i.test(text.split('\n', 3).join('\n'))
