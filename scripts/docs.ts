/**
 * Writes the tables of docs/ that repeat a table of the code. Run it after adding an error, a setting, a counter or a warning:
 * `npx node scripts/docs.ts`. A new error then waits in docs/errors.md for its two sentences.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withTables } from './check/tables.ts'

const docs = join(import.meta.dirname, '..', 'docs')
for (const name of globSync('*.md', { cwd: docs })) {
  const path = join(docs, name)
  const before = readFileSync(path, 'utf8')
  const after = withTables(before)
  if (after === before) continue
  writeFileSync(path, after)
  console.log(`docs/${name}: tables written`)
}
