/**
 * Writes test/vectors/fanout.json: known answers for the sum tree, the names and the signatures, which contracts/test/Vectors.t.sol and
 * the TypeScript tests of src/protocol both check.
 *
 *     node contracts/scripts/vectors.ts            write the file
 *     node contracts/scripts/vectors.ts --check    exit 1 if the file differs
 *
 * A third opinion: nothing is imported from src/ or read from the contracts. Trees are built here, hashes and signatures are viem's.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Address,
  concatHex,
  encodeAbiParameters,
  encodePacked,
  type Hex,
  hashDomain,
  hashStruct,
  hashTypedData,
  keccak256,
  numberToHex,
  parseSignature,
  signatureToCompactSignature,
  slice,
  stringToHex,
  zeroHash,
} from 'viem'
import { privateKeyToAccount, sign } from 'viem/accounts'

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const OUTPUT = resolve(REPOSITORY, 'test/vectors/fanout.json')

interface Leaf {
  payee: Address
  cap: bigint
  salt: Hex
}

interface Node {
  hash: Hex
  sum: bigint
}

const RULE = [
  'payee(i) = last 20 bytes of keccak256(utf8("byway/fanout/payee/" + i)), i in decimal',
  'cap(i) = 1000 + (i * 7919) mod 50000',
  'salt(i) = keccak256(utf8("byway/fanout/salt/" + i))',
]
const named = (name: string): Hex => keccak256(stringToHex(`byway/fanout/${name}`))
const byRule = (i: number): Leaf => ({
  payee: slice(named(`payee/${i}`), 12),
  cap: 1_000n + ((BigInt(i) * 7_919n) % 50_000n),
  salt: named(`salt/${i}`),
})

const signerKey = named('key/signer')
const payerKey = named('key/payer')
const payeeKey = named('key/payee')
const addressOf = (key: Hex) => privateKeyToAccount(key).address.toLowerCase() as Address

const domain = {
  name: 'Byway Channels',
  version: '1',
  chainId: 31_337,
  verifyingContract: slice(named('contract'), 12),
} as const

const EIP712Domain = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
] as const

const DESCRIPTOR = [
  { name: 'payer', type: 'address' },
  { name: 'signer', type: 'address' },
  { name: 'root', type: 'bytes32' },
  { name: 'sum', type: 'uint96' },
  { name: 'expiry', type: 'uint64' },
  { name: 'depth', type: 'uint8' },
  { name: 'nonce', type: 'uint64' },
] as const

const types = {
  Voucher: [
    { name: 'rootId', type: 'bytes32' },
    { name: 'index', type: 'uint32' },
    { name: 'payee', type: 'address' },
    { name: 'cumulative', type: 'uint96' },
  ],
  OpenOrder: [...DESCRIPTOR, { name: 'deadline', type: 'uint64' }],
  FeeOrder: [
    { name: 'payee', type: 'address' },
    { name: 'claimsHash', type: 'bytes32' },
    { name: 'submitter', type: 'address' },
    { name: 'fee', type: 'uint96' },
    { name: 'deadline', type: 'uint64' },
  ],
} as const

const EMPTY: Node = { hash: zeroHash, sum: 0n }

const leafNode = ({ payee, cap, salt }: Leaf): Node => ({
  hash: keccak256(encodePacked(['address', 'uint96', 'bytes32'], [payee, cap, salt])),
  sum: cap,
})

const innerNode = (left: Node, right: Node): Node => ({
  hash: keccak256(encodePacked(['bytes32', 'uint96', 'bytes32', 'uint96'], [left.hash, left.sum, right.hash, right.sum])),
  sum: left.sum + right.sum,
})

/** Levels from the leaves up, each without the empty nodes on its right. */
function levelsOf(leaves: readonly Leaf[], depth: number): Node[][] {
  const levels = [leaves.map(leafNode)]
  while (levels.length <= depth) {
    const below = levels.at(-1)!
    levels.push(Array.from({ length: Math.ceil(below.length / 2) }, (_, i) => innerNode(below[2 * i]!, below[2 * i + 1] ?? EMPTY)))
  }
  return levels
}

async function signed(digest: Hex, privateKey: Hex): Promise<{ digest: Hex; r: Hex; vs: Hex }> {
  const { r, yParityAndS } = signatureToCompactSignature(parseSignature(await sign({ hash: digest, privateKey, to: 'hex' })))
  return { digest, r, vs: yParityAndS }
}

async function voucherVector(rootId: Hex, index: number, payee: Address, cumulative: bigint) {
  const message = { rootId, index, payee, cumulative }
  const { digest, r, vs } = await signed(hashTypedData({ domain, types, primaryType: 'Voucher', message }), signerKey)
  const packed = concatHex([rootId, numberToHex(index, { size: 4 }), numberToHex(cumulative, { size: 12 }), r, vs])
  const structHash = hashStruct({ data: message, types, primaryType: 'Voucher' })
  return { index, payee, cumulative, structHash, digest, r, vs, packed }
}

async function treeVector(name: string, leaves: readonly Leaf[], samples: readonly number[], nonce: bigint, listed: boolean) {
  const depth = Math.ceil(Math.log2(leaves.length))
  const levels = levelsOf(leaves, depth)
  const { hash: root, sum } = levels[depth]![0]!
  const descriptor = { payer: addressOf(payerKey), signer: addressOf(signerKey), root, sum, expiry: 1_900_000_000n, depth, nonce }
  const rootId = keccak256(encodeAbiParameters([{ type: 'tuple', components: DESCRIPTOR }], [descriptor]))
  const proofs = samples.map((index) => {
    const siblings = Array.from({ length: depth }, (_, level) => levels[level]![(index >> level) ^ 1] ?? EMPTY)
    const leaf = leaves[index]!
    const pair = keccak256(concatHex([rootId, numberToHex(0, { size: 8 }), numberToHex(index, { size: 4 }), leaf.payee]))
    return {
      index,
      ...leaf,
      leafHash: leafNode(leaf).hash,
      siblingHashes: siblings.map((sibling) => sibling.hash),
      siblingSums: siblings.map((sibling) => sibling.sum),
      channelKey: keccak256(concatHex([pair, numberToHex(0, { size: 12 }), descriptor.signer])),
    }
  })
  const vouchers = []
  for (const { index, payee, cap } of proofs) {
    for (const cumulative of [1n, cap]) vouchers.push(await voucherVector(rootId, index, payee, cumulative))
  }
  return { name, count: leaves.length, depth, root, sum, ...(listed ? { leaves } : {}), descriptor, rootId, proofs, vouchers }
}

const count = (n: number) => Array.from({ length: n }, (_, i) => byRule(i))
const MAX_SUM = (1n << 96n) - 1n
const trees = [
  await treeVector('one leaf', count(1), [0], 1n, true),
  await treeVector('five leaves, three free places', count(5), [0, 3, 4], 2n, true),
  await treeVector('a thousand leaves, by the rule', count(1_000), [0, 1, 499, 500, 998, 999], 3n, false),
  await treeVector(
    'the largest sum',
    [
      { ...byRule(0), cap: MAX_SUM - 1n },
      { ...byRule(1), cap: 1n },
    ],
    [0, 1],
    (1n << 64n) - 1n,
    true,
  ),
]

const claims = concatHex(trees[2]!.vouchers.map((voucher) => voucher.packed))
const feeMessage = {
  payee: addressOf(payeeKey),
  claimsHash: keccak256(claims),
  submitter: slice(named('submitter'), 12),
  fee: 250n,
  deadline: 1_890_000_000n,
}
const openMessage = { ...trees[1]!.descriptor, deadline: 1_790_000_000n }

const vectors = {
  about: 'Known answers for fan-out channels. Written by contracts/scripts/vectors.ts; amounts and times are decimal strings.',
  encoding: {
    leaf: 'keccak256(payee 20 | cap 12 | salt 32)',
    node: 'keccak256(left hash 32 | left sum 12 | right hash 32 | right sum 12); a missing node is hash 0, sum 0',
    path: 'bit `level` of the index, lowest level first: 0 = left child, 1 = right child',
    rootId: 'keccak256(payer | signer | root | sum | expiry | depth | nonce), each a 32 byte word',
    channelKey: 'keccak256(keccak256(rootId 32 | zeros 8 | index 4 | payee 20) 32 | zeros 12 | signer 20)',
    voucher: 'rootId 32 | index 4 | cumulative 12 | r 32 | vs 32 (EIP-2098)',
  },
  rule: RULE,
  keys: {
    signer: { privateKey: signerKey, address: addressOf(signerKey) },
    payer: { privateKey: payerKey, address: addressOf(payerKey) },
    payee: { privateKey: payeeKey, address: addressOf(payeeKey) },
  },
  domain: { ...domain, separator: hashDomain({ domain: { ...domain, chainId: BigInt(domain.chainId) }, types: { EIP712Domain } }) },
  trees,
  feeOrder: { ...feeMessage, ...(await signed(hashTypedData({ domain, types, primaryType: 'FeeOrder', message: feeMessage }), payeeKey)) },
  openOrder: {
    tree: 1,
    deadline: openMessage.deadline,
    ...(await signed(hashTypedData({ domain, types, primaryType: 'OpenOrder', message: openMessage }), payerKey)),
  },
}

const text = `${JSON.stringify(vectors, (_, value) => (typeof value === 'bigint' ? value.toString() : value), 2)}\n`
if (process.argv.includes('--check')) {
  if (readFileSync(OUTPUT, 'utf8') !== text) {
    process.stderr.write('test/vectors/fanout.json is out of date: run node contracts/scripts/vectors.ts\n')
    process.exitCode = 1
  }
} else {
  writeFileSync(OUTPUT, text)
  process.stdout.write(`wrote ${relative(REPOSITORY, OUTPUT)}\n`)
}
