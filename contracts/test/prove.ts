/**
 * Proves the arithmetic of claims for every input: solc's model checker turns the assertions of proofs/*.sol into Horn clauses, and z3
 * shows that nothing violates them. Half a minute.
 *
 *     npm run contracts:prove               needs z3; as root on Debian it is installed, otherwise this says so and ends with 0
 *     npm run contracts:prove -- --need     a missing z3 is a failure
 *
 * What is proved is the library the contracts themselves call, src/libraries/Settlement.sol. The same run plants bugs in it and demands
 * that each is refuted: a prover that finds fault with nothing proves nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { CONTRACTS } from '../scripts/forge.ts'
import type { Edit } from './plant.ts'

const PROOF = 'proofs/SettlementProof.sol'
const CONTRACT = 'SettlementProof'
const SETTLEMENT = 'src/libraries/Settlement.sol'
/** The slowest question takes z3 two seconds on an idle core. */
const QUESTION_LIMIT_S = 120

/** Bugs that must be refuted, each a way in which money was lost elsewhere. */
const BUGS: readonly (readonly [name: string, edit: Edit])[] = [
  ['an older voucher wraps around', [SETTLEMENT, 'cumulative > paid ? cumulative - paid : 0', 'cumulative - paid']],
  ['a voucher is paid twice', [SETTLEMENT, 'cumulative > paid ? cumulative - paid : 0', 'cumulative >= paid ? cumulative : 0']],
  ['the parts are not the whole', [SETTLEMENT, 'left = amount - burnt;', 'left = amount - burnt + 1;']],
  ['another whole', [SETTLEMENT, 'burnt = amount * share / WHOLE;', 'burnt = amount * share / 1_000;']],
]

interface Finding {
  errorCode: string
  severity: string
  message: string
  formattedMessage: string
}

const solc = createRequire(import.meta.url)('solc') as {
  compile(
    input: string,
    callbacks: {
      import(path: string): { contents: string } | { error: string }
      smtSolver(question: string): { contents: string }
    },
  ): string
}

/** Spacer's switches are those of the Solidity team for z3. */
const Z3 = ['-smt2', '-in', `-T:${QUESTION_LIMIT_S}`, 'rewriter.pull_cheap_ite=true', 'fp.spacer.q3.use_qgen=true', 'fp.spacer.mbqi=false']

const answer = (question: string): { contents: string } => ({
  contents: spawnSync('z3', [...Z3, 'fp.spacer.ground_pobs=false'], { input: question, encoding: 'utf8', maxBuffer: 2 ** 30 }).stdout,
})

/** Proved and not proved, with one bug planted or none. */
function check(edit?: Edit): { proved: string[]; open: string[] } {
  const read = (path: string): string => {
    const text = readFileSync(resolve(CONTRACTS, path), 'utf8')
    if (path !== edit?.[0]) return text
    if (text.split(edit[1]).length !== 2) throw new Error(`"${edit[1]}" is not exactly once in ${path}`)
    return text.replace(edit[1], () => edit[2])
  }
  const modelChecker = {
    contracts: { [PROOF]: [CONTRACT] },
    engine: 'chc',
    solvers: ['smtlib2'],
    targets: ['assert', 'underflow', 'overflow', 'divByZero'],
    showProvedSafe: true,
    showUnproved: true,
    showUnsupported: true,
  }
  const input = {
    language: 'Solidity',
    sources: { [PROOF]: { content: read(PROOF) } },
    settings: { modelChecker, outputSelection: { '*': { '*': ['abi'] } } },
  }
  const output = solc.compile(JSON.stringify(input), {
    import: (path) => (existsSync(resolve(CONTRACTS, path)) ? { contents: read(path) } : { error: `no ${path}` }),
    smtSolver: answer,
  })
  const findings = (JSON.parse(output) as { errors?: Finding[] }).errors ?? []
  const wrong = findings.find(({ severity }) => severity === 'error')
  if (wrong !== undefined) throw new Error(wrong.formattedMessage)
  const about = findings.filter(({ message }) => message.startsWith('CHC: ') || message.includes('SMTChecker'))
  const proved = about.filter(({ message }) => message.endsWith('check is safe!'))
  return {
    proved: proved.map(({ formattedMessage }) => formattedMessage),
    open: about.filter((finding) => !proved.includes(finding)).map(({ formattedMessage }) => formattedMessage),
  }
}

/** Whether z3 can be run; installs it where that is one command. */
function haveZ3(): boolean {
  const runs = (): boolean => spawnSync('z3', ['--version']).status === 0
  if (runs()) return true
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) return false
  try {
    execFileSync('apt-get', ['install', '-y', 'z3'], { stdio: 'ignore' })
  } catch {
    return false // no network, or another system: the caller says what is missing
  }
  return runs()
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)
if (!haveZ3()) {
  say('skipped: z3 is not installed (Debian: apt-get install z3)')
  process.exit(process.argv.includes('--need') ? 1 : 0)
}
const assertions = readFileSync(join(CONTRACTS, PROOF), 'utf8').split('assert(').length - 1
const unchanged = check()
for (const finding of unchanged.open) say(`NOT PROVED  ${finding}`)
const asserted = unchanged.proved.filter((text) => text.includes('Assertion violation')).length
say(
  `proved: ${asserted} of ${assertions} assertions, and ${unchanged.proved.length - asserted} times no overflow, underflow or division by 0`,
)
let ok = unchanged.open.length === 0 && asserted === assertions
for (const [name, edit] of BUGS) {
  const refuted = check(edit).open.some((text) => text.includes(' happens here'))
  say(`${refuted ? 'refuted' : 'NOT REFUTED'}: ${name}`)
  ok &&= refuted
}
process.exitCode = ok ? 0 : 1
