/** Tree, names, digests and signatures are those of the contract: test/vectors/fanout.json is a third opinion both must share. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { hashTypedData } from 'viem'
import { z } from 'zod'
import { fromHex, type Hex, keccak, toHex } from './bytes.ts'
import { buildTree, foldProof, type Leaf, type LeafProof, leafHash } from './tree.ts'
import { addressOf, domainSeparator, recoverSigner, rootIdOf, signDigest, voucherDigest } from './voucher.ts'

const hex = z.string().transform((text) => text as Hex)
const units = z.string().transform(BigInt)
const seconds = z.string().transform(Number)
const descriptor = z.object({ payer: hex, signer: hex, root: hex, sum: units, expiry: seconds, depth: z.number(), nonce: units })
const proof = z.object({
  index: z.number(),
  payee: hex,
  cap: units,
  salt: hex,
  leafHash: hex,
  siblingHashes: z.array(hex),
  siblingSums: z.array(units),
})
const voucher = z.object({ index: z.number(), payee: hex, cumulative: units, digest: hex, r: hex, vs: hex })
const tree = z.object({
  name: z.string(),
  count: z.number(),
  depth: z.number(),
  root: hex,
  sum: units,
  descriptor,
  rootId: hex,
  /** Written down for small trees; the large one follows the rule. */
  leaves: z.array(z.object({ payee: hex, cap: units, salt: hex })).optional(),
  proofs: z.array(proof),
  vouchers: z.array(voucher),
})
const vectors = z
  .object({
    keys: z.object({ signer: z.object({ privateKey: hex, address: hex }) }),
    domain: z.object({ chainId: z.number(), verifyingContract: hex, separator: hex }),
    trees: z.array(tree).min(3),
  })
  .parse(JSON.parse(readFileSync(new URL('../../test/vectors/fanout.json', import.meta.url), 'utf8')))

const domain = { chainId: vectors.domain.chainId, channels: vectors.domain.verifyingContract }
const separator = domainSeparator(domain)

/** The rule the vectors state, so that a thousand leaves need not be written down. */
const leafByRule = (i: number): Leaf => ({
  payee: `0x${keccak(Buffer.from(`byway/fanout/payee/${i}`)).slice(-40)}`,
  cap: BigInt(1000 + ((i * 7919) % 50_000)),
  salt: keccak(Buffer.from(`byway/fanout/salt/${i}`)),
})

for (const known of vectors.trees) {
  test(`the tree of ${known.name} has the root, sum, proofs and name the contract computes`, () => {
    const built = buildTree(known.leaves ?? Array.from({ length: known.count }, (_, i) => leafByRule(i)))
    assert.deepEqual([built.root, built.sum, built.depth], [known.root, known.sum, known.depth])
    assert.equal(rootIdOf(known.descriptor), known.rootId)
    for (const sample of known.proofs) {
      assert.equal(leafHash(sample), sample.leafHash)
      const siblings = sample.siblingHashes.map((hash, i) => ({ hash, sum: sample.siblingSums[i]! }))
      const { index, cap, salt } = sample
      assert.deepEqual(built.proof(index), { index, cap, salt, siblings })
      assert.deepEqual(foldProof(sample.payee, { index, cap, salt, siblings }, known.depth), { root: known.root, sum: known.sum })
    }
  })

  test(`vouchers on ${known.name} have the digest and signature the contract accepts`, () => {
    const key = fromHex(vectors.keys.signer.privateKey, 32)
    assert.equal(addressOf(key), vectors.keys.signer.address)
    assert.equal(toHex(separator), vectors.domain.separator)
    for (const { index, payee, cumulative, digest, r, vs } of known.vouchers) {
      const computed = voucherDigest(separator, { rootId: known.rootId, index, payee, cumulative })
      assert.equal(toHex(computed), digest)
      assert.equal(signDigest(computed, key), `${r}${vs.slice(2)}`)
      assert.equal(recoverSigner(computed, `${r}${vs.slice(2)}` as Hex), vectors.keys.signer.address)
    }
  })
}

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map(toHex)
const cap = fc.bigInt(0n, (1n << 80n) - 1n)
const leaf = fc.record({ payee: bytesOf(20), cap, salt: bytesOf(32) })

test('any voucher has the digest of an independent EIP-712 implementation', () => {
  const types = {
    Voucher: [
      { name: 'rootId', type: 'bytes32' },
      { name: 'index', type: 'uint32' },
      { name: 'payee', type: 'address' },
      { name: 'cumulative', type: 'uint96' },
    ],
  } as const
  fc.assert(
    fc.property(
      bytesOf(32),
      fc.nat(0xffffffff),
      bytesOf(20),
      fc.bigInt(0n, (1n << 96n) - 1n),
      fc.nat(),
      (rootId, index, payee, cumulative, chainId) => {
        const expected = hashTypedData({
          domain: { name: 'Byway Channels', version: '1', chainId, verifyingContract: domain.channels },
          types,
          primaryType: 'Voucher',
          message: { rootId, index, payee, cumulative },
        })
        const digest = voucherDigest(domainSeparator({ ...domain, chainId }), { rootId, index, payee, cumulative })
        assert.equal(toHex(digest), expected)
      },
    ),
    { numRuns: 300 },
  )
})

test('every leaf of any tree proves, and no changed proof does', () => {
  const change = fc.constantFrom<(proof: LeafProof) => LeafProof>(
    (p) => ({ ...p, cap: p.cap + 1n }),
    (p) => ({ ...p, index: p.index ^ 1 }),
    (p) => ({ ...p, index: p.index + 2 ** p.siblings.length }),
    (p) => ({ ...p, salt: `${p.salt.slice(0, -1)}${p.salt.endsWith('0') ? '1' : '0'}` as Hex }),
    (p) => ({ ...p, siblings: p.siblings.map((s, i) => (i === 0 ? { ...s, sum: s.sum + 1n } : s)) }),
    (p) => ({ ...p, siblings: p.siblings.slice(1) }),
    (p) => ({ ...p, siblings: [...p.siblings, { hash: `0x${'00'.repeat(32)}`, sum: 0n }] }),
  )
  fc.assert(
    fc.property(fc.array(leaf, { minLength: 2, maxLength: 40 }), fc.nat(), change, (leaves, pick, alter) => {
      const built = buildTree(leaves)
      assert.equal(
        built.sum,
        leaves.reduce((sum, { cap: units }) => sum + units, 0n),
      )
      const index = pick % leaves.length
      const { payee } = leaves[index]!
      const good = built.proof(index)
      assert.deepEqual(foldProof(payee, good, built.depth), { root: built.root, sum: built.sum }, 'control')
      const bad = foldProof(payee, alter(good), built.depth)
      assert.ok(bad === undefined || bad.root !== built.root || bad.sum !== built.sum)
      const other = foldProof(leaves[(index + 1) % leaves.length]!.payee, good, built.depth)
      assert.ok(payee === leaves[(index + 1) % leaves.length]!.payee || other?.root !== built.root, 'a proof for somebody else’s leaf')
    }),
    { numRuns: 200 },
  )
})

test('caps that together exceed 96 bits make no tree', () => {
  const huge = { ...leafByRule(0), cap: (1n << 96n) - 1n }
  assert.equal(buildTree([huge]).sum, huge.cap, 'control')
  assert.throws(() => buildTree([huge, leafByRule(1)]), { code: 'PROOF_INVALID' })
  assert.throws(() => buildTree([]), { code: 'PROOF_INVALID' })
})

test('a signature is deterministic, and its high-s twin is nobody’s', () => {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (digest) => {
      const key = fromHex(vectors.keys.signer.privateKey, 32)
      const signature = signDigest(digest, key)
      assert.equal(signDigest(digest, key), signature)
      assert.equal(recoverSigner(digest, signature), vectors.keys.signer.address)
      const vs = BigInt(`0x${signature.slice(66)}`)
      const s = vs & ((1n << 255n) - 1n)
      const twin = (order - s) | ((1n - (vs >> 255n)) << 255n)
      // A twin above 2^255 cannot be written in this form at all; the others must be refused.
      const altered = `${signature.slice(0, 66)}${(twin & ((1n << 256n) - 1n)).toString(16).padStart(64, '0')}` as Hex
      assert.notEqual(recoverSigner(digest, altered), vectors.keys.signer.address)
    }),
    { numRuns: 100 },
  )
})
