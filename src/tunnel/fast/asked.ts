/** A flow that was asked for and is not open yet, at the exit: hears its link meanwhile, and keeps the first words for the destination. */
import { MAX_EARLY_BYTES } from '../../protocol/flow.ts'
import type { Message } from '../../protocol/messages.ts'
import type { Dial } from './dial.ts'
import type { Memory } from './native.ts'
import type { LinkOwner, SealedLink } from './sealed-link.ts'
import { unexpected } from './side.ts'

export class Asked implements LinkOwner {
  readonly flow: number
  readonly link: SealedLink
  /** Bounded, because nobody paid for them. */
  readonly early: Buffer[] = []
  earlyBytes = 0
  /** The consumer said its last word behind them. */
  ended = false
  /** Undefined while the main thread decides. */
  dial: Dial | undefined
  cancelled = false
  readonly #onCancelled: (asked: Asked) => void

  /** `onCancelled`: nobody wants it any more. Called once. */
  constructor(flow: number, link: SealedLink, onCancelled: (asked: Asked) => void) {
    this.flow = flow
    this.link = link
    this.#onCancelled = onCancelled
  }

  onMessage({ name }: Message): void {
    if (name === 'reset') this.#cancel()
    else if (name === 'end') this.ended = true
    else throw unexpected(`${name} has no place before a flow is open`)
  }

  onData({ bytes: memory }: Memory, at: number, bytes: number): void {
    if (this.ended && bytes > 0) throw unexpected('data after the end of a flow')
    this.earlyBytes = withinEarly(this.earlyBytes + bytes)
    this.early.push(Buffer.from(memory.subarray(at, at + bytes)))
  }

  onBatch(): boolean {
    return false
  }

  onRoom(): void {}

  onClosed(): void {
    this.#cancel()
  }

  #cancel(): void {
    if (this.cancelled) return
    this.cancelled = true
    this.#onCancelled(this)
  }
}

/** The same number, if a flow that is not open may have said so much. Throws MESSAGE_UNEXPECTED. */
export function withinEarly(bytes: number): number {
  if (bytes > MAX_EARLY_BYTES) throw unexpected('more data than allowed before the flow was open')
  return bytes
}
