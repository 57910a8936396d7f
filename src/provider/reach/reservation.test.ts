/** A tucked node and relays that do not behave: it does no more for them than it would for a good one. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { nodeKeys } from '../../../test/support/pair.ts'
import { toHex } from '../../protocol/bytes.ts'
import type { BywayError } from '../../protocol/errors.ts'
import type { Message } from '../../protocol/messages.ts'
import { connectLink, createCertificate, type Link, listenTls } from '../../tunnel/index.ts'
import { takeReservation } from './reservation.ts'

const TOKEN = toHex(Buffer.alloc(32, 9))
const soon = () => AbortSignal.timeout(60_000)

/** A relay that grants every reservation and hands its links to the test. */
async function badRelay(t: TestContext, onMessage: (link: Link, message: Message) => void) {
  const keys = nodeKeys()
  const nodeKey = toHex(keys.node.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  const certificate = await createCertificate(keys.tls, new Date())
  const listener = await listenTls({ host: '127.0.0.1', port: 0, certificate, nodeKey, onFailure: () => {} }, (link) =>
    link.listen({ onMessage: (message) => onMessage(link, message), onData: () => {}, onClose: () => {} }),
  )
  t.after(() => listener.close())
  const transport = { kind: 'tls', host: '127.0.0.1', port: listener.port, pin: certificate.pin }
  let connects = 0
  const needs = {
    nodeKey,
    sign: () => toHex(Buffer.alloc(64, 1)),
    connect: (signal: AbortSignal) => {
      connects++
      return connectLink(transport, nodeKey, { signal })
    },
    onCall: () => {},
  }
  return { needs, connects: () => connects }
}
const grant = (link: Link) => link.send('reserved', { token: TOKEN, lifetimeS: 3_600, maxCalls: 32 })

test('a relay that calls without end is answered as often as a good one may call, and not more', async (t) => {
  const answered = Promise.withResolvers<void>()
  let answers = 0
  let flooded: Link | undefined
  const relay = await badRelay(t, (link, message) => {
    if (message.name === 'reserve') {
      flooded = link
      grant(link)
      for (let callId = 1; callId <= 1_000; callId++) link.send('call', { callId })
    } else if (message.name === 'answer') {
      // Never says `answered`: each of these keeps the node busy.
      if (++answers === 64) answered.resolve()
    } else if (message.name === 'ping') link.send('pong', message.body)
  })
  const reservation = await takeReservation(relay.needs, soon())
  await answered.promise
  // The end of the link is heard after everything that was said on it: none of the thousand calls is still to come.
  flooded!.close()
  assert.equal((await reservation.lost).code, 'PROVIDER_LOST')
  assert.equal(relay.connects(), 65, 'the reservation itself and 64 answers')
})

test('a relay that says what relays do not say loses the reservation', async (t) => {
  for (const [say, code] of [
    [(link: Link) => link.send('opened', {}), 'MESSAGE_UNEXPECTED'],
    [(link: Link) => link.sendData(Buffer.from('data'), () => {}), 'MESSAGE_UNEXPECTED'],
    [(link: Link) => link.wire.write(Buffer.from('ff000001', 'hex').subarray(0, 4)), 'MESSAGE_MALFORMED'],
    [(link: Link) => link.destroy(), 'PROVIDER_LOST'],
  ] as const) {
    const relay = await badRelay(t, (link, message) => {
      if (message.name !== 'reserve') return
      grant(link)
      say(link)
      if (code === 'MESSAGE_MALFORMED') link.wire.write(Buffer.from('x'))
    })
    // It may be heard before the reservation is in our hands, and is then why there is none.
    const error = await takeReservation(relay.needs, soon()).then(
      (reservation) => reservation.lost,
      (thrown: BywayError) => thrown,
    )
    assert.equal(error.code, code)
  }
  // Control: one that only grants is kept until we leave.
  const good = await badRelay(t, (link, message) => message.name === 'reserve' && grant(link))
  const kept = await takeReservation(good.needs, soon())
  const first = await Promise.race([kept.lost.then(() => 'lost'), new Promise((resolve) => setImmediate(() => resolve('kept')))])
  assert.equal(first, 'kept')
  kept.close()
})

test('a relay that refuses, or answers with something else, gives no reservation', async (t) => {
  const refusing = await badRelay(t, (link) => link.send('refused', { code: 'PROVIDER_BUSY', message: 'full' }))
  await assert.rejects(takeReservation(refusing.needs, soon()), { code: 'PROVIDER_BUSY' })
  const strange = await badRelay(t, (link) => link.send('attached', {}))
  await assert.rejects(takeReservation(strange.needs, soon()), { code: 'MESSAGE_UNEXPECTED' })
  const leaving = await badRelay(t, (link) => link.destroy())
  await assert.rejects(takeReservation(leaving.needs, soon()), { code: 'PROVIDER_LOST' })
})
