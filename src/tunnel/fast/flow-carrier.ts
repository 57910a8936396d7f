/**
 * A link's bytes over a flow of another link in this thread: a hop inside a hop, without a socket between them.
 *
 * The link was made on the main thread, over a pair of sockets whose other end the flow carried. What is still in the pair is taken first, and
 * then the pair is gone: what the link seals the flow keeps and seals again, and what the flow brings the link opens. The rule it keeps: no byte
 * is lost, doubled or reordered by that, and whatever holds either of them back holds the other back too.
 */
import type { CarriedFlow, Inside } from './carried-flow.ts'
import type { Loop } from './loop.ts'
import { ERRNO, type Memory, type Native } from './native.ts'
import type { Carrier, SealedLink } from './sealed-link.ts'
import type { Thread } from './shared.ts'

/** What a flow does for the link inside it. */
export type Outer = Pick<CarriedFlow, 'canHold' | 'hold' | 'push' | 'pull' | 'letGo'>

export class FlowCarrier implements Carrier, Inside {
  readonly #flow: Outer
  readonly #loop: Loop
  #link: SealedLink | undefined
  /** What was on its way through the pair of sockets: to the link, and from it. */
  #heard: Buffer
  #said: Buffer

  /** `theirs` is the link's end of the pair, the other is the flow's. Undefined when the flow cannot be joined now: the pair stays as it is. */
  static over(thread: Thread, flow: Outer, theirs: number): FlowCarrier | undefined {
    return flow.canHold ? new FlowCarrier(thread, flow, theirs) : undefined
  }

  private constructor({ native, small, loop }: Thread, flow: Outer, theirs: number) {
    this.#flow = flow
    this.#loop = loop
    const ours = flow.hold(this)
    this.#said = emptied(native, ours, small)
    this.#heard = emptied(native, theirs, small)
  }

  start(link: SealedLink): void {
    this.#link = link
    this.#sayBefore()
  }

  // --- For the link. ---

  read(memory: Memory, at: number, bytes: number): number {
    const before = this.#heard.copy(memory.bytes, at, 0, bytes)
    this.#heard = this.#heard.subarray(before)
    if (before === bytes) return before
    const count = this.#flow.pull(memory, at + before, bytes - before)
    if (before === 0) return count
    // The end, which was not told yet.
    if (count === 0) this.#loop.again({ run: () => this.onPayload(true) })
    return count > 0 ? before + count : before
  }

  send(memory: Memory, at: number, bytes: number): number {
    return this.#sayBefore() ? this.#flow.push(memory.bytes, at, bytes) : -ERRNO.EAGAIN
  }

  close(): void {
    this.#heard = NOTHING
    this.#flow.letGo()
  }

  /** True when nothing of it is left. */
  #sayBefore(): boolean {
    if (this.#said.length === 0) return true
    const count = this.#flow.push(this.#said, 0, this.#said.length)
    if (count > 0) this.#said = this.#said.subarray(count)
    return this.#said.length === 0
  }

  // --- For the flow. ---

  onPayload(over: boolean): void {
    this.#link?.onReady(true, false, over, true)
  }

  onRoom(): void {
    if (this.#sayBefore()) this.#link?.onReady(false, true, false)
  }

  onGone(): void {
    this.#link?.broke(ERRNO.ECONNRESET)
  }
}

const NOTHING = Buffer.alloc(0)

/** What is in a socket of a pair whose other end is written no more. It is closed. */
function emptied(native: Native, fd: number, memory: Memory): Buffer {
  const found: Buffer[] = []
  for (;;) {
    const count = native.read(fd, memory.address, memory.bytes.length)
    if (count > 0) found.push(Buffer.from(memory.bytes.subarray(0, count)))
    else if (count !== -ERRNO.EINTR) break
  }
  native.close(fd)
  return Buffer.concat(found)
}
