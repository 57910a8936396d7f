/**
 * Diversity: how much of what we know may be of one party. Identities are free, addresses are not: an attacker with ten thousand keys on one
 * line counts as much as three honest nodes.
 *
 * An address stands in three groups: itself, its subnet (the /24, or the /48 of IPv6, which one owner usually has), and its operator: the
 * autonomous system where the owner of this node named a table of them, else the /16 (/32), as Bitcoin nodes do it. Pure.
 */
import { isIP } from 'node:net'

// --- Our choices. Safe to change. ---
/** In one bucket of the table, that is among nodes about equally far. Two: a household with two nodes. */
export const BUCKET_LIMITS: Limits = { address: 2, subnet: 3, operator: 8 }
/** In the whole table, which has some hundred entries: a subnet is below a tenth of it. */
export const TABLE_LIMITS: Limits = { address: 3, subnet: 6, operator: 24 }
/** Among the ten nodes that keep a shelf, as one who looks for them takes them: two of one operator cannot outvote the others. */
export const SHORTLIST_LIMITS: Limits = { address: 1, subnet: 1, operator: 2 }
/** Connections others may have to us. Consumers of one carrier share an address. */
export const INBOUND_LIMITS: Limits = { address: 8, subnet: 16, operator: 64 }

export interface Limits {
  readonly address: number
  readonly subnet: number
  readonly operator: number
}

/** The groups of an address by kind; undefined for this machine itself, where a whole local exchange is. */
export type Groups = Readonly<Record<keyof Limits, string>> | undefined
export type GroupsOf = (ip: string) => Groups

/** `asnOf`: the autonomous system an address belongs to; undefined where no table says. */
export function groupsBy(asnOf: (ip: string) => number | undefined = () => undefined): GroupsOf {
  return (ip) => {
    if (ip === '127.0.0.1' || ip === '::1') return undefined
    const asn = asnOf(ip)
    const [subnet, wide] = isIP(ip) === 6 ? [prefix6(ip, 3), prefix6(ip, 2)] : [prefix4(ip, 3), prefix4(ip, 2)]
    return { address: ip, subnet, operator: asn === undefined ? wide : `as${asn}` }
  }
}

const prefix4 = (ip: string, parts: number) => ip.split('.').slice(0, parts).join('.')

/** The first 16-bit groups of an IPv6 address, written out. */
function prefix6(ip: string, groups: number): string {
  const [head = '', tail] = ip.split('%')[0]!.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')
  return [...left, ...zeros, ...right].slice(0, groups).join(':')
}

const KINDS = ['address', 'subnet', 'operator'] as const

/** Counts groups against limits. */
export class Crowd {
  readonly #limits: Limits
  readonly #counts = new Map<string, number>()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Whether one more of these groups is within the limits; then it is counted. */
  admit(groups: Groups): boolean {
    if (groups === undefined) return true
    if (KINDS.some((kind) => this.#count(kind, groups) >= this.#limits[kind])) return false
    for (const kind of KINDS) this.#counts.set(`${kind} ${groups[kind]}`, this.#count(kind, groups) + 1)
    return true
  }

  leave(groups: Groups): void {
    if (groups === undefined) return
    for (const kind of KINDS) {
      const left = this.#count(kind, groups) - 1
      if (left > 0) this.#counts.set(`${kind} ${groups[kind]}`, left)
      else this.#counts.delete(`${kind} ${groups[kind]}`)
    }
  }

  #count(kind: keyof Limits, groups: NonNullable<Groups>): number {
    return this.#counts.get(`${kind} ${groups[kind]}`) ?? 0
  }
}
