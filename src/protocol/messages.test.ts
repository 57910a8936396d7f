/** Messages and offers survive the wire, and nothing that is not one passes for one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Hex, toHex } from './bytes.ts'
import { BywayError } from './errors.ts'
import { decodeMessage, encodeMessage, FRAME_HEADER_BYTES, MESSAGES, type MessageBody, type MessageName } from './messages.ts'
import { basePrice, encodeOffer, MAX_OFFER_BYTES, offerText, readOffer, readOfferText } from './offer.ts'
import { OFFERED_AT_S, offeringNode } from './testing.ts'

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map(toHex)
const below = (bits: number) => fc.bigInt(0n, (1n << BigInt(bits)) - 1n)
const counts = { up: below(64), down: below(64) }
const running = { up: below(64), down: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }) }
const statement = fc.record({ sessionId: bytesOf(16), ...counts, cumulative: below(96), signature: bytesOf(64) })
const words = fc.record({ code: fc.string({ maxLength: 20 }), message: fc.string({ maxLength: 100 }) })
const blobOf = (maxLength: number) => fc.uint8Array({ maxLength })
const nothing = fc.constant({})

const BODIES: { [N in MessageName]: fc.Arbitrary<MessageBody<N>> } = {
  session: fc.record({
    version: fc.nat(0xffff),
    chainId: below(64),
    channels: bytesOf(20),
    payer: bytesOf(20),
    signer: bytesOf(20),
    root: bytesOf(32),
    sum: below(96),
    expiry: below(64),
    depth: fc.nat(255),
    nonce: below(64),
    index: fc.nat(0xffffffff),
    payee: bytesOf(20),
    cap: below(96),
    salt: bytesOf(32),
    siblings: fc.array(fc.record({ hash: bytesOf(32), sum: below(96) }), { maxLength: 32 }),
    pricePerGib: below(96),
    latest: fc.option(fc.record({ statement, base: below(128), pricePerGib: below(96) }), { nil: undefined }),
    proof: bytesOf(64),
  }),
  attach: fc.record({ version: fc.nat(0xffff), sessionId: bytesOf(16), token: bytesOf(32) }),
  accepted: fc.record({
    sessionId: bytesOf(16),
    token: bytesOf(32),
    base: below(128),
    window: below(64),
    last: fc.option(fc.record({ cumulative: below(96), signature: bytesOf(64) }), { nil: undefined }),
    carried: fc.record(running),
  }),
  refused: words,
  pay: statement,
  paid: fc.record({ cumulative: below(96), window: below(64) }),
  meter: fc.record({ sessionId: bytesOf(16), ...running }),
  lost: fc.record({ flowId: fc.nat(0xffffffff), ...counts }),
  bye: words,
  ping: fc.record({ nonce: below(64) }),
  pong: fc.record({ nonce: below(64) }),
  attached: nothing,
  reserve: fc.record({ version: fc.nat(0xffff), nodeKey: bytesOf(32), signature: bytesOf(64) }),
  reserved: fc.record({ token: bytesOf(32), lifetimeS: fc.nat(0xffffffff), maxCalls: fc.nat(0xffff) }),
  call: fc.record({ callId: fc.nat(0xffffffff) }),
  answer: fc.record({ version: fc.nat(0xffff), token: bytesOf(32), callId: fc.nat(0xffffffff) }),
  answered: nothing,
  observe: fc.record({ version: fc.nat(0xffff), nodeKey: bytesOf(32), port: fc.nat(0xffff), pin: bytesOf(32) }),
  observed: fc.record({ address: fc.ipV6(), port: fc.nat(0xffff), reached: fc.nat(0xff) }),
  rejoin: fc.record({ version: fc.nat(0xffff), sessionId: bytesOf(16), token: bytesOf(32) }),
  rejoined: fc.record({ cumulative: below(96), window: below(64) }),
  open: fc.record({ flowId: fc.nat(0xffffffff), protocol: fc.nat(0xff), host: fc.domain(), port: fc.nat(0xffff) }),
  ack: fc.record({ received: below(64) }),
  ask: nothing,
  resume: fc.record({ flowId: fc.nat(0xffffffff), received: below(64), over: fc.nat(0xff) }),
  resumed: fc.record({ received: below(64), over: fc.nat(0xff) }),
  extend: fc.record({ flowId: fc.nat(0xffffffff), offer: blobOf(3_072) }),
  opened: nothing,
  failed: words,
  end: nothing,
  reset: nothing,
  done: fc.record(counts),
}

for (const name of Object.keys(MESSAGES) as MessageName[]) {
  test(`${name} survives the wire, and loses nothing but itself when it is cut or longer`, () => {
    fc.assert(
      fc.property(BODIES[name] as fc.Arbitrary<never>, fc.nat(), (body, cut) => {
        const frame = encodeMessage(name, body)
        const payload = frame.subarray(FRAME_HEADER_BYTES)
        assert.equal(frame.readUIntBE(1, 3), payload.length)
        // Arbitraries make records without a prototype, and a Buffer is not a Uint8Array to an assertion; clones are plain ones.
        assert.deepEqual(structuredClone(decodeMessage(frame[0]!, payload)), { name, body: structuredClone(body) })
        if (payload.length > 0) assertRefused(() => decodeMessage(frame[0]!, payload.subarray(0, cut % payload.length)))
        assertRefused(() => decodeMessage(frame[0]!, Buffer.concat([payload, Buffer.alloc(1)])))
      }),
      { numRuns: 50 },
    )
  })
}

function assertRefused(decode: () => unknown): void {
  assert.throws(decode, (error) => error instanceof BywayError && error.code.startsWith('MESSAGE_'))
}

test('random bytes of any type are a message or MESSAGE_MALFORMED, never anything else', () => {
  fc.assert(
    fc.property(fc.nat(255), fc.uint8Array({ maxLength: 600 }), (type, payload) => {
      try {
        const { name, body } = decodeMessage(type, payload)
        assert.deepEqual(encodeMessage(name, body as never).subarray(FRAME_HEADER_BYTES), Buffer.from(payload))
      } catch (error) {
        assert.ok(error instanceof BywayError && error.code.startsWith('MESSAGE_'), String(error))
      }
    }),
    { numRuns: 5_000 },
  )
})

test('a value that does not fit its field is refused when it is written', () => {
  assert.throws(() => encodeMessage('ping', { nonce: 1n << 64n }), { code: 'MESSAGE_MALFORMED' })
  assert.throws(() => encodeMessage('ping', { nonce: -1n }), { code: 'MESSAGE_MALFORMED' })
  assert.throws(() => encodeMessage('bye', { code: 'x'.repeat(65), message: '' }), { code: 'MESSAGE_TOO_LARGE' })
  assert.throws(() => encodeMessage('attach', { version: 1, sessionId: '0x00' as Hex, token: `0x${'0'.repeat(64)}` }), {
    code: 'MESSAGE_MALFORMED',
  })
})

const NOW_S = OFFERED_AT_S

test('an offer is read back as it was signed, as bytes and as text', () => {
  const offer = offeringNode().offer()
  assert.deepEqual(readOffer(encodeOffer(offer), NOW_S), offer)
  assert.deepEqual(readOfferText(`  ${offerText(offer)}\n`, NOW_S), offer)
})

test('no changed byte of an offer passes', () => {
  const bytes = encodeOffer(offeringNode().offer())
  readOffer(bytes, NOW_S)
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = changed[at]! ^ 0x01
    assert.throws(
      () => readOffer(changed, NOW_S),
      (error) => error instanceof BywayError && error.code.startsWith('OFFER_'),
      `byte ${at}`,
    )
  }
})

test('an offer that is expired, too large, of another version or without address is refused with its reason', () => {
  const node = offeringNode()
  const read = (changes: Parameters<typeof node.offer>[0]) => readOffer(encodeOffer(node.offer(changes)), NOW_S)
  assert.throws(() => read({ expiresAt: BigInt(NOW_S) }), { code: 'OFFER_EXPIRED' })
  assert.throws(() => read({ version: 2 }), { code: 'OFFER_MALFORMED' })
  assert.throws(() => read({ country: 'DE' }), { code: 'OFFER_MALFORMED' })
  assert.throws(() => read({ transports: [] }), { code: 'OFFER_MALFORMED' })
  assert.throws(() => read({ tier: 9 }), { code: 'OFFER_MALFORMED' })
  assert.throws(() => readOffer(Buffer.alloc(MAX_OFFER_BYTES + 1), NOW_S), { code: 'OFFER_MALFORMED' })
  assert.throws(() => read({ line: 4 }), { code: 'OFFER_MALFORMED' })
  assert.throws(() => read({ city: 'New York' }), { code: 'OFFER_MALFORMED' })
  assert.throws(() => read({ expiresAt: BigInt(NOW_S + 30 * 86_400) }), { code: 'OFFER_MALFORMED' })
  const scarcity = (perGib: bigint) => ({ pricePerGib: 100n, premiums: [{ name: 'scarcity', perGib }] })
  assert.throws(() => read(scarcity(101n)), { code: 'OFFER_MALFORMED' })
  assert.equal(basePrice(read(scarcity(30n)).body), 70n)
  for (const line of ['', 'byway-offer:', 'byway-offer:!!', `byway-offer:${'A'.repeat(100_000)}`, 'https://example.com']) {
    assert.throws(() => readOfferText(line, NOW_S), { code: 'OFFER_MALFORMED' }, line.slice(0, 20))
  }
  read({})
})
