/**
 * Verdicts: destinations that the main thread resolved and allowed a moment ago, so that the next flow to the same one need not ask.
 *
 * The rule it keeps: only what was allowed is kept, under exactly the host and port that were asked for, with exactly the addresses that were
 * checked. Whatever is not here is for the main thread to decide; a refusal is decided anew each time.
 */

export interface Verdict {
  readonly host: string
  readonly port: number
  /** In the order they are tried, as the system wants them. */
  readonly addresses: readonly Uint8Array[]
  readonly timeoutMs: number
}

/** Of one session: a page with its advertisements, many times over. */
const MOST = 256

export class Verdicts {
  readonly #known = new Map<string, { verdict: Verdict; untilMs: number }>()

  add(verdict: Verdict, untilMs: number): void {
    const key = keyOf(verdict)
    this.#known.delete(key)
    this.#known.set(key, { verdict, untilMs })
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value!)
  }

  of(asked: { host: string; port: number }, nowMs: number): Verdict | undefined {
    const key = keyOf(asked)
    const known = this.#known.get(key)
    if (known === undefined) return undefined
    if (known.untilMs > nowMs) return known.verdict
    this.#known.delete(key)
    return undefined
  }

  forget(verdict: Verdict): void {
    this.#known.delete(keyOf(verdict))
  }
}

/** A host never holds a space. */
const keyOf = ({ host, port }: { host: string; port: number }) => `${port} ${host}`
