/** How many relays are asked, which, and when again: with relays and a clock made for the purpose. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BywayError } from '../../protocol/errors.ts'
import { silent } from '../../protocol/observe.ts'
import type { SignedOffer } from '../../protocol/offer.ts'
import { offeringNode } from '../../protocol/testing.ts'
import { waysOf } from './index.ts'
import type { Reservation } from './reservation.ts'
import { keepReservations } from './reservations.ts'

const relayAt = (host: string): SignedOffer =>
  offeringNode().offer({ relay: 1, transports: [{ kind: 'tls', host, port: 443, pin: `0x${'33'.repeat(32)}` }] })

function start(relays: SignedOffer[], refuses: (relay: SignedOffer) => boolean = () => false) {
  let nowMs = 0
  const asked: SignedOffer[] = []
  const lost = new Map<SignedOffer, (error: BywayError) => void>()
  const held: number[] = []
  let wake: (() => void) | undefined
  let rested = () => {}
  const reservations = keepReservations({
    relays: async () => relays,
    take: async (relay): Promise<Reservation> => {
      asked.push(relay)
      if (refuses(relay)) throw new BywayError('PROVIDER_BUSY', 'full')
      const { promise, resolve } = Promise.withResolvers<BywayError>()
      lost.set(relay, resolve)
      return { lost: promise, close: () => resolve(new BywayError('PROVIDER_LOST', 'closed')) }
    },
    onChange: (now) => held.push(now.length),
    observer: silent,
    random: () => 0.5,
    wanted: 3,
    nowMs: () => nowMs,
    // Woken like the real one; time passes only when the test says so.
    sleep: (_ms, signal) =>
      new Promise<void>((resolve) => {
        wake = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
        if (signal.aborted) resolve()
        rested()
      }),
  })
  /** Lets everything under way settle, then lets `ms` pass. */
  const pass = async (ms: number) => {
    await settle()
    nowMs += ms
    const again = new Promise<void>((resolve) => (rested = resolve))
    wake?.()
    await again
    await settle()
  }
  return { reservations, asked, lost, held, pass }
}
/** Promises only: a turn of the loop runs them all. */
const settle = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))

test('as many relays as wanted are held, and a lost one is replaced at once', async () => {
  const relays = ['45.1.0.2', '46.1.0.2', '47.1.0.2', '48.1.0.2'].map(relayAt)
  const { reservations, asked, lost, pass } = start(relays)
  await pass(1_000)
  assert.equal(reservations.held().length, 3)
  const [first] = asked
  lost.get(first!)!(new BywayError('PROVIDER_LOST', 'gone'))
  await settle()
  await settle()
  assert.equal(reservations.held().length, 3)
  assert.ok(!reservations.held().includes(first!))
  assert.equal(asked.length, 4)
  await reservations.close()
  assert.equal(reservations.held().length, 0)
})

test('a relay that fails is asked again later and later, and others serve meanwhile', async () => {
  const [bad, good] = [relayAt('45.1.0.2'), relayAt('46.1.0.2')]
  const { reservations, asked, pass } = start([bad, good], (relay) => relay === bad)
  const times: number[] = []
  for (let second = 0; second < 600; second++) {
    const before = asked.filter((relay) => relay === bad).length
    await pass(1_000)
    if (asked.filter((relay) => relay === bad).length > before) times.push(second)
  }
  assert.deepEqual(
    reservations.held().map(({ body }) => body.nodeKey),
    [good.body.nodeKey],
  )
  const gaps = times.slice(1).map((time, i) => time - times[i]!)
  assert.ok(times.length < 12, `asked ${times.length} times in ten minutes`)
  for (let i = 1; i < gaps.length; i++) assert.ok(gaps[i]! >= gaps[i - 1]!, `gaps ${gaps.join(' ')}`)
  await reservations.close()
})

test('relays of other networks come first', async () => {
  const near = Array.from({ length: 6 }, (_, i) => relayAt(`45.1.0.${i + 2}`))
  const far = relayAt('99.1.0.2')
  const { reservations, pass } = start([...near, far])
  await pass(1_000)
  assert.equal(reservations.held().length, 3)
  assert.ok(reservations.held().includes(far))
  await reservations.close()
})

test('an offer names the direct way first, then relays, and nothing when there is none', () => {
  const pin = `0x${'33'.repeat(32)}` as const
  const key = `0x${'ab'.repeat(32)}` as const
  const direct = { host: '45.1.0.2', port: 4433, kind: 'open' as const }
  assert.deepEqual(waysOf({ direct: undefined, relays: [] }, pin), [])
  assert.deepEqual(waysOf({ direct, relays: [key] }, pin), [
    { kind: 'tls', host: '45.1.0.2', port: 4433, pin },
    { kind: 'relay', host: 'ab'.repeat(32), port: 0, pin },
  ])
})
