/**
 * `npm run test:differential -- --sequences 100000`: random sequences of operations on the contracts themselves and on src/economy, which must
 * end with equal balances. The sequences are dealt out evenly over the suites; prints what was compared and how often operations succeeded.
 *
 * Exits 1 when anything differs, or when a planted difference is not noticed.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CONTRACTS, forgeEnv, forgePath } from '../../contracts/scripts/forge.ts'
import { SUITES, type Tally, type Vector, vectorOf } from './suites.ts'

const { values } = parseArgs({ options: { sequences: { type: 'string', default: '100000' }, first: { type: 'string', default: '0' } } })
const [sequences, begin] = [Number(values.sequences), Number(values.first)]
if (!Number.isSafeInteger(sequences) || sequences < 1 || !Number.isSafeInteger(begin) || begin < 0) {
  console.error('--sequences is a whole number above 0, --first one from 0 on')
  process.exit(2)
}

/** forge may read here (contracts/foundry.toml), and git looks away. */
const folder = join(CONTRACTS, 'cache', 'sequences')
/** A quarter of a minute a suite: one forge run keeps all of its changes in memory. */
const CHUNK = 500
const suites = Object.entries(SUITES)
const each = Math.ceil(sequences / suites.length)

/** Whether the contracts come to these numbers; what forge said when not. */
function replay(vectors: Record<string, Vector>): string | undefined {
  writeFileSync(join(folder, 'chunk.json'), JSON.stringify(vectors))
  const env = { ...forgeEnv(), NO_COLOR: '1', BYWAY_SEQUENCES: 'cache/sequences/chunk.json' }
  const { stdout, stderr } = spawnSync(forgePath(), ['test', '--match-contract', 'DifferentialTest'], {
    cwd: CONTRACTS,
    env,
    encoding: 'utf8',
  })
  // By what it printed, not by its status: a suite that was not found would fail nothing.
  return stdout.includes(`${suites.length} tests passed, 0 failed`) ? undefined : `${stdout}\n${stderr}`
}

mkdirSync(folder, { recursive: true })
const tallies = new Map(suites.map(([name]) => [name, { done: [], refused: [] } satisfies Tally]))
let differences = 0
const startedMs = performance.now()
const minutes = () => `${((performance.now() - startedMs) / 60_000).toFixed(1)} min`
try {
  let last: Record<string, Vector> = {}
  for (let first = 0; first < each; first += CHUNK) {
    const count = Math.min(CHUNK, each - first)
    last = Object.fromEntries(suites.map(([name, suite]) => [name, vectorOf(suite, begin + first, count, tallies.get(name))]))
    const said = replay(last)
    if (said !== undefined) {
      differences++
      console.log(said)
    }
    console.log(`${Math.min(each, first + CHUNK) * suites.length} sequences ${said === undefined ? 'equal' : 'NOT equal'}, ${minutes()}`)
  }
  const planted = Object.fromEntries(Object.entries(last).map(([name, vector]) => [name, { ...vector, sequences: 1 }]))
  const noticed = Number(/(\d+) failed/.exec(replay(planted)?.split('tests passed').at(-1) ?? '')?.[1] ?? 0)
  // Of one sequence only the digest is another, unless the chunk had only one.
  const wanted = Object.values(last).some(({ sequences: had }) => had > 1) ? suites.length : 0
  console.log(`planted differences noticed: ${noticed} of ${wanted}`)
  if (noticed < wanted) differences++
} finally {
  rmSync(folder, { recursive: true, force: true })
}

console.log('\n| suite | contracts | sequences | operations | done, by kind |')
console.log('| --- | --- | ---: | ---: | --- |')
for (const [name, { contract, operations }] of suites) {
  const { done, refused }: Tally = tallies.get(name)!
  const parts = done.map((count, kind) => `${Math.round((100 * count) / (count + (refused[kind] ?? 0)))} %`)
  console.log(`| ${name} | ${contract} | ${each} | ${each * operations} | ${parts.join(' ') || 'always'} |`)
}
console.log(differences === 0 ? `\nequal in all of ${each * suites.length} sequences` : `\n${differences} runs differ`)
process.exitCode = differences === 0 ? 0 : 1
