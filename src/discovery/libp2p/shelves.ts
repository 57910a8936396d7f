/**
 * Shelves: where offers lie in the network. A shelf is a key of the DHT; the nodes nearest to it keep the offers that belong on it.
 *
 * Each country has four shelves, and so has the world, on which every offer lies besides (as far as its keepers have room: a sample). An
 * offer lies on three of the four, chosen by its node key. So whoever looks at any two shelves of a country meets every offer of it, and whoever
 * wants to hide one must take over the neighbourhoods of three keys at once, which a change of the node key moves.
 *
 * Pure. Spec: docs/protocol.md#shelves.
 */
import { createHash } from 'node:crypto'
import { fromHex, type Hex, toHex } from '../../protocol/bytes.ts'
import type { Offer } from '../../protocol/offer.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
export const SHELVES = 4
/** What every offer also lies under. No country has three letters. */
export const WORLD = 'all'
const TAG = 'byway shelf v1'

export type Shelf = Hex

const sha256 = (...parts: (string | Uint8Array)[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** The shelves of a country, or of the world. */
export const shelvesOf = (region: string): Shelf[] => Array.from({ length: SHELVES }, (_, i) => toHex(sha256(`${TAG}\0${region}\0${i}`)))

/** The shelves an offer lies on: all but one of its country and of the world. */
export function shelvesFor({ nodeKey, country }: Pick<Offer, 'nodeKey' | 'country'>): Shelf[] {
  const left = sha256(TAG, fromHex(nodeKey, 32))[0]! % SHELVES
  return [country, WORLD].flatMap((region) => shelvesOf(region).filter((_, i) => i !== left))
}

/** Where a shelf is among the nodes. */
export const placeOfShelf = (shelf: Shelf): Uint8Array => sha256(fromHex(shelf, 32))

/** Public half of an Ed25519 key as a libp2p peer id: the identity multihash of its protobuf. */
const PEER_ID_PREFIX = Buffer.from('002408011220', 'hex')
/** Where a node is, by its libp2p key: as kad-dht has it. */
export const placeOfKey = (key: Hex): Uint8Array => sha256(PEER_ID_PREFIX, fromHex(key, 32))

/** Which of two places is nearer to a third: negative when `a` is. */
export function compareDistance(target: Uint8Array, a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < target.length; i++) {
    const difference = (a[i]! ^ target[i]!) - (b[i]! ^ target[i]!)
    if (difference !== 0) return difference
  }
  return 0
}

/** Leading bits two places have in common. */
export function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const differs = a[i]! ^ b[i]!
    if (differs !== 0) return i * 8 + Math.clz32(differs) - 24
  }
  return a.length * 8
}
