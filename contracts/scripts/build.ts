/**
 * Compiles the contracts with npm's solc (no forge, no network) and writes src/chain/abi.ts.
 *
 *     node contracts/scripts/build.ts            write the file
 *     node contracts/scripts/build.ts --check    exit 1 if the file is not what the sources say
 *
 * The settings are those of foundry.toml, so the bytecode is the one that forge tests. The output depends on the sources and the
 * compiler alone: same input, same bytes.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const CONTRACTS = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const REPOSITORY = resolve(CONTRACTS, '..')
const OUTPUT = join(REPOSITORY, 'src/chain/abi.ts')

/** What is exported: name in abi.ts -> contract. */
const EXPORTS = [
  { name: 'channels', source: 'src/Channels.sol', contract: 'Channels' },
  { name: 'dollar', source: 'src/TestDollar.sol', contract: 'TestDollar' },
  { name: 'registry', source: 'src/registry/Registry.sol', contract: 'Registry' },
  { name: 'committee', source: 'src/registry/Committee.sol', contract: 'Committee' },
  { name: 'audits', source: 'src/rewards/Audits.sol', contract: 'Audits' },
  { name: 'epochRoots', source: 'src/rewards/EpochRoots.sol', contract: 'EpochRoots' },
  { name: 'regionMultipliers', source: 'src/rewards/RegionMultipliers.sol', contract: 'RegionMultipliers' },
  { name: 'regionVault', source: 'src/vaults/RegionVault.sol', contract: 'RegionVault' },
  { name: 'capacityMarket', source: 'src/capacity/CapacityMarket.sol', contract: 'CapacityMarket' },
  { name: 'serviceAgreements', source: 'src/agreements/ServiceAgreements.sol', contract: 'ServiceAgreements' },
  { name: 'parameters', source: 'src/governance/Parameters.sol', contract: 'Parameters' },
  { name: 'way', source: 'src/token/Way.sol', contract: 'Way' },
  { name: 'emissions', source: 'src/token/Emissions.sol', contract: 'Emissions' },
  { name: 'burnAuction', source: 'src/burn/BurnAuction.sol', contract: 'BurnAuction' },
  { name: 'deployer', source: 'src/Deployer.sol', contract: 'Deployer' },
  { name: 'usageMint', source: 'src/burn/UsageMint.sol', contract: 'UsageMint' },
  { name: 'subscription', source: 'src/payments/Subscription.sol', contract: 'Subscription' },
  { name: 'governance', source: 'src/governance/Governance.sol', contract: 'Governance' },
  { name: 'timelock', source: 'src/governance/Timelock.sol', contract: 'Timelock' },
] as const

/** Keep in step with foundry.toml. */
const SETTINGS = {
  evmVersion: 'osaka',
  optimizer: { enabled: true, runs: 200 },
  metadata: { bytecodeHash: 'none' },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
}

/** The note solc adds to any use of transient storage. OpenZeppelin's guard clears its slot, which the note itself calls safe. */
const TRANSIENT_STORAGE = '2394'
/** Names that will be keywords one day: OpenZeppelin has functions called `at`. Ours are held to it by forge. */
const FUTURE_KEYWORD = '6335'

interface Solc {
  version(): string
  compile(input: string, callbacks: { import: (path: string) => { contents: string } | { error: string } }): string
}

interface Output {
  errors?: { severity: string; errorCode: string; formattedMessage: string }[]
  contracts: Record<string, Record<string, { abi: unknown[]; evm: { bytecode: { object: string } } }>>
}

const require = createRequire(import.meta.url)
const solc = require('solc') as Solc

/** Our own sources, sorted by path, named relative to contracts/. */
function ownSources(): Map<string, string> {
  const files = ['src', 'interfaces'].flatMap((folder) =>
    readdirSync(join(CONTRACTS, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.sol'))
      .map((entry) => relative(CONTRACTS, join(entry.parentPath, entry.name))),
  )
  return new Map(files.sort().map((file) => [file, readFileSync(join(CONTRACTS, file), 'utf8')]))
}

function compile(sources: Map<string, string>): Output {
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries([...sources].map(([path, content]) => [path, { content }])),
    settings: SETTINGS,
  }
  const fromPackages = (path: string) => {
    const file = join(REPOSITORY, 'node_modules', path)
    return existsSync(file) ? { contents: readFileSync(file, 'utf8') } : { error: `File not found: ${path}` }
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: fromPackages })) as Output
  // A warning is an error, as it is for forge.
  const problems = (output.errors ?? []).filter(
    (problem) => problem.severity !== 'info' && ![TRANSIENT_STORAGE, FUTURE_KEYWORD].includes(problem.errorCode),
  )
  if (problems.length > 0) throw new Error(problems.map((problem) => problem.formattedMessage).join('\n'))
  return output
}

/** A JSON value as TypeScript source on one line: bare keys, single quotes. `internalType` is dropped: no client reads it. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value === 'string') return `'${value}'`
  if (typeof value !== 'object' || value === null) return String(value)
  return `{ ${Object.entries(value)
    .filter(([key]) => key !== 'internalType')
    .map(([key, item]) => `${key}: ${literal(item)}`)
    .join(', ')} }`
}

/** Over all that the output depends on, but for this script. */
function hashOf(sources: Map<string, string>): string {
  const hash = createHash('sha256').update(`${solc.version()}\n${JSON.stringify(SETTINGS)}\n`)
  for (const [path, content] of sources) hash.update(`${path}\n${content}\n`)
  return hash.digest('hex')
}

function generate(sources: Map<string, string>): string {
  const output = compile(sources)
  const parts = [
    '/**',
    ' * Generated by contracts/scripts/build.ts from contracts/src and contracts/interfaces. Do not edit: run the script again.',
    ` * Compiler: solc ${solc.version()}, ${SETTINGS.evmVersion}, optimizer ${SETTINGS.optimizer.runs} runs.`,
    ' */',
    '',
    '/** sha256 over compiler version, settings and every source: differs when abi.ts is out of date. */',
    `export const contractsSourceHash = '0x${hashOf(sources)}'`,
  ]
  for (const { name, source, contract } of EXPORTS) {
    const { abi, evm } = output.contracts[source]![contract]!
    parts.push(
      '',
      `/** Interface of ${contract}. */`,
      `export const ${name}Abi = [`,
      ...abi.map((item) => `  ${literal(item)},`),
      '] as const',
    )
    parts.push(
      '',
      `/** Creation code of ${contract}, without constructor arguments. */`,
      `export const ${name}Bytecode = '0x${evm.bytecode.object}'`,
    )
  }
  return `${parts.join('\n')}\n`
}

/** An empty file whose name says that this output was compared with these sources: compiling takes a dozen seconds, on a busy machine a minute. */
function stampOf(sources: Map<string, string>, output: string): string {
  const compared = createHash('sha256')
    .update(readFileSync(import.meta.filename))
    .update(hashOf(sources))
    .update(output)
  return join(REPOSITORY, 'node_modules/.cache/byway', `abi-${compared.digest('hex')}`)
}

const sources = ownSources()
const current = existsSync(OUTPUT) ? readFileSync(OUTPUT, 'utf8') : ''
const isCheck = process.argv.includes('--check')
if (!isCheck || !existsSync(stampOf(sources, current))) {
  const generated = generate(sources)
  if (!isCheck) {
    writeFileSync(OUTPUT, generated)
    process.stdout.write(`wrote ${relative(REPOSITORY, OUTPUT)}\n`)
  }
  if (isCheck && current !== generated) {
    const line = generated.split('\n').findIndex((text, i) => text !== current.split('\n')[i]) + 1
    process.stderr.write(`src/chain/abi.ts is out of date (first difference in line ${line}): run node contracts/scripts/build.ts\n`)
    process.exitCode = 1
  } else {
    const stamp = stampOf(sources, generated)
    mkdirSync(dirname(stamp), { recursive: true })
    writeFileSync(stamp, '')
  }
}
