import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Hex } from '../protocol/bytes.ts'
import { owed, unitsOf } from '../protocol/price.ts'
import { buildTree } from '../protocol/tree.ts'
import {
  addressOf,
  type Domain,
  domainSeparator,
  recoverSigner,
  rootIdOf,
  signDigest,
  type Voucher,
  voucherDigest,
} from '../protocol/voucher.ts'
import { claimSettled, closed, genesis, hexOf, opened, WALLET } from './fixtures.ts'
import type { JournalRecord, RecordOf, Role } from './records.ts'
import { type ChainReader, verifyBook } from './verify.ts'

const GIB = 2n ** 30n
const PRICE = 1_000_000n
const CAP = 10n * PRICE
const SIGNER = Buffer.alloc(32, 7)
const { chainId, channels } = genesis()
const DOMAIN: Domain = { chainId, channels }

const recover = (domain: Domain, voucher: Voucher) => recoverSigner(voucherDigest(domainSeparator(domain), voucher), voucher.signature)

/** A root with true hashes: three leaves, the provider's at index 1. */
const LEAVES = [0, 1, 2].map((index) => ({
  payee: index === 1 ? WALLET : hexOf(20, `other${index}`),
  cap: CAP,
  salt: hexOf(32, `salt${index}`),
}))
const TREE = buildTree(LEAVES)
const DESCRIPTOR = {
  payer: hexOf(20, 'payer'),
  signer: addressOf(SIGNER),
  root: TREE.root,
  sum: TREE.sum,
  expiry: 2_000_000_000,
  depth: TREE.depth,
  nonce: 3n,
}
const ROOT_ID = rootIdOf(DESCRIPTOR)
const REF = { rootId: ROOT_ID, index: 1 }

function signed(id: number, base: bigint, bytes: bigint): RecordOf<'voucher'> {
  const numerator = owed(base, bytes, PRICE)
  const cumulative = unitsOf(numerator)
  const signature = signDigest(voucherDigest(domainSeparator(DOMAIN), { ...REF, payee: WALLET, cumulative }), SIGNER)
  return { kind: 'voucher', ...REF, sessionId: hexOf(16, id), up: 0n, down: bytes, disputed: 0n, numerator, cumulative, signature, atMs: 4 }
}

const session = (id: number, base: bigint): JournalRecord => ({ ...opened(id, { base }), ...REF })
const SESSIONS: JournalRecord[] = [
  session(1, 0n),
  signed(1, 0n, GIB / 3n),
  signed(1, 0n, GIB),
  { ...closed(1, 0n, GIB), ...REF },
  session(2, GIB * PRICE),
  signed(2, GIB * PRICE, 12_345n),
]
const PROVIDER: JournalRecord[] = [
  genesis('provider'),
  { kind: 'channel-accepted', ...REF, descriptor: DESCRIPTOR, payee: WALLET, ...TREE.proof(1), atMs: 2 },
  ...SESSIONS,
  { ...claimSettled(1, PRICE), channels: [{ ...REF, paid: PRICE }] },
]
const CONSUMER: JournalRecord[] = [
  { ...genesis('consumer'), wallet: DESCRIPTOR.payer },
  { kind: 'root-planned', rootId: ROOT_ID, descriptor: DESCRIPTOR, leaves: LEAVES, signerNonce: 0n, atMs: 2 },
  { kind: 'root-opened', rootId: ROOT_ID, tx: hexOf(32, 1), atMs: 2 },
  ...SESSIONS,
]
const journal = (role: Role) => structuredClone(role === 'provider' ? PROVIDER : CONSUMER)

const chain = (root: 'none' | 'open' | 'closed' = 'open', cap = CAP, paid = PRICE, burnt = 0n): ChainReader => ({
  rootState: async () => root,
  burntOf: async () => burnt,
  channelPaid: async ({ index, payee, signer }) => {
    const ours = index === 1 && payee === WALLET && signer === DESCRIPTOR.signer
    return ours ? { cap, paid } : { cap: 0n, paid: 0n }
  },
})

/** What verification of a journal changed in one place names first; undefined when it finds nothing. */
async function difference(role: Role, change: (records: JournalRecord[]) => void, reader = chain()): Promise<string | undefined> {
  const records = journal(role)
  change(records)
  return (await verifyBook(records, reader, recover)).firstDifference?.what
}

const of = <K extends JournalRecord['kind']>(records: JournalRecord[], kind: K, nth = 0) =>
  records.filter((record) => record.kind === kind)[nth] as { -readonly [F in keyof RecordOf<K>]: RecordOf<K>[F] }

suite('verify', () => {
  test('finds no difference in honest journals of both sides, and says what it checked', async () => {
    const { checked, firstDifference } = await verifyBook(journal('provider'), chain(), recover)
    assert.equal(firstDifference, undefined)
    assert.deepEqual(checked, { sessions: 2, vouchers: 3, signatures: 2, channels: 1, roots: 1 })
    const consumer = await verifyBook(journal('consumer'), chain(), recover)
    assert.equal(consumer.firstDifference, undefined)
    assert.deepEqual(consumer.checked, { sessions: 2, vouchers: 3, signatures: 2, channels: 3, roots: 1 })
    assert.equal((await verifyBook([], chain(), recover)).firstDifference, undefined)
  })

  const CHANGES: [string, RegExp, (records: JournalRecord[]) => void][] = [
    ['bytes', /debt of/, (r) => (of(r, 'voucher').down += 1n)],
    ['a price', /debt of/, (r) => (of(r, 'session-opened').pricePerGib += 1n)],
    ['a base', /debt of/, (r) => (of(r, 'session-opened', 1).base += 1n)],
    ['an amount', /amount/, (r) => (of(r, 'voucher', 1).cumulative += 1n)],
    ['a signature', /signer/, (r) => (of(r, 'voucher', 1).signature = of(r, 'voucher', 0).signature)],
    ['a chain id', /signer/, (r) => (of(r, 'genesis').chainId += 1)],
    [
      'the order of vouchers',
      /record/,
      (r) => r.splice(r.indexOf(of(r, 'voucher', 1)), 1, ...([] as JournalRecord[])) && r.push(of(r, 'voucher', 0)),
    ],
    ['a session that is missing', /its session/, (r) => r.splice(r.indexOf(of(r, 'session-opened')), 1)],
  ]
  for (const role of ['provider', 'consumer'] as const) {
    for (const [what, named, change] of CHANGES) {
      test(`${role}: names ${what} that was changed`, async () => assert.match((await difference(role, change)) ?? 'nothing', named))
    }
  }

  test('provider: names a descriptor, proof or cap that was changed', async () => {
    const accepted = (r: JournalRecord[]) => of(r, 'channel-accepted')
    assert.match((await difference('provider', (r) => (accepted(r).descriptor.nonce += 1n))) ?? '', /root .* name/)
    assert.match((await difference('provider', (r) => (accepted(r).siblings[0]!.sum += 1n))) ?? '', /proof/)
    assert.match((await difference('provider', (r) => (accepted(r).cap += 1n))) ?? '', /proof/)
  })

  test('consumer: names a leaf or a sum that was changed', async () => {
    assert.match((await difference('consumer', (r) => (of(r, 'root-planned').leaves[2]!.cap += 1n))) ?? '', /leaves/)
    assert.match((await difference('consumer', (r) => (of(r, 'root-planned').descriptor.sum += 1n))) ?? '', /name/)
  })

  const nothing = () => {}
  test('provider: the chain paid what the ledger calls claimed', async () => {
    assert.match((await difference('provider', nothing, chain('open', CAP, PRICE + 1n))) ?? '', /paid on chain/)
    assert.match((await difference('provider', nothing, chain('open', CAP, 0n))) ?? '', /paid on chain/)
    assert.match((await difference('provider', nothing, chain('open', CAP + 1n))) ?? '', /cap on chain/)
    assert.match((await difference('provider', nothing, chain('open', CAP, PRICE, 1n))) ?? '', /burnt on chain/)
    assert.match((await difference('provider', nothing, chain('none'))) ?? '', /state on chain/)
    // Closed and swept: what was not claimed is gone, and the ledger must not call it claimable.
    assert.match((await difference('provider', nothing, chain('closed', 0n, 0n))) ?? '', /claimable from a root/)
    const close = (r: JournalRecord[]) => r.push({ kind: 'root-closed', rootId: ROOT_ID, refund: 0n, tx: hexOf(32, 9), atMs: 9 })
    assert.equal(await difference('provider', close, chain('closed', 0n, 0n)), undefined)
    // Closed but not swept: it can still be claimed.
    assert.equal(await difference('provider', nothing, chain('closed')), undefined)
  })

  test('consumer: the chain paid no more than it promised, and its roots are where it thinks', async () => {
    assert.equal(await difference('consumer', nothing, chain('open', 0n, 0n)), undefined)
    assert.match((await difference('consumer', nothing, chain('open', CAP, 2n * PRICE))) ?? '', /paid on chain/)
    assert.match((await difference('consumer', nothing, chain('closed'))) ?? '', /state on chain/)
    const failed = (r: JournalRecord[]) => r.splice(2, r.length, { kind: 'root-failed', rootId: ROOT_ID, why: 'no answer', atMs: 3 })
    assert.match((await difference('consumer', failed, chain('open'))) ?? '', /state on chain/)
    assert.equal(await difference('consumer', failed, chain('none')), undefined)
  })

  test('a high-water voucher is checked too', async () => {
    const mark = (signature: Hex) => (r: JournalRecord[]) =>
      r.push({ kind: 'high-water', ...REF, cumulative: 2n * PRICE, signature, source: 'peer', atMs: 9 })
    assert.match((await difference('provider', mark(hexOf(64, 1)))) ?? '', /signer/)
    const voucher = { ...REF, payee: WALLET, cumulative: 2n * PRICE }
    assert.equal(await difference('provider', mark(signDigest(voucherDigest(domainSeparator(DOMAIN), voucher), SIGNER))), undefined)
  })

  test('stops when asked to, and passes on that the chain cannot be asked', async () => {
    await assert.rejects(verifyBook(journal('provider'), chain(), recover, AbortSignal.abort()), { name: 'AbortError' })
    const broken = { ...chain(), rootState: () => Promise.reject(new Error('no route')) }
    await assert.rejects(verifyBook(journal('provider'), broken, recover), /no route/)
  })
})
