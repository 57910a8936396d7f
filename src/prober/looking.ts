/** Signs of life: one prober after the other looks whether each provider is there, and counts. */
import type { Hex } from '../protocol/bytes.ts'
import type { Audited } from './epoch.ts'
import type { Looks } from './rewards.ts'

export class Looking {
  readonly #members: readonly Hex[]
  readonly #look: (operator: Hex) => Promise<void>
  #epoch = -1n
  #counts = new Map<string, { member: Hex; operator: Hex; asked: bigint; answered: bigint }>()
  #turn = 0

  /** `look` rejects when the operator's node does not answer. */
  constructor(members: readonly Hex[], look: (operator: Hex) => Promise<void>) {
    this.#members = members
    this.#look = look
  }

  /** The next member looks at every provider of this epoch. */
  async look({ epoch, observations }: Audited): Promise<void> {
    if (epoch !== this.#epoch) this.#counts.clear()
    this.#epoch = epoch
    const member = this.#members[this.#turn++ % this.#members.length]
    if (member === undefined) return
    await Promise.all(
      observations.map(async ({ operator }) => {
        const there = await this.#look(operator).then(
          () => true,
          () => false,
        )
        const key = `${member}:${operator}`
        const { asked, answered } = this.#counts.get(key) ?? { asked: 0n, answered: 0n }
        this.#counts.set(key, { member, operator, asked: asked + 1n, answered: there ? answered + 1n : answered })
      }),
    )
  }

  /** What each member found in this epoch. */
  found(epoch: bigint): Looks[] {
    return epoch === this.#epoch ? [...this.#counts.values()].map((counts) => ({ ...counts, epoch })) : []
  }
}
