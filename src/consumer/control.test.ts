import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../protocol/clock.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Link } from '../tunnel/index.ts'
import { Budget } from './budget.ts'
import { Control, type ControlNeeds, patience } from './control.ts'

type OnClose = Parameters<Link['listen']>[0]['onClose']

/** A control link that breaks at once; resolves to the error with which its session is over. */
function lose(rejoin: ControlNeeds['rejoin']): Promise<BywayError> {
  let broken: OnClose = () => {}
  const link = { listen: (listener: { onClose: OnClose }) => (broken = listener.onClose), close() {} } as unknown as Link
  const { promise, resolve } = Promise.withResolvers<BywayError>()
  const control = new Control(link, {
    clock: systemClock,
    budget: new Budget(systemClock),
    random: () => 0,
    onBack() {},
    outage: { limitMs: 20, againMs: 5 },
    connect: async () => link,
    rejoin,
    activity: () => ({ flows: true, quietMs: 0 }),
    onMessage() {},
    onAway() {},
    onRejoined() {},
    onGone: resolve,
  })
  broken(undefined)
  return promise.finally(() => control.close())
}

test('a session that is not found again in time counts as lost, not as given up by whoever waits', async () => {
  const hangs = (_link: Link, signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new BywayError('CONNECTION_RESET', 'given up')))
    })
  assert.equal((await lose(hangs)).code, 'PROVIDER_LOST')
  // Control: what a provider says itself is passed on.
  assert.equal((await lose(() => Promise.reject(new BywayError('SESSION_UNKNOWN', 'never heard of it')))).code, 'SESSION_UNKNOWN')
})

test('a session that carries bytes is asked twice a second, one that stands still ever more rarely', () => {
  // Asked and answered for an hour, as a session asks that carried its last byte at 0.
  const pingsOf = (flows: boolean, quietMs: (atMs: number) => number) => {
    let [pings, lastMs] = [0, 0]
    for (let atMs = 0; atMs < 3_600_000; atMs += 500) {
      if (atMs - lastMs < patience(flows, quietMs(atMs)).pingMs) continue
      pings++
      lastMs = atMs
    }
    return pings
  }
  const still = (atMs: number) => atMs
  assert.ok(pingsOf(true, still) < 150, `${pingsOf(true, still)} pings in an hour without a byte`)
  assert.ok(pingsOf(false, still) < 150)
  assert.equal(
    pingsOf(true, () => 0),
    7_199,
    'control: with bytes moving',
  )
})

test('under traffic silence is noticed within two seconds, and nobody is given up before an answer could come', () => {
  const { pingMs, silenceMs } = patience(true, 500)
  assert.ok(pingMs + silenceMs < 2_000)
  for (const quietMs of [0, 10_000, 60_000, 3_600_000]) {
    for (const flows of [false, true]) assert.ok(patience(flows, quietMs).silenceMs >= 1_250)
  }
})
