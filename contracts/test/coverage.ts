/**
 * How much of the contracts that hold value the tests reach: every line and every branch, or this fails and names what is missing.
 *
 *     npm run contracts:coverage
 *
 * forge compiles without optimizer for it and runs every test with few fuzz inputs; two minutes of an idle core. Its analysis does not
 * find libraries beside the folder it works in, so it works in a copy that has them inside.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { CONTRACTS } from '../scripts/forge.ts'
import { forge } from './plant.ts'

const LIMIT_MS = 3_600_000
const REPOSITORY = resolve(CONTRACTS, '..')
const OPENZEPPELIN = 'node_modules/@openzeppelin/contracts'
/** Everything under src/ holds value or decides over it, except a faucet for development networks. */
const LEFT_OUT = new Set(['src/TestDollar.sol'])

/** Lines that nothing can reach, and why they stand. */
const UNREACHABLE: ReadonlyMap<string, string> = new Map(
  ['if (_entries[row.name].known || row.initial < row.min || row.initial > row.max) {', 'revert TableInvalid(row.name);'].map((line) => [
    line,
    'the table is code: this stops the deployment of one with a slip, and a test reads the table that is',
  ]),
)

interface File {
  readonly path: string
  lines: number
  linesHit: number
  branches: number
  branchesHit: number
  readonly missing: string[]
}

function parse(lcov: string): File[] {
  const files: File[] = []
  for (const record of lcov.split('end_of_record')) {
    const path = /^SF:(.*)$/m.exec(record)?.[1]
    if (path === undefined || !path.startsWith('src/') || LEFT_OUT.has(path)) continue
    const file: File = { path, lines: 0, linesHit: 0, branches: 0, branchesHit: 0, missing: [] }
    const text = readFileSync(join(CONTRACTS, path), 'utf8').split('\n')
    const reachable = (line: string | undefined): boolean => !UNREACHABLE.has(text[Number(line) - 1]?.trim() ?? '')
    for (const [, line, hits] of record.matchAll(/^DA:(\d+),(\d+)/gm)) {
      if (hits === '0' && !reachable(line)) continue
      ++file.lines
      if (hits !== '0') ++file.linesHit
      else file.missing.push(`line ${line}`)
    }
    for (const [, line, , , hits] of record.matchAll(/^BRDA:(\d+),(\d+),(\d+),(\d+|-)/gm)) {
      const hit = hits !== '0' && hits !== '-'
      if (!hit && !reachable(line)) continue
      ++file.branches
      if (hit) ++file.branchesHit
      else file.missing.push(`branch at line ${line}`)
    }
    files.push(file)
  }
  return files.sort((a, b) => a.path.localeCompare(b.path))
}

/** A folder in which forge finds everything below it. */
function copyTo(home: string): string {
  const root = join(home, 'contracts')
  for (const part of ['bin', 'interfaces', 'src', 'test']) cpSync(join(CONTRACTS, part), join(root, part), { recursive: true })
  cpSync(join(REPOSITORY, OPENZEPPELIN), join(root, OPENZEPPELIN), { recursive: true })
  cpSync(join(REPOSITORY, 'test', 'vectors'), join(home, 'test', 'vectors'), { recursive: true })
  symlinkSync(join(REPOSITORY, 'node_modules'), join(home, 'node_modules')) // where bin/solc.cjs finds the compiler
  const config = readFileSync(join(CONTRACTS, 'foundry.toml'), 'utf8')
  writeFileSync(join(root, 'foundry.toml'), config.replaceAll('../node_modules', 'node_modules'))
  return root
}

async function report(): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'byway-coverage-'))
  try {
    const root = copyTo(home)
    const env = { FOUNDRY_PROFILE: 'quick', FOUNDRY_FUZZ_RUNS: '64', FOUNDRY_DENY: 'never' }
    const file = join(home, 'lcov.info')
    const { stdout, stderr } = await forge(['coverage', '--root', root, '--report', 'lcov', '--report-file', file], env, LIMIT_MS)
    if (/\[FAIL/.test(stdout)) throw new Error(`tests fail:\n${stdout.slice(-3_000)}`)
    try {
      return readFileSync(file, 'utf8')
    } catch (cause) {
      throw new Error(`forge wrote no report:\n${stdout.slice(-3_000)}\n${stderr.slice(-3_000)}`, { cause })
    }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const files = parse(await report())
say(`${'file'.padEnd(42)}${'lines'.padStart(12)}${'branches'.padStart(12)}`)
for (const { path, lines, linesHit, branches, branchesHit, missing } of files) {
  say(`${path.padEnd(42)}${`${linesHit}/${lines}`.padStart(12)}${`${branchesHit}/${branches}`.padStart(12)}`)
  for (const what of missing) say(`    not reached: ${what}`)
}
for (const [line, why] of UNREACHABLE) say(`left out: ${line}  (${why})`)
const missing = files.reduce((sum, file) => sum + file.missing.length, 0)
say(`\n${files.length} files, ${missing} lines and branches not reached`)
if (missing > 0 || files.length === 0) process.exitCode = 1
