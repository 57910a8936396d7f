/**
 * Walks every campaign of invariants a million calls far, and counts how often each action worked. A quarter of an hour and more:
 *
 *     npm run contracts:invariants                      all campaigns
 *     npm run contracts:invariants -- --calls 100000    shorter walks
 *     npm run contracts:invariants -- Vault             campaigns whose file name has the word
 *
 * A campaign is a test file that ends with Invariants.t.sol; its rules are the texts of its assertions. `forge test` walks the same
 * campaigns a few thousand calls far. Here each action must work in a fifth of its calls, over all walks together: a handler that mostly
 * fails walks nowhere. Exit code 0 only if all rules held and every share is reached.
 */
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { CONTRACTS } from '../scripts/forge.ts'
import { forge } from './plant.ts'

/** Calls in one walk: long enough for epochs to turn and stakes to thaw. */
const DEPTH = 128
/** Of the tries of an action, in percent. */
const LEAST_SHARE = 20
const LEAST_RULES = 10
/** Tries to make a failing walk shorter: forge's own 5,000 look for many minutes as if it hung. */
const SHRINKS = '200'
const LIMIT_MS = 4 * 3_600_000

interface Action {
  name: string
  tried: number
  worked: number
}

const { values, positionals } = parseArgs({ options: { calls: { type: 'string', default: '1000000' } }, allowPositionals: true })
const runs = Math.ceil(Number(values.calls) / DEPTH)
const word = positionals[0] ?? ''
const files = globSync('test/**/*Invariants.t.sol', { cwd: CONTRACTS }).filter((file) => file.includes(word))
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const folder = join(CONTRACTS, 'cache', 'tally')

const rulesOf = (text: string): string[] => [
  ...new Set([...text.matchAll(/vm\.assert\w+\((?:[^;]*?)"([^"]+)"\s*\)/g)].map(([, rule]) => rule!)),
]

/** What the walks of one campaign wrote: a line each, tries and successes of every action in turn. */
function tally(file: string, names: readonly string[]): Action[] {
  const actions = names.map((name) => ({ name, tried: 0, worked: 0 }))
  for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
    const numbers = line.trim().split(' ').map(Number)
    for (const [i, action] of actions.entries()) {
      action.tried += numbers[2 * i]!
      action.worked += numbers[2 * i + 1]!
    }
  }
  return actions
}

async function campaign(file: string): Promise<{ ok: boolean; rules: string[] }> {
  const text = readFileSync(join(CONTRACTS, file), 'utf8')
  const rules = rulesOf(text)
  const names = [...text.matchAll(/handler\.(\w+)\.selector/g)].map(([, name]) => name!)
  const lines = join('cache', 'tally', `${basename(file, '.t.sol')}.txt`)
  rmSync(join(CONTRACTS, lines), { force: true })
  const env = {
    FOUNDRY_PROFILE: 'campaign',
    FOUNDRY_DENY: 'never',
    FOUNDRY_INVARIANT_RUNS: String(runs),
    FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT: SHRINKS,
    BYWAY_TALLY: lines,
  }
  const { stdout, stderr } = await forge(['test', '--match-path', file, '--match-test', '^invariant_'], env, LIMIT_MS)
  const passed = / 0 failed/.test(stdout) && /\[PASS\]/.test(stdout)
  if (!passed) {
    say(`FAIL  ${file}\n${stdout.slice(-6_000)}\n${stderr.slice(-2_000)}`)
    return { ok: false, rules }
  }
  const actions = tally(join(CONTRACTS, lines), names)
  const calls = actions.reduce((sum, { tried }) => sum + tried, 0)
  say(`\nok    ${file}: ${calls} calls in ${runs} walks`)
  for (const rule of rules) say(`        ${rule}`)
  let ok = actions.length > 0
  for (const { name, tried, worked } of actions) {
    const share = tried === 0 ? 0 : (100 * worked) / tried
    if (share < LEAST_SHARE) ok = false
    say(
      `      ${name.padEnd(16)}${String(tried).padStart(9)} tries ${share.toFixed(1).padStart(6)} % worked${share < LEAST_SHARE ? '  TOO FEW' : ''}`,
    )
  }
  return { ok, rules }
}

mkdirSync(folder, { recursive: true })
const built = await forge(['build'], { FOUNDRY_DENY: 'never' }, LIMIT_MS)
if (/^Error/m.test(built.stderr)) throw new Error(built.stderr.slice(0, 4_000))
const queue = [...files]
const results: { ok: boolean; rules: string[] }[] = []
const walker = async (): Promise<void> => {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) results.push(await campaign(file))
}
await Promise.all(Array.from({ length: availableParallelism() }, walker))
const rules = new Set(results.flatMap((result) => result.rules))
const good = results.filter(({ ok }) => ok).length
say(`\n${good} of ${files.length} campaigns hold, ${rules.size} rules, at least ${runs * DEPTH} calls each`)
if (good !== files.length || files.length === 0 || (word === '' && rules.size < LEAST_RULES)) process.exitCode = 1
