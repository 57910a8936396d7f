/** A question to the provider, on the control link, that is asked again when the link it was asked on is lost. */
import { BywayError } from '../protocol/errors.ts'
import type { MessageBody } from '../protocol/messages.ts'
import { OPEN_TIMEOUT_MS } from './links.ts'

export class Question {
  readonly #say: () => void
  readonly #away: () => boolean
  readonly #answer = Promise.withResolvers<MessageBody<'accepted'>>()
  #late: NodeJS.Timeout | undefined

  /** Asks at once. `away`: whether the provider cannot be reached now; then it is not late. */
  constructor(say: () => void, away: () => boolean) {
    this.#say = say
    this.#away = away
    this.ask()
  }

  /** Rejects with SESSION_TIMEOUT, or with why nobody waits any more. */
  get answer(): Promise<MessageBody<'accepted'>> {
    return this.#answer.promise
  }

  ask(): void {
    clearTimeout(this.#late)
    this.#late = setTimeout(() => {
      if (!this.#away()) this.givenUp(new BywayError('SESSION_TIMEOUT', 'the provider did not answer the move'))
    }, OPEN_TIMEOUT_MS)
    try {
      this.#say()
    } catch {
      // The link is gone, which will be noticed in a moment; it is asked on the next.
    }
  }

  answered(body: MessageBody<'accepted'>): void {
    clearTimeout(this.#late)
    this.#answer.resolve(body)
  }

  givenUp(error: BywayError): void {
    clearTimeout(this.#late)
    this.#answer.reject(error)
  }
}
