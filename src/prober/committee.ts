/** Asking committees: called, drawn by the hash of a later block, and heard when enough members signed one answer. */
import { type Action, type Asked, type Economy, verdictOf, type Wallet } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'

/** A prober: the operator that was drawn, and the key that signs for it. */
export interface Prober {
  readonly operator: Hex
  readonly key: Wallet
}

export interface CommitteeNeeds {
  readonly economy: Economy
  /** Sends what anybody may send, and pays for it. */
  readonly sender: Wallet
  readonly probers: readonly Prober[]
  /** Resolves when the chain is so many blocks further. */
  passBlocks(count: number): Promise<void>
}

/** Two between the call and the one whose hash draws (Committee.WAIT); and one more, because a node tries a call on its newest block. */
const DRAW_AFTER_BLOCKS = 3

/** Calls and draws the committees of these questions; the members of each. What was drawn before is asked again for nothing. */
export async function callCommittees(needs: CommitteeNeeds, asked: readonly Asked[]): Promise<Hex[][]> {
  const { committee } = needs.economy
  const topics = asked.map(({ question }) => committee.topicOf(question))
  const missing = async () => {
    const members = await Promise.all(topics.map((topic) => committee.membersOf(topic)))
    return topics.flatMap((topic, i) => (members[i]!.length === 0 ? [{ topic, asked: asked[i]! }] : []))
  }
  for (const { asked: question } of await missing()) {
    await send(needs, question.summon).catch((error: unknown) => {
      // Called before, by somebody else or before a crash: it only waits to be drawn.
      if (!(error instanceof BywayError) || !CALLED.test(error.message)) throw error
    })
  }
  const undrawn = await missing()
  if (undrawn.length > 0) await needs.passBlocks(DRAW_AFTER_BLOCKS)
  for (const { topic } of undrawn) await send(needs, committee.draw(topic))
  return Promise.all(topics.map((topic) => committee.membersOf(topic)))
}

const CALLED = /AlreadyCalled/

/** Brings what the members say of a question: each signs by itself, and says nothing if `agrees` says no for it. */
export async function bringVerdict(
  needs: CommitteeNeeds,
  { question, bring }: Asked,
  members: readonly Hex[],
  agrees: (member: Hex) => boolean = () => true,
): Promise<void> {
  const { registry } = needs.economy
  const signed = new Map(
    needs.probers
      .filter(({ operator }) => members.includes(operator) && agrees(operator))
      .map(({ operator, key }) => [operator, registry.signStatement(question.statement, key)]),
  )
  await send(needs, bring(verdictOf(members, signed)))
}

/** One action, with the allowance it may need. */
export async function send({ economy, sender }: Pick<CommitteeNeeds, 'economy' | 'sender'>, action: Action): Promise<void> {
  await economy.actions.perform(sender, await economy.actions.prepare(sender.address, [action]))
}
