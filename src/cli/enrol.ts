/** Enrols who works on the local exchange: WAY from the faucet, a profile, a bond. What `byway stake` does for a node of one's own. */
import {
  type Action,
  type Contracts,
  createEconomy,
  type Economy,
  ETHER,
  fundDevnet,
  NETWORKS,
  type Profile,
  type Rpc,
  type Wallet,
  walletFromKey,
} from '../chain/index.ts'
import type { Prober } from '../prober/index.ts'
import { fromHex, type Hex, keccak } from '../protocol/bytes.ts'
import { WAY } from '../protocol/way.ts'
import { realDisk } from '../wallet/disk.ts'
import { openKeys } from '../wallet/keys.ts'
import { homePaths } from '../wallet/paths.ts'
import { walletTurn } from '../wallet/turn.ts'
import type { Child } from './child.ts'
import type { Env } from './resolve.ts'

/** What providers of the local exchange claim. Every machine carries that, so that an audit never fails because it was busy. */
const CLAIMED_MBPS = 10
/** Their own share before delegators', as `byway stake` has it. */
const COMMISSION_BPS = 1_000
/** A prober's bond is 10,000 WAY, a root's 1,000 for each of two; the rest is to spare. */
const PROBER_WAY = 20_000n * WAY
const PROBER_BOND = 10_000n * WAY
/** A provider's bond is 1,000 and one for each Mbps, and as much again as two failed audits take; the rest is to try things with. */
const PROVIDER_WAY = 5_000n * WAY
const PROVIDER_BOND = 1_120n * WAY
const NOTHING: Hex = `0x${'00'.repeat(32)}`

export interface EnrolNeeds {
  rpc: Rpc
  contracts: Contracts
  env: Env
}

/** A prober of the local exchange, with the wallet that is its operator. */
export interface DevnetProber extends Prober {
  wallet: Wallet
}

/** The economy for one wallet of a home, which may be sending by itself. */
export const economyOf = ({ rpc, contracts }: EnrolNeeds, home?: string): Economy =>
  createEconomy({ rpc, network: NETWORKS.local!, contracts, turn: home === undefined ? undefined : walletTurn(homePaths(home)) })

/** Probers have no home: their keys are known to everybody, as those of any devnet. Enrolling twice changes nothing. */
export async function enrolProbers(needs: EnrolNeeds, count: number): Promise<DevnetProber[]> {
  const economy = economyOf(needs)
  const probers: DevnetProber[] = []
  for (let number = 1; number <= count; number++) {
    const keyOf = (what: string) => walletFromKey(fromHex(keccak(Buffer.from(`byway devnet prober ${number} ${what}`)), 32))
    const wallet = keyOf('wallet')
    const key = keyOf('statements')
    const profile = {
      nodeKey: NOTHING,
      offerHash: NOTHING,
      payout: wallet.address,
      region: 'zz',
      mbps: 0,
      commissionBps: 0,
      role: 'prober',
    } as const
    await enrol(needs, economy, wallet, profile, { way: PROBER_WAY, bond: PROBER_BOND })
    if ((await economy.registry.operatorOf(key.address)) === undefined) {
      await perform(economy, wallet, [economy.registry.addKey(key, wallet.address)])
    }
    probers.push({ operator: wallet.address, key, wallet })
  }
  return probers
}

/** A provider is enrolled with the wallet of its home: what it earns is its own. */
export async function enrolProvider(needs: EnrolNeeds, { ready }: { ready: Pick<Child['ready'], 'home' | 'country'> }): Promise<void> {
  const keys = await openKeys({ disk: realDisk(), paths: homePaths(ready.home), env: needs.env })
  const wallet = walletFromKey(keys.wallet.secret())
  const claims = { region: ready.country ?? 'zz', mbps: CLAIMED_MBPS, commissionBps: COMMISSION_BPS, role: 'provider' } as const
  const profile = { nodeKey: keys.nodeId, offerHash: NOTHING, payout: wallet.address, ...claims }
  await enrol(needs, economyOf(needs, ready.home), wallet, profile, { way: PROVIDER_WAY, bond: PROVIDER_BOND })
}

/** Who is registered, or left again, is left alone: it is its owner's from then on. */
async function enrol(
  { rpc, contracts }: EnrolNeeds,
  economy: Economy,
  wallet: Wallet,
  profile: Profile,
  { way, bond }: { way: bigint; bond: bigint },
): Promise<void> {
  const { registry } = economy
  if ((await registry.operator(wallet.address)).profile !== undefined) return
  await fundDevnet(rpc, contracts, wallet.address, { ether: ETHER, way })
  await perform(economy, wallet, [registry.setProfile(profile), registry.stake(wallet.address, bond)])
}

async function perform({ actions }: Economy, wallet: Wallet, wanted: readonly Action[]): Promise<void> {
  await actions.perform(wallet, await actions.prepare(wallet.address, wanted))
}
