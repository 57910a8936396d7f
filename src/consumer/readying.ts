/**
 * Readying: nobody waits long for an exit to be made ready while another is: for its session, and a link for the flow. Through several hops that takes
 * seconds; it goes on, and is there for the next request.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { within } from './pause.ts'
import type { Place } from './places.ts'
import { keyOf } from './seats.ts'
import type { ConsumerSession, FlowKind } from './session.ts'
import type { Sessions } from './sessions.ts'

/** A person notices a third of a second. One hop to a node of the same continent is ready by then. */
const PATIENCE_MS = 300
/** A link through several slow hops takes some seconds. One that takes longer nobody waits for. */
const LINK_LIMIT_MS = 15_000

interface Opened {
  session: ConsumerSession
  /** Why there is no link. */
  trouble: unknown
}

export class Readying {
  readonly #sessions: Sessions
  readonly #onFailed: (nodeKey: Hex, thrown: unknown) => void
  /** Made ready while requests go past them. */
  readonly #passed = new Set<string>()

  /** `onFailed` hears of what went wrong after nobody waited for it any more. */
  constructor(sessions: Sessions, onFailed: (nodeKey: Hex, thrown: unknown) => void) {
    this.#sessions = sessions
    this.#onFailed = onFailed
  }

  /**
   * The session with this exit, or undefined when it takes long and another is `nearer` to being ready. Rejects as {@link Sessions.with} does.
   */
  async soon(place: Place, offer: SignedOffer, kind: FlowKind, nearer: () => boolean): Promise<ConsumerSession | undefined> {
    const { nodeKey } = offer.body
    const key = `${kind} ${keyOf(place, nodeKey)}`
    if (this.#passed.has(key)) return undefined
    // Each of several that wait makes a link of its own, which it is going to need.
    const opening = this.#open(place, offer, kind)
    do {
      const opened = await within(opening, PATIENCE_MS)
      // Without a link, too: the flow that needs one finds out what is wrong, and knows what to do.
      if (opened !== undefined) return opened.session
      // Others may have taken what the other one had.
    } while (!nearer())
    // One of those that waited tells what became of it.
    if (this.#passed.has(key)) return undefined
    this.#passed.add(key)
    void this.#tell(opening, nodeKey).finally(() => this.#passed.delete(key))
    return undefined
  }

  async #open(place: Place, offer: SignedOffer, kind: FlowKind): Promise<Opened> {
    const session = await this.#sessions.with(place, offer)
    try {
      await session.prepare(kind, AbortSignal.timeout(LINK_LIMIT_MS))
      return { session, trouble: undefined }
    } catch (thrown) {
      return { session, trouble: thrown }
    }
  }

  async #tell(opening: Promise<Opened>, nodeKey: Hex): Promise<void> {
    const trouble = await opening.then(
      (opened) => opened.trouble,
      (thrown: unknown) => thrown,
    )
    if (trouble !== undefined) this.#onFailed(nodeKey, trouble)
  }
}
