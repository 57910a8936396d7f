/** For tests of the economy: a devnet with its clients, people with money, time that passes, and a committee that answers. */
import type { Hex } from '../protocol/bytes.ts'
import type { Action, Done } from './actions.ts'
import { type Question, type Verdict, verdictOf } from './committee.ts'
import { ETHER } from './devnet.ts'
import { createEconomy, type Economy } from './economy.ts'
import type { OperatorRole, Profile } from './registry.ts'
import { type Devnet, startDevnet, walletOf } from './testing.ts'
import type { Wallet } from './wallet.ts'

const WAY = 10n ** 18n

export interface TestEconomy {
  devnet: Devnet
  economy: Economy
  /** A wallet with ether, 10,000 dollars and 50,000 WAY. */
  person(seed: string): Promise<Wallet>
  /** Prepares and sends. */
  act(wallet: Wallet, ...actions: Action[]): Promise<Done[]>
  /** Moves the chain's time on. */
  pass(seconds: number): Promise<void>
  /** Registers and bonds. */
  join(wallet: Wallet, role: OperatorRole, stake: bigint, changes?: Partial<Profile>): Promise<void>
  /** Draws the committee of a question that was called, and has all members sign the answer. */
  answer(question: Question): Promise<Verdict>
  stop(): Promise<void>
}

const proberName = (i: number) => `prober ${i}`

/** With so many probers in good standing, each with a session key of its own. */
export async function startEconomy(probers = 0): Promise<TestEconomy> {
  const devnet = await startDevnet()
  const economy = createEconomy({ rpc: devnet.rpc, network: { confirmations: 1, pollMs: 10 }, contracts: devnet.contracts })
  const { registry, committee, actions } = economy

  const act = async (wallet: Wallet, ...all: Action[]) => actions.perform(wallet, await actions.prepare(wallet.address, all))
  const person = (seed: string) => devnet.funded(seed, { ether: 10n * ETHER, dollars: 10_000_000_000n, way: 50_000n * WAY })
  const pass = async (seconds: number) => {
    await devnet.tell('evm_increaseTime', seconds)
    await devnet.tell('evm_mine')
  }
  const join: TestEconomy['join'] = async (wallet, role, stake, changes = {}) => {
    const profile: Profile = {
      nodeKey: `0x${'11'.repeat(32)}`,
      offerHash: `0x${'00'.repeat(32)}`,
      payout: wallet.address,
      region: 'de',
      mbps: 100,
      commissionBps: 1_000,
      role,
      ...changes,
    }
    await act(wallet, registry.setProfile(profile), registry.stake(wallet.address, stake))
  }

  const keys = new Map<Hex, Wallet>()
  for (let i = 0; i < probers; i++) {
    const prober = await person(proberName(i))
    const key = walletOf(`key of ${proberName(i)}`)
    await join(prober, 'prober', 10_000n * WAY)
    await act(prober, registry.addKey(key, prober.address))
    keys.set(prober.address, key)
  }
  if (probers > 0) await devnet.tell('evm_mine')

  const answer = async (question: Question): Promise<Verdict> => {
    const topic = committee.topicOf(question)
    for (let i = 0; i < 3; i++) await devnet.tell('evm_mine')
    await act(walletOf(proberName(0)), committee.draw(topic))
    const members = await committee.membersOf(topic)
    return verdictOf(members, new Map(members.map((member) => [member, registry.signStatement(question.statement, keys.get(member)!)])))
  }
  return { devnet, economy, person, act, pass, join, answer, stop: () => devnet.anvil.stop() }
}
