/**
 * Everything a consumer presents, forged one part at a time: refused with the code that names it, counted, and nobody else notices.
 *
 * A transfer runs all the while; its sha256 is the witness. Every forgery is followed by the honest message on a link of its own.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { fromHex, type Hex, toHex } from '../../src/protocol/bytes.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import type { ErrorCode } from '../../src/protocol/errors.ts'
import { EXPORTER_LABEL, type MessageBody, PROTOCOL_VERSION } from '../../src/protocol/messages.ts'
import { rootIdOf, sessionDigest, signDigest } from '../../src/protocol/voucher.ts'
import { connectLink, type Link } from '../../src/tunnel/index.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, type ProviderOptions, startConsumer, startProvider } from '../support/pair.ts'
import { dial, newWallet, openRoot, Rogue, type RogueRoot, type Seller, sessionOf, signVoucher, until } from './rogue.ts'
import { descriptors, origin, Recorder } from './world.ts'

type SessionMessage = MessageBody<'session'>

/** Half the group order is the largest honest s; its mirror image signs the same digest. */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** The other signature of the same key and digest, with a high s. EIP-2098 has no place for one; this is what it would look like. */
function highS(signature: Hex): Hex {
  const bytes = Buffer.from(fromHex(signature, 64))
  const recoverableBit = bytes[32]! & 0x80
  bytes[32] = bytes[32]! & 0x7f
  const mirrored = ORDER - BigInt(toHex(bytes.subarray(32)))
  const s = Buffer.from(mirrored.toString(16).padStart(64, '0'), 'hex')
  s[0] = s[0]! | (recoverableBit ^ 0x80)
  return toHex(Buffer.concat([bytes.subarray(0, 32), s]))
}

const flip = (hex: Hex): Hex => `0x${hex.slice(2, 4) === '00' ? '01' : '00'}${hex.slice(4)}`

interface World {
  chain: MemoryChain
  seller: Seller
  observer: Recorder
}

async function world(t: TestContext, options: Partial<ProviderOptions> = {}): Promise<World> {
  const chain = new MemoryChain()
  const observer = new Recorder()
  const seller = await startProvider({ chain, observer, ...options })
  t.after(async () => {
    await seller.provider.close()
    await seller.vault.close()
  })
  return { chain, seller, observer }
}

/** A long download by an honest consumer; says at the end whether every byte was right. */
async function transfer(t: TestContext, { chain, seller }: World) {
  const piece = randomBytes(2_000)
  const source = await origin((socket) => {
    // In small pieces, so that it goes on as long as others attack.
    const more = () => {
      if (socket.destroyed) return
      if (stopping) {
        socket.end()
        return
      }
      piece.writeUInt32BE(sent++)
      hash.update(piece)
      socket.write(Buffer.from(piece))
      setTimeout(more, 1)
    }
    more()
  })
  const hash = createHash('sha256')
  let stopping = false
  let sent = 0
  const buyer = await startConsumer({ chain, offers: () => [seller.offer] })
  t.after(async () => {
    await buyer.consumer.close()
    await buyer.vault.close()
    await source.close()
  })
  const { stream } = await buyer.consumer.dial(
    { destination: parseDestination('127.0.0.1', source.port), parameters: anyRoute },
    new AbortController().signal,
  )
  const got = createHash('sha256')
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    got.update(chunk)
  })
  return {
    async finish() {
      assert.equal(stream.destroyed, false, 'the transfer still runs')
      await until(() => bytes > 50_000, 'the transfer moves')
      stopping = true
      await once(stream, 'end')
      assert.equal(got.digest('hex'), hash.digest('hex'))
    },
  }
}

/** Changes what the session key signs along with the message, so that only the forgery itself is wrong. */
const resigned = (link: Link, root: RogueRoot, message: SessionMessage): SessionMessage => {
  const { payer, signer, root: top, sum, depth, nonce } = message
  const rootId = rootIdOf({ payer, signer, root: top, sum, expiry: Number(message.expiry), depth, nonce })
  const exporter = link.wire.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0))
  return { ...message, proof: signDigest(sessionDigest(exporter, rootId, message.index), root.sessionKey) }
}

const HOUR_S = 3_600

type Forgery = [what: string, code: ErrorCode, forge: (honest: SessionMessage, link: Link, root: RogueRoot) => SessionMessage]

const FORGERIES: Forgery[] = [
  ['another version', 'PROTOCOL_VERSION', (honest) => ({ ...honest, version: PROTOCOL_VERSION + 1 })],
  ['another chain', 'CHAIN_MISMATCH', (honest) => ({ ...honest, chainId: 1n })],
  ['another contract', 'CONTRACT_MISMATCH', (honest) => ({ ...honest, channels: `0x${'c1'.repeat(20)}` })],
  ['a leaf that pays somebody else', 'PROOF_NOT_OURS', (honest) => ({ ...honest, payee: `0x${'ab'.repeat(20)}` })],
  ['a lower price', 'PRICE_TOO_LOW', (honest) => ({ ...honest, pricePerGib: honest.pricePerGib - 1n })],
  ['an expiry that is no time', 'ROOT_EXPIRED', (honest) => ({ ...honest, expiry: (1n << 64n) - 1n })],
  ['another cap', 'PROOF_INVALID', (honest) => ({ ...honest, cap: honest.cap + 1n })],
  ['another salt', 'PROOF_INVALID', (honest) => ({ ...honest, salt: flip(honest.salt) })],
  ['another index', 'PROOF_INVALID', (honest) => ({ ...honest, index: honest.index ^ 1 })],
  ['an index with bits above the depth', 'PROOF_INVALID', (honest) => ({ ...honest, index: honest.index + (1 << honest.depth) })],
  ['another depth', 'PROOF_INVALID', (honest) => ({ ...honest, depth: honest.depth + 1 })],
  ['a depth beyond all trees', 'PROOF_INVALID', (honest) => ({ ...honest, depth: 255 })],
  ['another root', 'PROOF_INVALID', (honest) => ({ ...honest, root: flip(honest.root) })],
  ['a larger sum', 'PROOF_INVALID', (honest) => ({ ...honest, sum: honest.sum + 1n })],
  [
    'an altered sibling',
    'PROOF_INVALID',
    (honest) => ({ ...honest, siblings: honest.siblings.map((s, i) => (i === 0 ? { ...s, hash: flip(s.hash) } : s)) }),
  ],
  [
    'an altered sibling sum',
    'PROOF_INVALID',
    (honest) => ({ ...honest, siblings: honest.siblings.map((s, i) => (i === 0 ? { ...s, sum: s.sum + 1n } : s)) }),
  ],
  [
    'sums that overflow',
    'PROOF_INVALID',
    (honest) => ({ ...honest, siblings: honest.siblings.map((s) => ({ ...s, sum: (1n << 96n) - 1n })) }),
  ],
  ['a sibling too few', 'PROOF_INVALID', (honest) => ({ ...honest, siblings: honest.siblings.slice(1) })],
  ['a channel too small to be worth it', 'CAP_EXCEEDED', (honest) => ({ ...honest, cap: 1n })],
  [
    'a proof signed by somebody else',
    'SESSION_PROOF_INVALID',
    (honest, link, root) => resigned(link, { ...root, sessionKey: newWallet().key }, honest),
  ],
  ['a proof over nothing', 'SESSION_PROOF_INVALID', (honest) => ({ ...honest, proof: `0x${'00'.repeat(64)}` })],
  ['a proof with a high s', 'SESSION_PROOF_INVALID', (honest) => ({ ...honest, proof: highS(honest.proof) })],
  ['another signer', 'SESSION_PROOF_INVALID', (honest) => ({ ...honest, signer: flip(honest.signer) })],
  ['another payer', 'SESSION_PROOF_INVALID', (honest) => ({ ...honest, payer: flip(honest.payer) })],
  ['another nonce', 'SESSION_PROOF_INVALID', (honest) => ({ ...honest, nonce: honest.nonce ^ 1n })],
  ['a root nobody opened', 'ROOT_NOT_OPEN', (honest, link, root) => resigned(link, root, { ...honest, nonce: honest.nonce ^ 1n })],
]

test('each forged part of a session message is refused by its name', async (t) => {
  const w = await world(t)
  const witness = await transfer(t, w)
  const before = descriptors()
  for (const [what, code, forge] of FORGERIES) {
    const root = openRoot(w.chain, w.seller.payee, { caps: [5_000_000n, 5_000_000n, 5_000_000n] })
    const counted = w.observer.counted('handshakes_failed', code)
    const link = await dial(w.seller)
    link.send('session', forge(sessionOf(link.link, root, w.seller), link.link, root))
    assert.equal((await link.next('refused')).body.code, code, what)
    assert.equal(w.observer.counted('handshakes_failed', code), counted + 1, what)
    await link.gone()
    const control = await Rogue.open(w.seller, root)
    control.leave()
  }
  await until(() => w.seller.provider.sessions().length === 1, 'only the witness is left')
  await until(() => descriptors() <= before, 'no descriptor is kept')
  await witness.finish()
})

test('a root that expires too soon, or was closed, or that the chain is silent about', async (t) => {
  const w = await world(t)
  const witness = await transfer(t, w)
  const nowS = Math.floor(Date.now() / 1000)
  const refusal = async (root: RogueRoot) => {
    const link = await dial(w.seller)
    link.send('session', sessionOf(link.link, root, w.seller))
    const { body } = await link.next('refused')
    await link.gone()
    return body
  }
  assert.equal((await refusal(openRoot(w.chain, w.seller.payee, { expiry: nowS + HOUR_S }))).code, 'ROOT_EXPIRED')
  assert.equal((await refusal(openRoot(w.chain, w.seller.payee, { unopened: true }))).code, 'ROOT_NOT_OPEN')
  const served = openRoot(w.chain, w.seller.payee, { expiry: nowS + 2 * HOUR_S })
  ;(await Rogue.open(w.seller, served)).leave()
  const unknown = openRoot(w.chain, w.seller.payee)
  w.chain.down = true
  // Our chain endpoints are nobody's business: the consumer only hears that it is worth asking somebody else.
  assert.deepEqual(await refusal(unknown), { code: 'PROVIDER_BUSY', message: 'this node has trouble of its own' })
  ;(await Rogue.open(w.seller, served)).leave()
  w.chain.down = false
  ;(await Rogue.open(w.seller, unknown)).leave()
  w.chain.roots.get(served.rootId)!.state = 'closed'
  assert.equal((await refusal(served)).code, 'ROOT_NOT_OPEN')
  await witness.finish()
})

test('a session message of another connection, and of another provider', async (t) => {
  const w = await world(t)
  const other = await startProvider({ chain: w.chain })
  t.after(async () => {
    await other.provider.close()
    await other.vault.close()
  })
  const root = openRoot(w.chain, w.seller.payee)
  const [mine, thief] = [await dial(w.seller), await dial(w.seller)]
  const message = sessionOf(mine.link, root, w.seller)
  thief.send('session', message)
  assert.equal((await thief.next('refused')).body.code, 'SESSION_PROOF_INVALID')
  // A provider that passes what it was shown on to another one gets nowhere either.
  const relayed = await dial(other)
  relayed.send('session', message)
  assert.equal((await relayed.next('refused')).body.code, 'PROOF_NOT_OURS')
  mine.send('session', message)
  await mine.next('accepted')
  mine.link.destroy()
})

test('flow links need the id and the token of an open session', async (t) => {
  const w = await world(t)
  const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const { sessionId, token } = rogue.accepted
  for (const [attach, code] of [
    [{ version: PROTOCOL_VERSION, sessionId, token: flip(token) }, 'SESSION_UNKNOWN'],
    [{ version: PROTOCOL_VERSION, sessionId: flip(sessionId), token }, 'SESSION_UNKNOWN'],
    [{ version: PROTOCOL_VERSION + 1, sessionId, token }, 'PROTOCOL_VERSION'],
  ] as const) {
    const link = await dial(w.seller)
    // What it says after that, in the same breath, is not heard: no second guess on one connection.
    link.send('attach', attach)
    link.send('attach', { version: PROTOCOL_VERSION, sessionId, token })
    assert.equal((await link.next('refused')).body.code, code)
    await link.gone()
    assert.deepEqual(link.inbox, [])
    assert.equal(w.seller.provider.sessions()[0]!.links, 0)
  }
  assert.equal(w.observer.counted('handshakes_failed', 'SESSION_UNKNOWN'), 2)
  await rogue.attach()
  assert.equal(w.seller.provider.sessions()[0]!.links, 1)
  rogue.leave()
  await until(() => w.seller.provider.sessions().length === 0, 'the session ended')
  const late = await dial(w.seller)
  late.send('attach', { version: PROTOCOL_VERSION, sessionId, token })
  assert.equal((await late.next('refused')).body.code, 'SESSION_UNKNOWN')
})

test('each false voucher ends its session with the reason', async (t) => {
  const w = await world(t)
  const witness = await transfer(t, w)
  const price = w.seller.offer.body.pricePerGib
  type Statement = MessageBody<'pay'>
  const forgeries: [what: string, code: ErrorCode, forge: (good: Statement, rogue: Rogue) => Statement][] = [
    [
      'signed by another key',
      'VOUCHER_SIGNER',
      (good, { root }) => ({ ...good, signature: signVoucher(root, 0, good.cumulative, newWallet().key) }),
    ],
    ['of another channel', 'VOUCHER_SIGNER', (good, { root }) => ({ ...good, signature: signVoucher(root, 1, good.cumulative) })],
    [
      'of another root',
      'VOUCHER_SIGNER',
      (good, { root }) => ({ ...good, signature: signVoucher(root, 0, good.cumulative, root.sessionKey, flip(root.rootId)) }),
    ],
    ['with another amount', 'VOUCHER_SIGNER', (good) => ({ ...good, cumulative: good.cumulative + 1n })],
    ['with a high s', 'VOUCHER_SIGNER', (good) => ({ ...good, signature: highS(good.signature) })],
    ['with no signature', 'VOUCHER_SIGNER', (good) => ({ ...good, signature: `0x${'ff'.repeat(64)}` })],
    ['lower in bytes', 'VOUCHER_LOWER', (_good, rogue) => rogue.statement(0n, 99_000n)],
    ['replayed from before', 'VOUCHER_LOWER', (_good, rogue) => rogue.statement(0n, 50_000n)],
    [
      'that moves bytes from one direction to the other',
      'VOUCHER_LOWER',
      (good, rogue) => ({ ...rogue.statement(110_000n, 90_000n), sessionId: good.sessionId }),
    ],
    [
      'above what its bytes cost',
      'VOUCHER_AMOUNT',
      (good, { root }) => ({ ...good, cumulative: good.cumulative + 1n, signature: signVoucher(root, 0, good.cumulative + 1n) }),
    ],
    ['below what its bytes cost', 'VOUCHER_AMOUNT', (good) => ({ ...good, down: good.down + 1_000_000n })],
    ['above the cap', 'CAP_EXCEEDED', (_good, rogue) => rogue.statement(0n, (5_000_001n << 30n) / price + 1n)],
  ]
  for (const [what, code, forge] of forgeries) {
    const root = openRoot(w.chain, w.seller.payee, { caps: [5_000_000n, 5_000_000n] })
    const rogue = await Rogue.open(w.seller, root)
    await rogue.pay(0n, 50_000n)
    await rogue.pay(0n, 100_000n)
    const refused = w.observer.counted('vouchers_refused', code)
    rogue.control.send('pay', forge(rogue.statement(0n, 200_000n), rogue))
    assert.equal((await rogue.control.next('bye')).body.code, code, what)
    assert.equal(w.observer.counted('vouchers_refused', code), refused + 1, what)
    await rogue.control.gone()
    const { latest } = w.seller.vault.channel({ rootId: root.rootId, index: 0 })!
    assert.equal(latest?.cumulative, (100_000n * price) >> 30n, `${what}: the good voucher stays`)
    const control = await Rogue.open(w.seller, root)
    await control.pay(0n, 100_000n)
    control.leave()
  }
  await witness.finish()
})

test('a statement repeated word for word is answered and not written again', async (t) => {
  const w = await world(t)
  const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  await rogue.pay(0n, 100_000n)
  const { length } = w.seller.vault.book
  for (let turn = 0; turn < 50; turn++) await rogue.pay(0n, 100_000n)
  assert.equal(w.seller.vault.book.length, length)
  await rogue.pay(0n, 100_001n)
  assert.equal(w.seller.vault.book.length, length + 1)
  rogue.leave()
})

test('a session moves only between channels of its own payer, one move at a time', async (t) => {
  const w = await world(t)
  const wallet = newWallet()
  const root = openRoot(w.chain, w.seller.payee, { wallet, caps: [1_000_000n, 1_000_000n, 1_000_000n] })
  const stolen = openRoot(w.chain, w.seller.payee)
  const thief = await Rogue.open(w.seller, root)
  thief.control.send('session', sessionOf(thief.control.link, stolen, w.seller))
  assert.equal((await thief.control.next('bye')).body.code, 'MESSAGE_UNEXPECTED')
  const hasty = await Rogue.open(w.seller, root)
  await hasty.useUp()
  for (const index of [1, 2]) hasty.control.send('session', sessionOf(hasty.control.link, root, w.seller, { index }))
  await hasty.control.gone()
  const control = await Rogue.open(w.seller, root)
  await control.useUp()
  await control.move(root, 1)
  await control.pay(0n, 10_000n)
  control.leave()
  await until(() => w.seller.provider.sessions().length === 0, 'all sessions ended')
  for (const { closed } of w.seller.vault.book.sessions.values()) assert.ok(closed !== undefined, 'every row is closed')
})

test('sessions that leave in the middle of a move leave no session behind', async (t) => {
  const w = await world(t, { outage: { limitMs: 300, againMs: 10 } })
  const TURNS = 60
  const root = openRoot(w.chain, w.seller.payee, { caps: [1_000_000n, 1_000_000n] })
  for (let turn = 0; turn < TURNS; turn++) {
    const rogue = await Rogue.open(w.seller, root)
    if (turn === 0) await rogue.useUp()
    rogue.control.send('session', sessionOf(rogue.control.link, root, w.seller, { index: 1 }))
    if (turn % 2 === 0) rogue.control.send('bye', { code: 'SESSION_UNKNOWN', message: 'done' })
    else rogue.control.link.close()
    await rogue.control.gone()
  }
  await until(() => w.seller.provider.sessions().length === 0, 'all sessions ended')
  for (const { closed } of w.seller.vault.book.sessions.values()) assert.ok(closed !== undefined, 'every row is closed')
  const control = await Rogue.open(w.seller, root)
  await control.pay(0n, 10_000n)
  control.leave()
})

test('a consumer recognises a provider by its key alone', async (t) => {
  const w = await world(t)
  const { transports, nodeKey } = w.seller.offer.body
  const [transport] = transports
  await assert.rejects(connectLink({ ...transport!, pin: flip(transport!.pin) }, nodeKey), { code: 'PIN_MISMATCH' })
  const before = descriptors()
  for (let turn = 0; turn < 20; turn++) await connectLink({ ...transport!, pin: flip(transport!.pin) }, nodeKey).catch(() => {})
  await until(() => descriptors() <= before, 'no descriptor is kept')
  const link = await connectLink(transport!, nodeKey)
  link.destroy()
})
