/**
 * Takes out each guard of the contracts in turn and demands that its test notices. A test that still passes guards nothing.
 *
 *     npm run contracts:guards               all of them, some minutes
 *     npm run contracts:guards -- claimFor   those whose name contains the word
 *
 * First the tests must pass on the unchanged contracts. A mutant that does not compile, and an edit that does not match exactly once,
 * count as failures of this check itself. How bugs are planted: plant.ts.
 */
import { GUARDS, type Guard } from './guards.table.ts'
import { type Field, openField } from './plant.ts'

async function outcome(field: Field, { edits, suite, test }: Guard): Promise<string> {
  const verdict = await field.run({ edits, suites: [suite], tests: `^${test}\\(` })
  if ('problem' in verdict) return `BROKEN: ${verdict.problem}`
  return verdict.failed.includes(test) ? 'killed' : 'SURVIVED'
}

const word = process.argv[2] ?? ''
const chosen = GUARDS.filter(({ name }) => name.includes(word))
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const field = await openField()
try {
  const suites = [...new Set(chosen.map(({ suite }) => suite))]
  await Promise.all(
    suites.map(async (suite) => {
      const verdict = await field.run({ edits: [], suites: [suite], tests: '^test' })
      if ('problem' in verdict) throw new Error(`${suite}: ${verdict.problem}`)
      if (verdict.failed.length > 0) throw new Error(`the unchanged contracts fail ${verdict.failed.join(', ')}`)
      const missing = chosen.find((guard) => guard.suite === suite && !verdict.passed.includes(guard.test))
      if (missing !== undefined) throw new Error(`no test ${missing.test} in ${suite}`)
    }),
  )
  say(`unchanged: ${suites.length} suites pass; ${chosen.length} guards to take out\n`)

  const outcomes = await Promise.all(
    chosen.map(async (guard) => {
      const found = await outcome(field, guard)
      say(`${found.padEnd(8)}  ${guard.name.padEnd(52)}  ${guard.test}`)
      return found
    }),
  )
  const killed = outcomes.filter((found) => found === 'killed').length
  say(`\n${killed} of ${chosen.length} guards are noticed when they are gone`)
  if (killed !== chosen.length) process.exitCode = 1
} finally {
  await field.close()
}
