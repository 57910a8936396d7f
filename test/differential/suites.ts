/** What is compared: each suite is one contract, or the formulas of several. Operations are many enough that lives have an end. */
import { agreementsSequence } from './agreements.ts'
import { capacitySequence } from './capacity.ts'
import { emissionsSequence, multipliersSequence, subscriptionSequence } from './clocked.ts'
import { auctionSequence, formulasSequence } from './formulas.ts'
import { registrySequence } from './registry.ts'
import { fold, type Sequence } from './sequence.ts'
import { vaultSequence } from './vault.ts'

export interface Suite {
  readonly run: (seed: bigint, operations: number) => Sequence
  readonly operations: number
  /** In the vectors that are replayed with every test run. */
  readonly sequences: number
  readonly contract: string
}

export const SUITES: Readonly<Record<string, Suite>> = {
  formulas: { run: formulasSequence, operations: 1, sequences: 2_000, contract: 'Deviation, Reservation, Multipliers, RegionVault.flow' },
  auction: { run: auctionSequence, operations: 40, sequences: 250, contract: 'BurnAuction, UsageMint' },
  registry: { run: registrySequence, operations: 60, sequences: 150, contract: 'Registry (stake, unbonding, rewards, slashes)' },
  vault: { run: vaultSequence, operations: 60, sequences: 150, contract: 'RegionVault' },
  agreements: { run: agreementsSequence, operations: 60, sequences: 150, contract: 'ServiceAgreements' },
  capacity: { run: capacitySequence, operations: 90, sequences: 100, contract: 'CapacityMarket' },
  subscription: { run: subscriptionSequence, operations: 20, sequences: 250, contract: 'Subscription' },
  emissions: { run: emissionsSequence, operations: 20, sequences: 100, contract: 'Emissions, Schedule' },
  multipliers: { run: multipliersSequence, operations: 30, sequences: 200, contract: 'RegionMultipliers' },
}

export interface Vector {
  readonly first: number
  readonly sequences: number
  readonly operations: number
  readonly digest: string
}

/** Adds up how often each kind of operation was done and refused. */
export interface Tally {
  readonly done: number[]
  readonly refused: number[]
}

/** What the contracts have to come to for `sequences` of a suite from seed `first` on. */
export function vectorOf({ run, operations }: Suite, first: number, sequences: number, tally: Tally = { done: [], refused: [] }): Vector {
  let digest = 0n
  for (let seed = first; seed < first + sequences; seed++) {
    const sequence = run(BigInt(seed), operations)
    digest = fold(digest, sequence.digest)
    for (const which of ['done', 'refused'] as const) {
      sequence[which].forEach((count, kind) => {
        tally[which][kind] = (tally[which][kind] ?? 0) + count
      })
    }
  }
  return { first, sequences, operations, digest: `0x${digest.toString(16).padStart(64, '0')}` }
}
