/** Seats: a node at a place, which is what a session is kept for. */
import type { Hex } from '../protocol/bytes.ts'
import { relaysOf, type SignedOffer } from '../protocol/offer.ts'
import type { Place } from './places.ts'

export interface Seat {
  readonly place: Place
  readonly offer: SignedOffer
}

export const keyOf = ({ index }: Place, nodeKey: Hex) => `${index}:${nodeKey}`
export const keyIn = ({ place, offer }: Seat) => keyOf(place, offer.body.nodeKey)

/** A tucked node can be reached only through its relays. */
export function calledThrough(offer: SignedOffer): readonly Hex[] | undefined {
  return offer.body.transports.some(({ kind }) => kind === 'tls') ? undefined : relaysOf(offer)
}

/** Whether a route of this later node goes through a session already that serves on routes with these. */
export function serves(after: ReadonlySet<SignedOffer>, { body }: SignedOffer): boolean {
  return [...after].some((later) => later.body.nodeKey === body.nodeKey)
}
