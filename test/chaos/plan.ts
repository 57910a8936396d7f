/** What the two ends of a transfer are going to do: sizes, pauses, half-closes, resets. Everything follows from the seed. */
import type { Random } from '../crash/random.ts'

/** One end. Numbers are bytes of content unless they say ms. */
export interface Part {
  /** How much it sends, then it half-closes. */
  bytes: number
  /** When it starts to: at once, when the first byte or the end of the other side is heard. Only the origin ever waits. */
  begins: 'at once' | 'after a byte' | 'after the end'
  /** In the middle of sending nothing comes for a while. */
  pause?: { at: number; ms: number }
  /** As a fast reader, one that takes {@link SLOW_READ_MS} or more for all that comes, or one that stops once for a while. */
  reads: { kind: 'fast' } | { kind: 'slow'; expects: number } | { kind: 'stalls'; at: number; ms: number }
  /** Resets the connection when this many bytes went that way. */
  reset?: { way: 'sent' | 'received'; at: number }
}

export interface Plan {
  id: number
  client: Part
  origin: Part
}

/** Long enough for everything on the way to fill up. */
export const SLOW_READ_MS = 2_500
const MAX_PAUSE_MS = 2_000
const KIB = 1_024
const MIB = KIB * KIB
/** Mostly small, as the web is: share of transfers, and the most they carry each way. */
const SIZES = [
  { share: 0.1, most: 0 },
  { share: 0.35, most: 2 * KIB },
  { share: 0.3, most: 256 * KIB },
  { share: 0.17, most: 4 * MIB },
  { share: 0.06, most: 16 * MIB },
  { share: 0.02, most: 64 * MIB },
] as const
const RESET_SHARE = 0.12
const PAUSE_SHARE = 0.15
const SLOW_SHARE = 0.12
const STALL_SHARE = 0.12

export function planTransfers(count: number, random: Random): Plan[] {
  return Array.from({ length: count }, (_, id) => planOne(id, random))
}

function planOne(id: number, random: Random): Plan {
  const size = sizeOf(random)
  const small = Math.min(size, sizeOf(random))
  const [up, down] = random.chance(0.5) ? [size, small] : [small, size]
  const client = partOf(up, down, random)
  const origin = { ...partOf(down, up, random), begins: random.pick(['at once', 'after a byte', 'after the end'] as const) }
  // Of an upload of nothing no first byte is heard.
  if (up === 0 && origin.begins === 'after a byte') origin.begins = 'after the end'
  if (random.chance(RESET_SHARE)) {
    const part = random.chance(0.5) ? client : origin
    const way = random.pick(['sent', 'received'] as const)
    const most = (way === 'sent') === (part === client) ? up : down
    part.reset = { way, at: random.between(0, most) }
  }
  return { id, client, origin }
}

function sizeOf(random: Random): number {
  let left = random.next()
  for (const { share, most } of SIZES) {
    left -= share
    if (left < 0) return random.between(0, most)
  }
  return 0
}

function partOf(sends: number, receives: number, random: Random): Part {
  const part: Part = { bytes: sends, begins: 'at once', reads: { kind: 'fast' } }
  if (random.chance(PAUSE_SHARE)) part.pause = { at: random.between(0, sends), ms: random.between(1, MAX_PAUSE_MS) }
  if (random.chance(SLOW_SHARE)) part.reads = { kind: 'slow', expects: receives }
  else if (random.chance(STALL_SHARE)) part.reads = { kind: 'stalls', at: random.between(0, receives), ms: random.between(1, MAX_PAUSE_MS) }
  return part
}
