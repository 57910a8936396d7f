/** What a session writes into the journal: each statement it accepts, and its end. */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Statement } from '../protocol/messages.ts'
import { statementDebt, type Till } from '../protocol/till.ts'
import type { CloseReason } from '../wallet/records.ts'
import type { Vault } from '../wallet/vault.ts'
import type { PresentedChannel } from './terms.ts'

interface RowNeeds {
  vault: Vault
  clock: Clock
}

export function recordStatement(
  { vault, clock }: RowNeeds,
  channel: PresentedChannel,
  till: Pick<Till, 'base' | 'pricePerGib'>,
  statement: Statement,
): Promise<void> {
  return vault.record({
    kind: 'voucher',
    rootId: channel.rootId,
    index: channel.proof.index,
    sessionId: statement.sessionId,
    up: statement.up,
    down: statement.down,
    disputed: 0n,
    numerator: statementDebt(till, statement),
    cumulative: statement.cumulative,
    signature: statement.signature,
    atMs: clock.nowMs(),
  })
}

export function recordClosed(
  { vault, clock }: RowNeeds,
  channel: PresentedChannel,
  sessionId: Hex,
  till: Pick<Till, 'up' | 'down'>,
  reason: CloseReason,
): Promise<void> {
  const { up, down } = till
  return vault.record({
    kind: 'session-closed',
    rootId: channel.rootId,
    index: channel.proof.index,
    sessionId,
    up,
    down,
    reason,
    atMs: clock.nowMs(),
  })
}
