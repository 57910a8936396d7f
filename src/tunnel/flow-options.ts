/** What a flow needs from its owner, and what it tells it. */
import type { BywayError } from '../protocol/errors.ts'
import type { KeepingBudget } from './keeping.ts'
import type { Link } from './link.ts'

export type CountedWay = 'sent' | 'unsent' | 'received' | 'discarded'

export interface FlowOptions {
  link: Link
  side: 'consumer' | 'provider'
  /** Shared by the flows of a session: how much they may keep together. */
  budget: KeepingBudget
  /** The provider has not said `opened` yet. Consumer only. */
  opening?: boolean
  /** Payload that arrived before the flow was open. Provider only. */
  early?: readonly Buffer[]
  /**
   * Payload that leaves on a link for the first time ('sent') or came from it ('received', or 'discarded' after this end gave the flow up),
   * before it is handed on; and of what was sent, what turned out to be for a flow that could not be opened ('unsent'). Throwing breaks the link.
   */
  onCount?: (way: CountedWay, bytes: number) => void
  /** The flow is over and its link, if it has one, free. Consumer: with the provider's totals. */
  onDone: (stated: { up: bigint; down: bigint } | undefined) => void
  /** Consumer: the destination is connected. */
  onOpened?: () => void
  /** Consumer: the provider could not open it. The link is free; nothing was counted. */
  onFailed?: (failure: { code: string; message: string }) => void
  /** The other end said something, payload aside: its way is alive. */
  onHeard?: () => void
  /** The link broke. The flow waits for FlowStream.continueOn or FlowStream.giveUp. */
  onSuspended: (error: BywayError) => void
}
