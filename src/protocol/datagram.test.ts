import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Datagram, DatagramReader, encodeDatagram, MAX_DATAGRAM_BYTES, readEndpoint } from './datagram.ts'
import { parseDestination } from './destination.ts'

const port = fc.integer({ min: 1, max: 65_535 })
const host = fc.oneof(
  fc.ipV4(),
  // Some with runs of zeros, which have a shorter spelling.
  fc.array(fc.constantFrom('0', '1', 'ffff', 'db8'), { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':')),
  fc.constantFrom('a.example', 'x', `${'a.'.repeat(126)}a`),
)
const datagram: fc.Arbitrary<Datagram> = fc
  .record({ host, port, payload: fc.uint8Array({ maxLength: 300 }) })
  .map(({ host: name, port: at, payload }) => ({ endpoint: parseDestination(name, at), payload }))

const plain = ({ endpoint, payload }: Datagram) => ({ endpoint, payload: Buffer.from(payload).toString('hex') })

function readAll(pieces: readonly Buffer[]): Datagram[] {
  const reader = new DatagramReader()
  const found: Datagram[] = []
  for (const piece of pieces) reader.push(piece, (one) => found.push({ ...one, payload: Buffer.from(one.payload) }))
  return found
}

test('datagrams come out as they went in, however the flow cuts its bytes', () => {
  fc.assert(
    fc.property(fc.array(datagram, { maxLength: 6 }), fc.infiniteStream(fc.integer({ min: 1, max: 200 })), (sent, sizes) => {
      const bytes = Buffer.concat(sent.map(encodeDatagram))
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; ) {
        const size = sizes.next().value as number
        pieces.push(bytes.subarray(at, at + size))
        at += size
      }
      assert.deepEqual(readAll(pieces).map(plain), sent.map(plain))
    }),
  )
})

test('the largest datagram passes, a larger one is refused on both sides', () => {
  const endpoint = parseDestination('1.2.3.4', 443)
  const largest = { endpoint, payload: Buffer.alloc(MAX_DATAGRAM_BYTES, 7) }
  assert.equal(readAll([encodeDatagram(largest)])[0]!.payload.length, MAX_DATAGRAM_BYTES)
  assert.throws(() => encodeDatagram({ endpoint, payload: Buffer.alloc(MAX_DATAGRAM_BYTES + 1) }), { code: 'MESSAGE_TOO_LARGE' })
  const claimed = Buffer.concat([Buffer.from([0xff, 0xe4, 1, 1, 2, 3, 4, 1, 187]), Buffer.alloc(65_508)])
  assert.throws(() => readAll([claimed]), { code: 'MESSAGE_MALFORMED' })
})

test('one datagram has one golden form', () => {
  const encoded = (text: string, at: number) =>
    encodeDatagram({ endpoint: parseDestination(text, at), payload: Buffer.from('hi') }).toString('hex')
  assert.equal(encoded('9.8.7.6', 443), `0002${'01'}09080706${'01bb'}6869`)
  assert.equal(encoded('2001:db8::1', 53), `0002${'04'}20010db8000000000000000000000001${'0035'}6869`)
  assert.equal(encoded('a.b', 53), `0002${'03'}03612e62${'0035'}6869`)
})

test('what is no endpoint ends the flow', () => {
  const good = Buffer.from('000101010203040050ff', 'hex')
  assert.equal(readAll([good]).length, 1, 'control')
  // Port 0, an unknown kind, an empty name, a name that is a number, a name that is not UTF-8.
  for (const bad of ['000101010203040000ff', '000102010203040050ff', '000103000050ffff', '0001030430783766005000', '00010302ff000050ff']) {
    assert.throws(() => readAll([Buffer.from(bad, 'hex')]), { code: 'MESSAGE_MALFORMED' }, bad)
  }
  assert.equal(readEndpoint(Buffer.from([1, 1, 2])), undefined, 'an unfinished one is waited for')
})
