/**
 * Flows whose link broke. Either side may learn of it first, so a flow is settled once both counts are known: what arrived here, and what
 * the provider says it carried. What a provider says of any other flow is not kept, or it could fill the memory with it.
 */
import { MAX_SESSION_FLOWS } from '../protocol/flow.ts'

interface Counts {
  sent: bigint
  received: bigint
}
interface Stated {
  up: bigint
  down: bigint
}

/** Flows whose end the provider does not tell, and may never: of more than this many at once the oldest are not settled. */
const MAX_UNSETTLED = MAX_SESSION_FLOWS

export class BrokenFlows {
  /** Flows asked for whose end is not known yet. */
  readonly #unsettled = new Set<number>()
  readonly #counts = new Map<number, Counts>()
  readonly #stated = new Map<number, Stated>()
  readonly #settle: (flow: Counts, stated: Stated) => void

  constructor(settle: (flow: Counts, stated: Stated) => void) {
    this.#settle = settle
  }

  /** The flow was asked for: from now on it may break. */
  asked(flowId: number): void {
    this.#unsettled.add(flowId)
  }

  /** The flow ended in order, or never began. */
  over(flowId: number): void {
    this.#unsettled.delete(flowId)
    this.#counts.delete(flowId)
    this.#stated.delete(flowId)
  }

  broke(flowId: number, { sent, received }: Counts): void {
    if (!this.#unsettled.has(flowId)) return
    this.#counts.set(flowId, { sent, received })
    if (this.#counts.size > MAX_UNSETTLED) this.over(this.#counts.keys().next().value!)
    this.#match(flowId)
  }

  stated(flowId: number, { up, down }: Stated): void {
    // A link that broke right after `done` is told of too: that flow is settled.
    if (!this.#unsettled.has(flowId)) return
    this.#stated.set(flowId, { up, down })
    this.#match(flowId)
  }

  #match(flowId: number): void {
    const flow = this.#counts.get(flowId)
    const stated = this.#stated.get(flowId)
    if (flow === undefined || stated === undefined) return
    this.over(flowId)
    this.#settle(flow, stated)
  }
}
