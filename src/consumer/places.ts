/**
 * Places: where in a route a node serves, and so who pays it.
 *
 * The only hop of a route is one place, the entry of two hops another, and so on: six places, and one for relays. Each has a payer of its own.
 * A node that serves the same consumer at two places, or two nodes that compare notes, see different payers, roots and session keys.
 */
export const MAX_HOPS = 3
/** Places of one lane. */
const PLACES = 6
/**
 * A node already in use at a place may be reached through a node that must not serve on the next route too. It is then used once more in another
 * lane, with payers of its own. Where few nodes are on offer three lanes are enough for any of them to be the exit.
 */
const LANES = 3

export interface Place {
  /** Numbers its payer. In lane 0: 0 for the only hop, 1 and 2 for entry and exit of two, 3 to 5 for entry, middle and exit of three. */
  readonly index: number
  readonly lane: number
  readonly hops: number
  /** From 0, the hop next to the consumer. */
  readonly position: number
}

export function placeOf(hops: number, position: number, lane = 0): Place {
  return { index: lane * PLACES + (hops * (hops - 1)) / 2 + position, lane, hops, position }
}

/** Next to the consumer, before a node that only its relays can reach. It is no hop that was asked for, and has a payer of its own too. */
export const RELAY_PLACE: Place = { index: LANES * PLACES, lane: 0, hops: 2, position: 0 }

/** Where the destination's connection comes from. */
export const exitPlace = (hops: number): Place => placeOf(hops, hops - 1)

/** The place next nearer to the consumer; undefined for the first. */
export function placeBefore({ hops, position, lane }: Place): Place | undefined {
  return position === 0 ? undefined : placeOf(hops, position - 1, lane)
}

/** The same place in its own lane and in all after it. */
export function lanesFrom({ hops, position, lane }: Place): Place[] {
  return Array.from({ length: LANES - lane }, (_, further) => placeOf(hops, position, lane + further))
}
