/**
 * The fan-out tree: one Merkle-sum root that opens a channel to every payee.
 *
 * A leaf is (payee, cap, salt); a node hashes both child hashes AND both child sums, so a committer cannot show two children different
 * sibling sums (the flaw of Maxwell's original tree). The salt hides who is paid: the list of payees is public and could be guessed.
 * Same bytes as contracts/src/SumTree.sol; test/vectors/fanout.json holds both to it. Spec: docs/protocol.md#fan-out-tree.
 */
import { concat, fromHex, type Hex, hashBytes, toHex, uint } from './bytes.ts'
import { BywayError } from './errors.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers and the contract. ---
/** The contract walks `depth` levels; 2^32 leaves are more than any payer needs. */
export const MAX_DEPTH = 32
const MAX_SUM = (1n << 96n) - 1n

export interface Leaf {
  payee: Hex
  /** Most the payee can ever claim from this leaf, in units. */
  cap: bigint
  /** 32 random bytes. */
  salt: Hex
}

/** Hash and sum of the other child, one per level from the leaf upwards. */
export interface Sibling {
  hash: Hex
  sum: bigint
}

/** What a payee gets to check its own leaf. */
export interface LeafProof {
  index: number
  cap: bigint
  salt: Hex
  siblings: Sibling[]
}

export interface FanoutTree {
  root: Hex
  /** Sum of all caps: what the payer must escrow. */
  sum: bigint
  depth: number
  /** Proof of leaf `index`; indexes are positions in the list the tree was built from. */
  proof(index: number): LeafProof
}

interface Node {
  hash: Uint8Array
  sum: bigint
}

/** An empty place: hash zero, sum zero. Nobody knows a preimage of the zero hash, so nothing can be claimed there. */
const EMPTY: Node = { hash: new Uint8Array(32), sum: 0n }

/** keccak256(payee20 | cap12 | salt32): 64 bytes, never the 88 of a node, so neither passes for the other. */
export function leafHash(leaf: Leaf): Hex {
  return toHex(hashLeaf(leaf))
}

function hashLeaf(leaf: Leaf): Uint8Array {
  return hashBytes(concat(fromHex(leaf.payee, 20), uint(leaf.cap, 12), fromHex(leaf.salt, 32)))
}

function hashNode(left: Node, right: Node): Node {
  return { hash: hashBytes(concat(left.hash, uint(left.sum, 12), right.hash, uint(right.sum, 12))), sum: left.sum + right.sum }
}

/** Builds the tree of smallest depth that holds `leaves` (1 to 2^32). Throws PROOF_INVALID if the caps overflow 96 bits. */
export function buildTree(leaves: readonly Leaf[]): FanoutTree {
  if (leaves.length === 0) throw new BywayError('PROOF_INVALID', 'a fan-out tree needs at least one leaf')
  const depth = Math.ceil(Math.log2(leaves.length))
  const levels: Node[][] = [leaves.map((leaf) => ({ hash: hashLeaf(leaf), sum: leaf.cap }))]
  for (let level = 0; level < depth; level++) {
    const below = levels[level]!
    const above: Node[] = []
    for (let i = 0; i < below.length; i += 2) above.push(hashNode(below[i]!, below[i + 1] ?? EMPTY))
    // Levels are stored without their empty tail, but one empty pair is enough to need a real hash above it.
    levels.push(above)
  }
  const top = levels[depth]![0]!
  if (top.sum > MAX_SUM) throw new BywayError('PROOF_INVALID', 'the caps of a fan-out tree exceed 96 bits', { facts: { sum: top.sum } })
  return {
    root: toHex(top.hash),
    sum: top.sum,
    depth,
    proof(index) {
      const leaf = leaves[index]
      if (leaf === undefined) throw new BywayError('PROOF_INVALID', `the tree has no leaf ${index}`, { facts: { leaves: leaves.length } })
      const siblings = levels.slice(0, depth).map((nodes, level): Sibling => {
        const node = nodes[(index >>> level) ^ 1] ?? EMPTY
        return { hash: toHex(node.hash), sum: node.sum }
      })
      return { index, cap: leaf.cap, salt: leaf.salt, siblings }
    },
  }
}

/** Root hash and sum a proof leads to, or undefined when its shape is wrong (depth, index bits, sums beyond 96 bits). */
export function foldProof(payee: Hex, proof: LeafProof, depth: number): { root: Hex; sum: bigint } | undefined {
  if (proof.siblings.length !== depth || depth > MAX_DEPTH) return undefined
  // Index bits above the depth would let one leaf be claimed under many indexes.
  if (!Number.isInteger(proof.index) || proof.index < 0 || proof.index >= 2 ** depth) return undefined
  if (proof.cap > MAX_SUM || proof.cap < 0n) return undefined
  let node: Node = { hash: hashLeaf({ payee, cap: proof.cap, salt: proof.salt }), sum: proof.cap }
  for (let level = 0; level < depth; level++) {
    const sibling = proof.siblings[level]!
    const other: Node = { hash: fromHex(sibling.hash, 32), sum: sibling.sum }
    if (other.sum > MAX_SUM || other.sum < 0n) return undefined
    node = Math.floor(proof.index / 2 ** level) % 2 === 0 ? hashNode(node, other) : hashNode(other, node)
    if (node.sum > MAX_SUM) return undefined
  }
  return { root: toHex(node.hash), sum: node.sum }
}
