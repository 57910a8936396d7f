/**
 * The door of the directory: what an offer from outside has to be before anything of it is kept.
 *
 * The cheap questions come first: a flood of records costs a look at each, and not a signature check.
 */
import { isIP } from 'node:net'
import type { Clock } from '../../protocol/clock.ts'
import { asBywayError, type ErrorCode } from '../../protocol/errors.ts'
import { readOffer, type SignedOffer } from '../../protocol/offer.ts'

/** Why an offer is not kept: the label of `byway_offers_refused_total`. */
export const REFUSALS = [
  'oversized',
  'flooding',
  'malformed',
  'forged',
  'expired',
  'future',
  'stale',
  'private',
  'elsewhere',
  'full',
] as const
export type Refusal = (typeof REFUSALS)[number]

/** Who brings offers, and what it may. */
export interface Source {
  /** Sources of one name share what they may: a peer's network, say, rather than the peer. */
  readonly name: string
  /** So many in a row, and so many a second after that. */
  readonly burst: number
  readonly perSecond: number
  /** Its offers may name addresses that are not public: only what the owner chose himself. */
  readonly privateAddresses: boolean
}

export interface DoorNeeds {
  clock: Clock
  /** Whether an IP address is one of the public internet. */
  isPublic(ip: string): boolean
}

/** Sources remembered; whoever is forgotten may begin anew, which is why peers should come under the name of their network. */
const MAX_SOURCES = 4_096

const BY_CODE: Partial<Record<ErrorCode, Refusal>> = { OFFER_SIGNATURE: 'forged', OFFER_EXPIRED: 'expired', OFFER_FUTURE: 'future' }

/** Names that mean something else to everybody who asks: no place on the internet. */
const LOCAL_NAME = /^[^.]*$|\.(local|localhost|lan|home|internal|intranet|corp|test|invalid|example|arpa|onion)$/

export class Door {
  readonly #needs: DoorNeeds
  readonly #left = new Map<string, { tokens: number; atMs: number }>()

  constructor(needs: DoorNeeds) {
    this.#needs = needs
  }

  /** Whether this source may bring another one now. */
  admits({ name, burst, perSecond }: Source): boolean {
    if (burst === Number.POSITIVE_INFINITY) return true
    const nowMs = this.#needs.clock.nowMs()
    const before = this.#left.get(name) ?? { tokens: burst, atMs: nowMs }
    const tokens = Math.min(burst, before.tokens + (Math.max(0, nowMs - before.atMs) / 1000) * perSecond)
    this.#left.delete(name)
    this.#left.set(name, { tokens: Math.max(0, tokens - 1), atMs: nowMs })
    if (this.#left.size > MAX_SOURCES) this.#left.delete(this.#left.keys().next().value!)
    return tokens >= 1
  }

  /** The offer, verified, or what speaks against it. */
  read(bytes: Uint8Array): SignedOffer | Refusal {
    try {
      return readOffer(bytes, Math.floor(this.#needs.clock.nowMs() / 1000))
    } catch (thrown) {
      return BY_CODE[asBywayError(thrown).code] ?? 'malformed'
    }
  }

  /** Whether all its addresses are of the public internet. */
  isPublic({ body: { transports } }: SignedOffer): boolean {
    return transports.every(({ kind, host }) => {
      if (kind === 'relay') return true
      return isIP(host) === 0 ? !LOCAL_NAME.test(host.toLowerCase()) : this.#needs.isPublic(host)
    })
  }
}
