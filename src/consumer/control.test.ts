import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../protocol/clock.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Link } from '../tunnel/index.ts'
import { Budget } from './budget.ts'
import { Control, type ControlNeeds } from './control.ts'

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
    busy: () => true,
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
