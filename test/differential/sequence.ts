/**
 * Random operations that TypeScript and Solidity both can draw: a linear congruence modulo 2^256, of which the high half is used. Everything an
 * operation did, and whether it was refused, is folded into one number; two programs that come to the same number did the same.
 */
const WORD = 1n << 256n
/** Knuth's multiplier for 64 bits twice, and an odd step. */
const MULTIPLIER = 6_364_136_223_846_793_005n * (1n << 64n) + 1_442_695_040_888_963_407n
const STEP = 1_442_695_040_888_963_407n

/** Folds a value into a digest. */
export const fold = (digest: bigint, value: bigint): bigint => (digest * MULTIPLIER + value + STEP) % WORD

/** What one operation is made from. Solidity takes the same bits (contracts/test/differential/Replay.sol). */
export interface Drawn {
  readonly kind: number
  /** Who does it, with what, and how much: 8, 16 and 96 bits. */
  readonly who: number
  readonly what: number
  readonly amount: bigint
}

export class Sequence {
  #state: bigint
  #kind = 0
  digest = 0n
  /** How often each kind of operation was done, and how often refused. */
  readonly done: number[] = []
  readonly refused: number[] = []

  constructor(seed: bigint) {
    this.#state = (seed * MULTIPLIER + STEP) % WORD
  }

  next(kinds: number): Drawn {
    const random = this.raw()
    this.#kind = Number((random & 0xffn) % BigInt(kinds))
    return {
      kind: this.#kind,
      who: Number((random >> 8n) & 0xffn),
      what: Number((random >> 16n) & 0xffffn),
      amount: random >> 32n,
    }
  }

  /** 128 bits. */
  raw(): bigint {
    this.#state = (this.#state * MULTIPLIER + STEP) % WORD
    return this.#state >> 128n
  }

  below(limit: bigint): bigint {
    return this.raw() % limit
  }

  fold(...values: bigint[]): void {
    for (const value of values) this.digest = fold(this.digest, value)
  }

  /** Does the operation drawn last and folds what it gave: 0 when it was refused, one more than its result when not. */
  attempt(operation: () => bigint): void {
    const count = (counts: number[]) => (counts[this.#kind] = (counts[this.#kind] ?? 0) + 1)
    try {
      this.fold(operation() + 1n)
      count(this.done)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.fold(0n)
      count(this.refused)
    }
  }
}

/** Thrown by a model where the contract reverts. What was changed before must not count, so models refuse first and change after. */
export class Refused extends Error {}

export function refuse(when: boolean): void {
  if (when) throw new Refused()
}
