/** Region vaults, in our words: dollars that finance a region until its fees carry it, and the way out of it. ERC-4626. */
import type { Hex } from '../protocol/bytes.ts'
import { regionVaultAbi } from './abi.ts'
import type { Action } from './actions.ts'
import { contractAt, textOf } from './calls.ts'
import type { Rpc } from './rpc.ts'

export interface Vault {
  address: Hex
  region: string
  /** Units a proven provider is sure of in a period. */
  floor: bigint
  periodS: number
  /** Seconds from asking to leave until it can be served. */
  noticeS: number
  nextPeriod: bigint
  /** Proven providers now. */
  nodes: bigint
  /** Units that are the investors'. */
  assets: bigint
  subsidised: bigint
  returned: bigint
}

/** Somebody's part of a vault. */
export interface VaultHolding {
  shares: bigint
  /** What the shares are worth now. */
  worth: bigint
  /** Units that can be collected. */
  credit: bigint
  exits: VaultExit[]
}

export interface VaultExit {
  id: bigint
  shares: bigint
  /** At the price of now; it is paid at the price of when it is served. */
  worth: bigint
  readyAt: number
}

export interface VaultClient {
  readonly address: Hex
  vault(signal?: AbortSignal): Promise<Vault>
  holding(owner: Hex, signal?: AbortSignal): Promise<VaultHolding>
  /** Shares that a deposit would give. */
  sharesFor(units: bigint, signal?: AbortSignal): Promise<bigint>
  deposit(units: bigint, owner: Hex): Action
  requestExit(shares: bigint): Action
  serve(id: bigint): Action
  collect(): Action
  /** Brings fees of a provider, which come back when the period is settled. */
  earn(node: Hex, units: bigint): Action
  lapse(): Action
}

export function createVaultClient(rpc: Rpc, dollar: Hex, address: Hex): VaultClient {
  const at = contractAt(rpc, address, regionVaultAbi)
  const worthOf = (shares: bigint, signal?: AbortSignal) => at.read('convertToAssets', [shares], signal)
  return {
    address,
    async vault(signal) {
      const [region, floor, period, notice, nextPeriod, nodes, assets, subsidised, returned] = await Promise.all([
        at.read('REGION', [], signal),
        at.read('FLOOR', [], signal),
        at.read('PERIOD', [], signal),
        at.read('NOTICE', [], signal),
        at.read('nextPeriod', [], signal),
        at.read('nodes', [], signal),
        at.read('totalAssets', [], signal),
        at.read('subsidised', [], signal),
        at.read('returned', [], signal),
      ])
      const times = { periodS: Number(period), noticeS: Number(notice) }
      return { address, region: textOf(region), floor, ...times, nextPeriod, nodes, assets, subsidised, returned }
    },
    async holding(owner, signal) {
      const [shares, credit, asked] = await Promise.all([
        at.read('balanceOf', [owner], signal),
        at.read('creditOf', [owner], signal),
        at.events('ExitRequested', { owner }, signal),
      ])
      const exits = await Promise.all(
        asked.map(async ({ id }) => {
          const exit = await at.read('exitOf', [id], signal)
          return { id, shares: exit.shares, worth: await worthOf(exit.shares, signal), readyAt: Number(exit.readyAt) }
        }),
      )
      // One that was served is empty.
      return { shares, worth: await worthOf(shares, signal), credit, exits: exits.filter((exit) => exit.shares > 0n) }
    },
    sharesFor: (units, signal) => at.read('previewDeposit', [units], signal),
    deposit: (units, owner) => at.action('depositing in the vault', 'deposit', [units, owner], { token: dollar, amount: units }),
    requestExit: (shares) => at.action('asking to leave the vault', 'requestRedeem', [shares]),
    serve: (id) => at.action('serving an exit', 'serve', [id]),
    collect: () => at.action('collecting from the vault', 'collect', []),
    earn: (node, units) => at.action('bringing fees to the vault', 'earn', [node, units], { token: dollar, amount: units }),
    lapse: () => at.action('ending a period that nobody settled', 'lapse', []),
  }
}
