/**
 * Plants the bug of each known attack and demands that the attack's own test, and no other attack's, notices. Some minutes:
 *
 *     npm run attack-table              all of them; exit code 0 only if every one is caught by its own test
 *     npm run attack-table -- 8 17      those numbers
 *
 * First the tests must pass on the contracts as they are. A bug that cannot be planted is a failure of this check itself.
 */
import { ATTACKS, type Attack } from './attacks.table.ts'
import { type Field, openField } from './plant.ts'

const ALL = '^test(Fuzz)?_C[0-9]+_'

/** The number of the attack a test is there for. */
const numberOf = (test: string): number => Number(/_C(\d+)_/.exec(test)?.[1])

async function outcome(field: Field, { number, suite, test, bug }: Attack): Promise<string> {
  const verdict = await field.run({ edits: bug, suites: [suite], tests: ALL })
  if ('problem' in verdict) return `BROKEN: ${verdict.problem}`
  if (!verdict.failed.includes(test)) return `SURVIVED ${test}`
  const others = verdict.failed.filter((name) => numberOf(name) !== number)
  return others.length === 0 ? 'caught' : `NOT ALONE: ${[...new Set(others)].join(', ')}`
}

const wanted = process.argv.slice(2).map(Number)
const chosen = ATTACKS.filter(({ number }) => wanted.length === 0 || wanted.includes(number))
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const field = await openField()
try {
  const suites = [...new Set(chosen.map(({ suite }) => suite))]
  const unchanged = suites.map(async (suite) => {
    const verdict = await field.run({ edits: [], suites: [suite], tests: ALL })
    if ('problem' in verdict) throw new Error(`${suite}: ${verdict.problem}`)
    if (verdict.failed.length > 0) throw new Error(`the unchanged contracts fail ${verdict.failed.join(', ')}`)
    const missing = chosen.find((attack) => attack.suite === suite && !verdict.passed.includes(attack.test))
    if (missing !== undefined) throw new Error(`no test ${missing.test} in ${suite}`)
    say(`unchanged: ${verdict.passed.length} tests against attacks pass in ${suite}`)
  })
  await Promise.all(unchanged)

  const outcomes = await Promise.all(
    chosen.map(async (attack) => {
      const found = await outcome(field, attack)
      say(`${`C${attack.number}`.padEnd(3)} ${found}  ${attack.title}`)
      return found
    }),
  )
  const caught = outcomes.filter((found) => found === 'caught').length
  say(`\n${caught} of ${chosen.length} attacks are caught by their own test`)
  if (caught !== chosen.length) process.exitCode = 1
} finally {
  await field.close()
}
