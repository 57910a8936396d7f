/**
 * Carries out a plan (plan.ts): deploys what is not there yet and ends with the one call that names the judges.
 *
 * Safe to repeat at any time, also after a crash in between or while somebody else does the same: what is there is found, not sent again.
 */
import { decodeFunctionResult, encodeFunctionData } from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { emissionsAbi } from './abi.ts'
import { type Contracts, CREATE2_FACTORY, type Deployment, type Plan } from './plan.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { blockSchema, codeSchema } from './schemas.ts'

/** The account that deploys: sends one call and waits until it is mined. Throws when it was reverted. */
export type Deliver = (doing: string, to: Hex, data: Hex, signal?: AbortSignal) => Promise<void>

export interface DeployOptions {
  /** Told before each transaction: how many are done of how many. */
  progress?: (name: string, done: number, all: number) => void
  signal?: AbortSignal | undefined
}

/** Deploys what is not there yet, and seals the registry. */
export async function deploy(rpc: Rpc, plan: Plan, deliver: Deliver, { progress, signal }: DeployOptions = {}): Promise<Contracts> {
  if (!(await hasCode(rpc, CREATE2_FACTORY, signal))) {
    throw new BywayError('CONTRACT_MISSING', 'this chain has no CREATE2 factory, through which everything is deployed', {
      facts: { factory: CREATE2_FACTORY },
      hint: 'have it deployed first (github.com/Arachnid/deterministic-deployment-proxy), or name contracts that are there already',
    })
  }
  const there = await Promise.all(plan.deployments.map(({ address }) => hasCode(rpc, address, signal)))
  const missing = plan.deployments.filter((_, i) => !there[i])
  const all = plan.deployments.length + 1
  for (const [i, deployment] of missing.entries()) {
    progress?.(deployment.name, all - 1 - missing.length + i, all)
    await deployOne(rpc, deployment, plan.contracts, deliver, signal)
  }
  if (await isSealed(rpc, plan, signal)) return plan.contracts
  progress?.('the judges', all - 1, all)
  try {
    await deliver('naming the judges of the registry', plan.seal.to, plan.seal.data, signal)
  } catch (error) {
    if (!(await isSealed(rpc, plan, signal))) throw error
  }
  return plan.contracts
}

async function deployOne(
  rpc: Rpc,
  { name, address, to, data }: Deployment,
  contracts: Contracts,
  deliver: Deliver,
  signal?: AbortSignal,
): Promise<void> {
  if (await hasCode(rpc, address, signal)) return
  try {
    await deliver(`deploying ${name}`, to, data(await startOf(rpc, contracts, signal)), signal)
  } catch (error) {
    // Somebody deployed it in between: a second time is refused.
    if (await hasCode(rpc, address, signal)) return
    throw error
  }
  if (!(await hasCode(rpc, address, signal))) {
    throw new BywayError('TRANSACTION_FAILED', `${name} was deployed to another address than expected`, { facts: { address } })
  }
}

/** Only the deployer can seal, and once: so a trial of it says whether it was done. */
async function isSealed(rpc: Rpc, { terms, seal }: Plan, signal?: AbortSignal): Promise<boolean> {
  try {
    await rpc.request(codeSchema, 'eth_call', [{ from: terms.deployer, ...seal }, 'latest'], signal)
    return false
  } catch (error) {
    if (!(error instanceof RpcRefusal)) throw error
    return true
  }
}

/** First second of epoch 0: what the contract says that is deployed first of those that count in epochs, else now. */
async function startOf(rpc: Rpc, { emissions }: Contracts, signal?: AbortSignal): Promise<bigint> {
  if (!(await hasCode(rpc, emissions, signal))) {
    const { timestamp } = await rpc.request(blockSchema, 'eth_getBlockByNumber', ['latest', false], signal)
    return BigInt(timestamp)
  }
  const data = encodeFunctionData({ abi: emissionsAbi, functionName: 'START' })
  const answer = await rpc.request(codeSchema, 'eth_call', [{ to: emissions, data }, 'latest'], signal)
  return decodeFunctionResult({ abi: emissionsAbi, functionName: 'START', data: answer })
}

/** Names of contracts that are not where they are said to be. */
export async function absentContracts(rpc: Rpc, contracts: Contracts, signal?: AbortSignal): Promise<string[]> {
  const { vaults, moreDollars, ...single } = contracts
  const regions = Object.entries(vaults).map(([region, address]) => [`vault of ${region}`, address] as const)
  const lanes = moreDollars.flatMap((lane, i) =>
    Object.entries(lane).map(([name, address]) => [`${name} of dollar ${i + 2}`, address] as const),
  )
  const all = [...Object.entries(single), ...regions, ...lanes]
  const there = await Promise.all(all.map(([, address]) => hasCode(rpc, address, signal)))
  return all.filter((_, i) => !there[i]).map(([name]) => name)
}

async function hasCode(rpc: Rpc, address: Hex, signal?: AbortSignal): Promise<boolean> {
  return (await rpc.request(codeSchema, 'eth_getCode', [address, 'latest'], signal)) !== '0x'
}
