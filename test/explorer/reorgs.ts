/**
 * Reorganisations: `npm run test:reorgs -- --reorgs 1000`. The hash of every table after each of them, beside the hash of what the chain holds
 * then; at the end the tables are made anew from nothing and must have that hash too.
 *
 * Some happen between two rounds of the indexer, some between two of its questions. `--seed` repeats a run, `--postgres` uses the server of
 * this machine instead of PGlite.
 */
import { parseArgs } from 'node:util'
import { eventReader } from '../../src/chain/index.ts'
import { step } from '../../src/explorer/indexer/follow.ts'
import { prepare } from '../../src/explorer/indexer/index.ts'
import { openPglite, openPostgres, type Store } from '../../src/explorer/store/index.ts'
import { systemClock } from '../../src/protocol/clock.ts'
import { silent } from '../../src/protocol/observe.ts'
import { chainDigest, expectedDigests } from './digest.ts'
import { startPostgres } from './postgres.ts'
import { dice, SIMULATED, type SimulatedChain, simulatedChain } from './simulated-chain.ts'

export interface Campaign {
  readonly reorgs: number
  readonly seed: string
  readonly store: Store
  /** Told now and then how far it is. */
  readonly progress?: (done: number) => void
}

export interface Outcome {
  reorgs: number
  /** After how many of them the tables had the hash they should have. */
  equal: number
  /** How many happened between two questions of one round. */
  amid: number
  deepest: number
  height: number
  indexed: string
  fresh: string
}

/** Blocks at the beginning: more than the indexer reads at once near the head. */
const FIRST_BLOCKS = 150
/** Hashing all tables after each reorganisation takes longer the longer the chain is. */
const MOST_BLOCKS = 250

export async function campaign({ reorgs, seed, store, progress }: Campaign): Promise<Outcome> {
  const random = dice(seed)
  const chain = simulatedChain(seed)
  chain.mine(FIRST_BLOCKS)
  const unsteady = { pending: undefined as (() => void) | undefined, after: 0 }
  const needs = { db: store.db, source: between(chain, unsteady), read: eventReader(SIMULATED), observer: silent }
  const catchUp = async () => {
    while (await step(needs)) {
      // Until there is nothing new.
    }
  }
  await prepare(store, chain.chainId, SIMULATED, silent)
  await catchUp()
  const expected = expectedDigests(SIMULATED)
  const outcome = { reorgs, equal: 0, amid: 0, deepest: 0 }
  for (let i = 0; i < reorgs; i++) {
    // Mostly a block or two, as on a chain that works; one in ten as deep as nobody expects, one in a hundred, and the first, down to the beginning.
    const kind = i === 0 ? 0 : random.below(100)
    const depth = kind === 0 ? chain.height : kind < 10 ? 1 + random.below(100) : 1 + random.below(4)
    // As long again, or a little longer; a chain that has grown long becomes shorter, which the indexer must survive too.
    const length = Math.max(1, depth + random.below(4) - (chain.height > MOST_BLOCKS ? 6 : 1))
    outcome.deepest = Math.max(outcome.deepest, Math.min(depth, chain.height))
    if (random.below(2) === 0) {
      chain.mine(random.below(3))
      chain.reorganise(depth, length)
    } else {
      chain.mine(1 + random.below(3))
      unsteady.pending = () => chain.reorganise(depth, length)
      unsteady.after = 1 + random.below(8)
      await catchUp()
      if (unsteady.pending === undefined) outcome.amid += 1
      else unsteady.pending()
      unsteady.pending = undefined
    }
    await catchUp()
    if ((await chainDigest(store.db)) === (await expected(chain))) outcome.equal += 1
    if (i % 50 === 49) progress?.(i + 1)
  }
  const indexed = await chainDigest(store.db)
  // Another set of contracts makes it begin anew; the same again, too.
  await prepare(store, chain.chainId, { channels: SIMULATED.channels! }, silent)
  await prepare(store, chain.chainId, SIMULATED, silent)
  await catchUp()
  return { ...outcome, height: chain.height, indexed, fresh: await chainDigest(store.db) }
}

/** The chain, which does what is pending after so many further questions. */
function between(chain: SimulatedChain, unsteady: { pending: (() => void) | undefined; after: number }): SimulatedChain {
  const asked = <T>(answer: Promise<T>): Promise<T> => {
    if (unsteady.pending !== undefined && --unsteady.after <= 0) {
      unsteady.pending()
      unsteady.pending = undefined
    }
    return answer
  }
  return {
    ...chain,
    head: () => asked(chain.head()),
    block: (number) => asked(chain.block(number)),
    logsOf: (block) => asked(chain.logsOf(block)),
    logsIn: (from, to) => asked(chain.logsIn(from, to)),
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      reorgs: { type: 'string', default: '1000' },
      seed: { type: 'string', default: String(Date.now()) },
      postgres: { type: 'boolean', default: false },
    },
  })
  const server = values.postgres ? startPostgres() : undefined
  const store = server === undefined ? await openPglite(undefined, systemClock) : await openPostgres(await server.database(), silent)
  console.log(`${values.reorgs} reorganisations, seed ${values.seed}, ${store.kind}`)
  const outcome = await campaign({ reorgs: Number(values.reorgs), seed: values.seed, store, progress: (done) => console.log(`  ${done}`) })
  await store.close()
  server?.stop()
  console.log(JSON.stringify(outcome, undefined, 2))
  const passed = outcome.equal === outcome.reorgs && outcome.indexed === outcome.fresh
  console.log(passed ? `${outcome.equal} of ${outcome.reorgs} equal hashes` : 'DIFFERENT')
  process.exit(passed ? 0 : 1)
}
