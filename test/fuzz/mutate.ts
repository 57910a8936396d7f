/**
 * Malformed input made from valid input: recorded messages with a few bytes wrong, cut, doubled or grown.
 *
 * Everything follows from a seed, so that a failing input can be made again from its number.
 */

/** Uniform integers below `below`, reproducible (xorshift128, Marsaglia 2003). */
export type Random = (below: number) => number

export function seeded(seed: number): Random {
  let [x, y, z, w] = [seed | 0 || 1, 362_436_069, 521_288_629, 88_675_123]
  const random: Random = (below) => {
    const t = x ^ (x << 11)
    ;[x, y, z] = [y, z, w]
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8)
    return (w >>> 0) % below
  }
  // The first outputs of close seeds resemble each other.
  for (let i = 0; i < 16; i++) random(1)
  return random
}

/** Longest input made: past every limit of the parsers, short enough for many of them a second. */
const MAX_BYTES = 100_000
/** Lengths at which counters wrap or buffers end. */
const EDGES: readonly number[] = [0, 1, 0x7f, 0x80, 0xfe, 0xff]
const HUGE_NUMBERS: readonly string[] = [
  '0',
  '-1',
  '255',
  '256',
  '65535',
  '65536',
  '2147483648',
  '4294967296',
  '18446744073709551616',
  '9'.repeat(40),
  '0x10',
  '1e9',
  '+5',
  '1_0',
]
/** Pieces that mean something to text protocols. */
const TOKENS: readonly string[] = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  '/',
  '@',
  '[',
  ']',
  '%00',
  '#',
  '..',
  ',',
  ';',
  '-',
  '\xff',
  '\u00e9',
]

/** What a mutation works on: the bytes, and the whole corpus to take pieces from. */
type Mutation = (input: Buffer, corpus: readonly Buffer[], random: Random) => Buffer

const MUTATIONS: readonly Mutation[] = [
  function flipBit(input, _corpus, random) {
    return edit(input, random, (byte) => byte ^ (1 << random(8)))
  },
  function setEdge(input, _corpus, random) {
    return edit(input, random, () => EDGES[random(EDGES.length)]!)
  },
  function setRandom(input, _corpus, random) {
    return edit(input, random, () => random(256))
  },
  function insertBytes(input, _corpus, random) {
    const bytes = Buffer.from(Array.from({ length: 1 + random(16) }, () => random(256)))
    return insert(input, random(input.length + 1), bytes)
  },
  function insertToken(input, _corpus, random) {
    return insert(input, random(input.length + 1), Buffer.from(TOKENS[random(TOKENS.length)]!, 'latin1'))
  },
  function remove(input, _corpus, random) {
    const at = random(input.length + 1)
    return Buffer.concat([input.subarray(0, at), input.subarray(at + 1 + random(16))])
  },
  function truncate(input, _corpus, random) {
    return input.subarray(0, random(input.length + 1))
  },
  function double(input, _corpus, random) {
    const at = random(input.length + 1)
    return insert(input, at, input.subarray(at, at + 1 + random(64)))
  },
  function splice(input, corpus, random) {
    const other = corpus[random(corpus.length)]!
    return Buffer.concat([input.subarray(0, random(input.length + 1)), other.subarray(random(other.length + 1))])
  },
  function follow(input, corpus, random) {
    return Buffer.concat([input, corpus[random(corpus.length)]!])
  },
  /** A length field of one to eight bytes that promises everything or nothing. */
  function wrongLength(input, _corpus, random) {
    const copy = Buffer.from(input)
    const at = random(copy.length + 1)
    copy.fill(random(2) === 0 ? 0xff : 0, at, Math.min(copy.length, at + (1 << random(4))))
    return copy
  },
  /** A decimal number replaced by one at or beyond an edge. */
  function wrongNumber(input, _corpus, random) {
    const numbers = [...input.toString('latin1').matchAll(/\d+/g)]
    const found = numbers[random(Math.max(1, numbers.length))]
    if (found === undefined) return input
    const number = Buffer.from(HUGE_NUMBERS[random(HUGE_NUMBERS.length)]!)
    return Buffer.concat([input.subarray(0, found.index), number, input.subarray(found.index + found[0].length)])
  },
  function grow(input, _corpus, random) {
    const at = random(input.length + 1)
    const piece = input.subarray(at, at + 1 + random(8))
    return insert(input, at, Buffer.alloc(1 << random(17), piece.length === 0 ? 'a' : piece))
  },
]

/** One malformed (or, rarely, still valid) input: a message of the corpus after one to four mutations. */
export function mutate(corpus: readonly Buffer[], random: Random): Buffer {
  let input = corpus[random(corpus.length)]!
  for (let left = 1 + random(4); left > 0; left--) input = MUTATIONS[random(MUTATIONS.length)]!(input, corpus, random)
  return input.subarray(0, MAX_BYTES)
}

/** The input in pieces, as a network may deliver it. */
export function inPieces(input: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < input.length; ) {
    const size = random(4) === 0 ? input.length : 1 + random(64)
    pieces.push(input.subarray(at, at + size))
    at += size
  }
  return pieces
}

function edit(input: Buffer, random: Random, change: (byte: number) => number): Buffer {
  if (input.length === 0) return input
  const copy = Buffer.from(input)
  const at = random(copy.length)
  copy[at] = change(copy[at]!)
  return copy
}

function insert(input: Buffer, at: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([input.subarray(0, at), bytes, input.subarray(at)])
}
