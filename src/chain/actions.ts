/**
 * Transactions that are known before anybody signs: what a command shows, says the cost of, and then sends.
 *
 * An action is data: where it goes and what it says. Some of them prepared, with the allowances they need between them, were all tried in the
 * node without sending anything (eth_simulateV1): so the contract's refusal comes before the first transaction is paid for, and not between
 * two of them. What was tried may still be refused when it is sent, because the world moved in between.
 */
import { encodeFunctionData } from 'viem/utils'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { dollarAbi } from './abi.ts'
import { costOf } from './contract.ts'
import { refusalError } from './reverts.ts'
import { type Rpc, RpcRefusal } from './rpc.ts'
import { codeSchema, type Log, quantitySchema } from './schemas.ts'
import { quoteFees, type SendOptions, type Transactions } from './transactions.ts'
import type { Wallet } from './wallet.ts'

export interface Action {
  /** Completes "… was refused", and stands in the list of what will be done. */
  readonly doing: string
  readonly to: Hex
  readonly data: Hex
  /** Tokens the contract takes from the sender's wallet: it is allowed exactly so much, just before. */
  readonly spends?: { readonly token: Hex; readonly amount: bigint }
}

export interface Step extends Action {
  /** Undefined where the node cannot simulate: then it is known only once the step before it is mined. */
  readonly gas: bigint | undefined
  /** At the fees of now. */
  readonly costWei: bigint | undefined
  /** What the contract would answer. */
  readonly returned: Hex | undefined
}

export interface Prepared {
  readonly from: Hex
  readonly steps: readonly Step[]
  /** Of all steps whose gas is known. */
  readonly gas: bigint
  readonly costWei: bigint
}

export interface Done {
  readonly doing: string
  readonly tx: Hex
  readonly gas: bigint
  readonly costWei: bigint
  readonly logs: readonly Log[]
}

export interface Actions {
  /** Tries all actions in the node, one after the other, each with the allowance it needs. Throws what the contract would refuse. */
  prepare(from: Hex, actions: readonly Action[], signal?: AbortSignal): Promise<Prepared>
  /** Sends the steps, each after the one before is mined. `told` hears of each that is done. */
  perform(
    wallet: Wallet,
    prepared: Prepared,
    options?: SendOptions & { told?: (done: Done) => void },
    signal?: AbortSignal,
  ): Promise<Done[]>
}

const simulated = z
  .array(
    z.object({
      calls: z.array(z.object({ status: quantitySchema, gasUsed: quantitySchema, returnData: codeSchema })),
    }),
  )
  .min(1)

export function createActions(rpc: Rpc, transactions: Transactions): Actions {
  const withAllowances = async (from: Hex, actions: readonly Action[], signal?: AbortSignal): Promise<Action[]> => {
    const steps: Action[] = []
    for (const action of actions) {
      const { spends, to } = action
      if (spends !== undefined && spends.amount > 0n) {
        const asked = encodeFunctionData({ abi: dollarAbi, functionName: 'allowance', args: [from, to] })
        const allowed = await rpc.request(quantitySchema, 'eth_call', [{ to: spends.token, data: asked }, 'latest'], signal)
        if (allowed < spends.amount) steps.push(allowance(spends.token, to, spends.amount))
      }
      steps.push(action)
    }
    return steps
  }

  /** Undefined when the node has no such method. */
  const simulate = async (from: Hex, steps: readonly Action[], signal?: AbortSignal) => {
    const calls = steps.map(({ to, data }) => ({ from, to, data }))
    try {
      const blocks = await rpc.request(simulated, 'eth_simulateV1', [{ blockStateCalls: [{ calls }], validation: false }, 'latest'], signal)
      return blocks[0]!.calls
    } catch (error) {
      if (error instanceof RpcRefusal) return undefined // an older node: the first step can still be estimated
      throw error
    }
  }

  const estimate = async (from: Hex, { to, data, doing }: Action, signal?: AbortSignal): Promise<bigint> => {
    try {
      return await rpc.request(quantitySchema, 'eth_estimateGas', [{ from, to, data }, 'latest'], signal)
    } catch (error) {
      throw refusalError(error, doing)
    }
  }

  return {
    async prepare(from, actions, signal) {
      const wanted = await withAllowances(from, actions, signal)
      const [results, { maxFeePerGas, maxPriorityFeePerGas: tip }] = await Promise.all([
        simulate(from, wanted, signal),
        quoteFees(rpc, signal),
      ])
      // The most is twice the base fee and the tip, so this is one base fee and the tip: what a block of now would charge.
      const price = (maxFeePerGas + tip) / 2n
      const steps: Step[] = []
      for (const [i, action] of wanted.entries()) {
        const result = results?.[i]
        if (result?.status === 0n) throw refusalError(new RpcRefusal(3, 'execution reverted', result.returnData), action.doing)
        const gas = result?.gasUsed ?? (results === undefined && i === 0 ? await estimate(from, action, signal) : undefined)
        steps.push({ ...action, gas, costWei: gas === undefined ? undefined : gas * price, returned: result?.returnData })
      }
      const gas = steps.reduce((sum, step) => sum + (step.gas ?? 0n), 0n)
      return { from, steps, gas, costWei: gas * price }
    },

    async perform(wallet, prepared, { told, ...options } = {}, signal) {
      const all: Done[] = []
      for (const { doing, to, data } of prepared.steps) {
        const receipt = await transactions.send(wallet, doing, async () => ({ to, data }), options, signal)
        const done = { doing, tx: receipt.transactionHash, gas: receipt.gasUsed, costWei: costOf(receipt), logs: receipt.logs }
        all.push(done)
        told?.(done)
      }
      return all
    },
  }
}

/** Lets `spender` take exactly so much: what is allowed and not used would be a risk that nobody sees. */
export function allowance(token: Hex, spender: Hex, amount: bigint): Action {
  const data = encodeFunctionData({ abi: dollarAbi, functionName: 'approve', args: [spender, amount] })
  return { doing: 'allowing the contract to take it', to: token, data }
}
