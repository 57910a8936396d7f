/** When a session moves to another channel: once at a time, and not again at once when it could not. */
import { asBywayError, type BywayError } from '../protocol/errors.ts'

/** A wallet that is empty now, or a chain that is silent, is not asked again with every packet. */
const AGAIN_MS = 3_000

export interface MovingNeeds {
  move(): Promise<void>
  /** Whether the channel should still be left. */
  due(): boolean
  onFailed(error: BywayError): void
}

export class Moving {
  readonly #needs: MovingNeeds
  #underWay: Promise<BywayError | undefined> | undefined
  #failed: BywayError | undefined
  #again: NodeJS.Timeout | undefined

  constructor(needs: MovingNeeds) {
    this.#needs = needs
  }

  /** Moves, or says why it could not. */
  now(): Promise<BywayError | undefined> {
    if (this.#failed !== undefined) return Promise.resolve(this.#failed)
    this.#underWay ??= this.#needs
      .move()
      .then(
        () => undefined,
        (thrown: unknown) => {
          const error = asBywayError(thrown)
          this.#later(error)
          this.#needs.onFailed(error)
          return error
        },
      )
      .finally(() => {
        this.#underWay = undefined
      })
    return this.#underWay
  }

  /** What is stuck at the end of a channel gives no sign of life by itself: the wallet is looked at again after a while. */
  #later(error: BywayError): void {
    this.#failed = error
    this.#again = setTimeout(() => {
      this.#failed = undefined
      if (this.#needs.due()) void this.now()
    }, AGAIN_MS)
  }

  stop(): void {
    clearTimeout(this.#again)
  }
}
