/**
 * Region vaults, as contracts/src/vaults/RegionVault.sol has them: what a month pays and takes, and the ERC-4626 arithmetic with virtual
 * shares. Money in millionths of a dollar.
 */
import { minOf } from './stake.ts'

/** Part of the excess the vault takes, and how much of what it paid it takes back in all, in percent. */
const SHARE_PERCENT = 25n
const RETURN_PERCENT = 150n

/** What a vault has paid to providers and taken back. */
export interface VaultBooks {
  readonly subsidised: bigint
  readonly returned: bigint
}

/** What one period pays, or takes. */
export function vaultFlow(fees: bigint, nodes: bigint, floor: bigint, books: VaultBooks): { subsidy: bigint; taken: bigint } {
  const need = floor * nodes
  if (fees < need) return { subsidy: need - fees, taken: 0n }
  const due = (books.subsidised * RETURN_PERCENT) / 100n - books.returned
  return { subsidy: 0n, taken: minOf(((fees - need) * SHARE_PERCENT) / 100n, due) }
}

/** The worked example: a region's fees and nodes in month t. Users grow along a logistic curve to 1,000 and pay 2 dollars a month, nine
 * tenths of it to providers; nodes grow by five a month to 50. */
export function coldStartMonth(t: number): { fees: bigint; nodes: bigint } {
  const users = 1_000 / (1 + Math.exp(-0.5 * (t - 10)))
  return { fees: BigInt(Math.round(users * 2 * 0.9 * 1e6)), nodes: BigInt(Math.min(50, 5 + 5 * t)) }
}

/** A vault's whole life on given months. */
export function coldStart(months: readonly { fees: bigint; nodes: bigint }[], floor: bigint) {
  let books: VaultBooks = { subsidised: 0n, returned: 0n }
  const flows = months.map(({ fees, nodes }) => {
    const flow = vaultFlow(fees, nodes, floor, books)
    books = { subsidised: books.subsidised + flow.subsidy, returned: books.returned + flow.taken }
    return flow
  })
  return { flows, books }
}

/** Present value of flows, one a month, in the unit of the flows. */
export function netPresentValue(flows: readonly { subsidy: bigint; taken: bigint }[], monthlyRate: number): number {
  return flows.reduce((sum, { subsidy, taken }, t) => sum + Number(taken - subsidy) / (1 + monthlyRate) ** t, 0)
}

/** An ERC-4626 vault: `offset` is the number of decimals of its virtual shares. */
export interface Shares {
  readonly assets: bigint
  readonly supply: bigint
  readonly offset: number
}

/** Shares for a deposit, rounded down. */
export function toShares({ assets, supply, offset }: Shares, deposit: bigint): bigint {
  return (deposit * (supply + 10n ** BigInt(offset))) / (assets + 1n)
}

/** Assets for shares, rounded down. */
export function toAssets({ assets, supply, offset }: Shares, shares: bigint): bigint {
  return (shares * (assets + 1n)) / (supply + 10n ** BigInt(offset))
}

/** The first depositor's attack: deposits 1, donates, and waits for a victim; then both leave, the victim first. */
export function inflationAttack(offset: number, donation: bigint, deposit: bigint): { victim: bigint; attacker: bigint } {
  let vault: Shares = { assets: 0n, supply: 0n, offset }
  const attackerShares = toShares(vault, 1n)
  vault = { ...vault, assets: 1n + donation, supply: attackerShares }
  const victimShares = toShares(vault, deposit)
  vault = { ...vault, assets: vault.assets + deposit, supply: vault.supply + victimShares }
  const victimOut = toAssets(vault, victimShares)
  vault = { ...vault, assets: vault.assets - victimOut, supply: vault.supply - victimShares }
  return { victim: victimOut - deposit, attacker: toAssets(vault, attackerShares) - 1n - donation }
}
