/**
 * Makes small mistakes in the contracts that hold value, one at a time, and counts how many the tests notice.
 *
 *     npm run contracts:mutate                       a sample of 100, by chance
 *     npm run contracts:mutate -- --sample 300 --seed 7
 *     npm run contracts:mutate -- --full             all of them, two hours and more on two idle cores
 *     npm run contracts:mutate -- --file SharePool   those of the files whose path has the word
 *
 * A mutant that does not compile counts for nothing. One that survives is a gap in the tests, or changes nothing that matters: those are
 * argued one by one in survivors.md. Exit code 0 only if nine of ten are noticed and no survivor is without an argument.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CONTRACTS } from '../scripts/forge.ts'
import { type Mutant, mutantsOf } from './mutators.ts'
import { type Field, openField } from './plant.ts'

const LEAST_PERCENT = 90
/** Whoever waits for an hour sees that something happens. */
const PROGRESS_EVERY = 25

const CHANNEL_SUITES = [
  'Claim',
  'attacks/ChannelAttacks',
  'Close',
  'Open',
  'Proofs',
  'ClaimFor',
  'Burn',
  'Signatures',
  'Views',
  'Vectors',
  'OddTokens',
  'SumTree',
]

/** The contracts that hold value and what they are made of, and the test suites that could notice, likely ones first. */
const HOLDERS: Readonly<Record<string, readonly string[]>> = {
  Channels: CHANNEL_SUITES,
  ChannelsState: ['Views', 'Burn', 'Claim'],
  'libraries/Ids': ['Close', 'Claim', 'Views'],
  'libraries/Orders': ['Vectors', 'ClaimFor', 'Open'],
  'libraries/Settlement': ['Claim', 'Burn'],
  'libraries/SumTree': ['SumTree', 'Proofs'],
  'libraries/Vouchers': ['Claim', 'Signatures', 'Vectors'],
  'registry/Registry': ['registry/Slashing', 'registry/Staking', 'registry/Leaving', 'registry/RegistryInvariants'],
  'registry/RegistryState': ['registry/Staking', 'registry/Slashing', 'registry/RegistryInvariants'],
  'libraries/SharePool': ['registry/Slashing', 'registry/RegistryInvariants'],
  'burn/BurnAuction': ['BurnAuction', 'UsageMint'],
  'burn/DutchPrice': ['BurnAuction'],
  'burn/UsageMint': ['UsageMint', 'Burn', 'TokenInvariants'],
  'rewards/EpochRoots': ['rewards/EpochRoots', 'rewards/Challenges', 'rewards/RootInvariants'],
  'vaults/RegionVault': ['vaults/RegionVault', 'vaults/VaultInvariants'],
  'capacity/CapacityMarket': ['capacity/CapacityMarket', 'capacity/MarketInvariants'],
  'libraries/Reservation': ['capacity/CapacityMarket'],
  'agreements/ServiceAgreements': ['agreements/ServiceAgreements', 'agreements/AgreementInvariants'],
  'libraries/Deviation': ['agreements/ServiceAgreements'],
  'payments/Subscription': ['Subscription'],
  'token/Way': ['Way', 'Governance', 'TokenInvariants'],
  'token/Emissions': ['Way', 'TokenInvariants'],
  'token/Schedule': ['Way'],
  'rewards/RegionMultipliers': ['rewards/RegionMultipliers'],
}

type Outcome = 'killed' | 'survived' | 'no code'

/** What survivors.md is searched for. */
const keyOf = ({ file, before, after }: Mutant): string => `${file}: ${before} => ${after === '' ? '(gone)' : after}`

/** A generator that gives the same sample for the same seed on every machine (mulberry32). */
function chance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function sampleOf(all: readonly Mutant[], size: number, seed: number): Mutant[] {
  const random = chance(seed)
  const pool = [...all]
  for (let i = 0; i < Math.min(size, pool.length); ++i) {
    const pick = i + Math.floor(random() * (pool.length - i))
    ;[pool[i], pool[pick]] = [pool[pick]!, pool[i]!]
  }
  return pool.slice(0, size)
}

/** Lines of a file and the suites that noticed mistakes there: neighbours are mostly noticed by the same. */
const noticed = new Map<string, { line: number; suite: string }[]>()

function suitesFor({ file, line }: Mutant, holder: string): string[] {
  const near = (suite: string): number =>
    Math.min(...(noticed.get(file) ?? []).filter((kill) => kill.suite === suite).map((kill) => Math.abs(kill.line - line)), 1_000)
  return [...HOLDERS[holder]!].sort((a, b) => near(a) - near(b))
}

async function tryMutant(field: Field, mutant: Mutant, holder: string): Promise<Outcome> {
  const original = readFileSync(join(CONTRACTS, mutant.file), 'utf8')
  for (const suite of suitesFor(mutant, holder)) {
    const trial = { edits: [[mutant.file, original, mutant.text]] as const, suites: [`test/${suite}.t.sol`], tests: '^(test|invariant)' }
    const verdict = await field.run({ ...trial, failFast: true })
    if ('problem' in verdict) {
      if (verdict.problem.startsWith('does not compile')) return 'no code'
      throw new Error(`${keyOf(mutant)}: ${verdict.problem}`)
    }
    if (verdict.failed.length > 0) {
      noticed.set(mutant.file, [...(noticed.get(mutant.file) ?? []), { line: mutant.line, suite }])
      return 'killed'
    }
  }
  return 'survived'
}

const { values } = parseArgs({
  options: {
    sample: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    full: { type: 'boolean', default: false },
    file: { type: 'string', default: '' },
  },
})
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const argued = readFileSync(join(import.meta.dirname, 'survivors.md'), 'utf8')
const holders = Object.keys(HOLDERS).filter((name) => name.includes(values.file))
const holderOf = new Map<string, string>(holders.map((holder) => [`src/${holder}.sol`, holder]))
const all = [...holderOf.keys()].flatMap((file) => mutantsOf(file, readFileSync(join(CONTRACTS, file), 'utf8')))
const chosen = values.full ? all : sampleOf(all, Number(values.sample), Number(values.seed))
say(`${chosen.length} of ${all.length} mutants of ${holders.length} files${values.full ? '' : `, seed ${values.seed}`}`)

const field = await openField()
try {
  const suites = [...new Set(chosen.flatMap(({ file }) => HOLDERS[holderOf.get(file)!]!))]
  await Promise.all(
    suites.map(async (suite) => {
      const verdict = await field.run({ edits: [], suites: [`test/${suite}.t.sol`], tests: '^(test|invariant)' })
      if ('problem' in verdict) throw new Error(`${suite}: ${verdict.problem}`)
      if (verdict.failed.length > 0) throw new Error(`the unchanged contracts fail ${verdict.failed.join(', ')}`)
    }),
  )
  say(`unchanged: ${suites.length} suites pass`)

  const counts = new Map<string, Record<Outcome, number>>()
  const open: string[] = []
  const queue = [...chosen]
  let done = 0
  const tester = async (): Promise<void> => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const outcome = await tryMutant(field, mutant, holderOf.get(mutant.file)!)
      const count = counts.get(mutant.file) ?? { killed: 0, survived: 0, 'no code': 0 }
      counts.set(mutant.file, { ...count, [outcome]: count[outcome] + 1 })
      if (++done % PROGRESS_EVERY === 0) say(`${done} of ${chosen.length} tried`)
      if (outcome !== 'survived') continue
      const known = argued.includes(keyOf(mutant))
      if (!known) open.push(keyOf(mutant))
      say(`survived${known ? ' (argued)' : ''}  ${mutant.file}:${mutant.line}  ${mutant.kind}\n    ${mutant.before}\n    ${mutant.after}`)
    }
  }
  // As many as there are workers: what was noticed so far says where to ask first.
  await Promise.all(Array.from({ length: availableParallelism() }, tester))
  const sum = (outcome: Outcome): number => [...counts.values()].reduce((total, count) => total + count[outcome], 0)
  say(`\n${'file'.padEnd(40)}${'killed'.padStart(8)}${'survived'.padStart(10)}${'no code'.padStart(9)}`)
  for (const [file, count] of [...counts].sort(([a], [b]) => a.localeCompare(b))) {
    say(
      `${file.padEnd(40)}${String(count.killed).padStart(8)}${String(count.survived).padStart(10)}${String(count['no code']).padStart(9)}`,
    )
  }
  const percent = (100 * sum('killed')) / (sum('killed') + sum('survived'))
  say(`\n${percent.toFixed(1)} % of ${sum('killed') + sum('survived')} mutants are noticed (at least ${LEAST_PERCENT} % wanted)`)
  if (open.length > 0) say(`without an argument in survivors.md:\n${open.map((key) => `    ${key}`).join('\n')}`)
  if (!(percent >= LEAST_PERCENT) || open.length > 0) process.exitCode = 1
} finally {
  await field.close()
}
