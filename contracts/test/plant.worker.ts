/** One worker of plant.ts: compiles suites with a bug in them, and lets forge run what came out. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join, resolve } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { CONTRACTS } from '../scripts/forge.ts'
import { forge, placeOf, QUICK, type Trial, type Verdict } from './plant.ts'

/** Most suites take a second; one that hangs forge must not hang the run. */
const RUN_TIMEOUT_MS = 300_000

interface Compiled {
  errors?: { severity: string; formattedMessage: string }[]
  contracts?: Record<string, Record<string, { evm: { bytecode: { object: string } } }>>
}

const { home } = workerData as { home: string }
const solc = createRequire(import.meta.url)('solc') as {
  compile(input: string, callbacks: { import(path: string): { contents: string } | { error: string } }): string
}
const settings = JSON.parse(readFileSync(join(home, 'out', 'Channels.sol', 'Channels.json'), 'utf8')).metadata.settings as {
  evmVersion: string
  remappings: string[]
}

const read = (path: string): string => readFileSync(resolve(CONTRACTS, path), 'utf8')

/** The files of a bug with the bug in them, or what is wrong with it. */
function plant(edits: Trial['edits']): Map<string, string> | string {
  const texts = new Map<string, string>()
  for (const [file, from, to] of edits) {
    const text = texts.get(file) ?? read(file)
    if (text.split(from).length !== 2) return `"${from}" is not exactly once in ${file}`
    texts.set(
      file,
      text.replace(from, () => to),
    )
  }
  return texts
}

function compile(suites: readonly string[], texts: ReadonlyMap<string, string>): Compiled {
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(suites.map((suite) => [suite, { content: texts.get(suite) ?? read(suite) }])),
    settings: {
      evmVersion: settings.evmVersion,
      remappings: settings.remappings,
      metadata: { bytecodeHash: 'none' },
      outputSelection: Object.fromEntries(suites.map((suite) => [suite, { '*': ['evm.bytecode.object'] }])),
    },
  }
  return JSON.parse(
    solc.compile(JSON.stringify(input), {
      import: (path) => {
        const text = texts.get(path)
        if (text !== undefined) return { contents: text }
        return existsSync(resolve(CONTRACTS, path)) ? { contents: read(path) } : { error: `no ${path}` }
      },
    }),
  ) as Compiled
}

async function verdictOf({ edits, suites, tests, failFast = false }: Trial): Promise<Verdict> {
  const texts = plant(edits)
  if (typeof texts === 'string') return { problem: texts }
  const compiled = compile(suites, texts)
  const error = compiled.errors?.find(({ severity }) => severity === 'error')
  if (error !== undefined) return { problem: `does not compile: ${error.formattedMessage}` }

  const originals = new Map<string, string>()
  try {
    for (const suite of suites) {
      for (const [name, { evm }] of Object.entries(compiled.contracts?.[suite] ?? {})) {
        const file = join(home, 'out', basename(suite), `${name}.json`)
        if (!existsSync(file) || evm.bytecode.object === '') continue
        const text = readFileSync(file, 'utf8')
        originals.set(file, text)
        const artifact = JSON.parse(text) as { bytecode: { object: string } }
        artifact.bytecode.object = `0x${evm.bytecode.object}`
        writeFileSync(file, JSON.stringify(artifact))
      }
    }
    return await ask(suites, tests, failFast)
  } finally {
    for (const [file, text] of originals) writeFileSync(file, text)
  }
}

async function ask(suites: readonly string[], tests: string, failFast: boolean): Promise<Verdict> {
  const path = suites.length === 1 ? suites[0]! : `{${suites.join(',')}}`
  const env = { ...QUICK, ...placeOf(home) }
  const args = ['test', '--json', '--match-path', path, '--match-test', tests]
  const { stdout, stderr } = await forge([...args, ...(failFast ? ['--fail-fast'] : [])], env, RUN_TIMEOUT_MS)
  const line = stdout.split('\n').find((text) => text.startsWith('{"test/'))
  if (line === undefined) return { problem: `forge gave no verdict: ${`${stdout}\n${stderr}`.trim().slice(0, 2_000)}` }
  const failed: string[] = []
  const passed: string[] = []
  for (const suite of Object.values(JSON.parse(line) as Record<string, { test_results: Record<string, { status: string }> }>)) {
    for (const [signature, { status }] of Object.entries(suite.test_results)) {
      const list = status === 'Success' ? passed : failed
      list.push(signature.replace(/\(.*$/, ''))
    }
  }
  return { failed, passed }
}

// One at a time: the artifacts are one copy.
parentPort?.on('message', (trial: Trial) => void verdictOf(trial).then((verdict) => parentPort?.postMessage(verdict)))
