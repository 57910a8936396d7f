import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newcomers, Remotes } from './remotes.ts'

function world() {
  let now = 1_000_000
  const fresh = newcomers(now)
  return { pass: (ms: number) => (now += ms), remotes: () => new Remotes(() => now, fresh) }
}
const yes = () => true

/** How many of `count` datagrams to this destination may leave. */
const sent = (remotes: Remotes, address: string, count: number) =>
  Array.from({ length: count }, () => remotes.maySend(address, 9, yes)).filter((verdict) => verdict === 'yes').length

test('only those spoken to are heard, for two minutes after the last word', () => {
  const { pass, remotes } = world()
  const known = remotes()
  assert.equal(known.maySend('1.2.3.4', 9, yes), 'yes')
  pass(119_000)
  assert.equal(known.heard('1.2.3.4', 9), true)
  assert.equal(known.heard('1.2.3.4', 10), false, 'another port')
  assert.equal(known.heard('1.2.3.5', 9), false, 'another address')
  pass(2_000)
  assert.equal(known.heard('1.2.3.4', 9), false)
})

test('one that does not answer gets little, one that answers all it needs', () => {
  const { pass, remotes } = world()
  const known = remotes()
  assert.equal(sent(known, '1.1.1.1', 1_000), 64)
  pass(10_000)
  assert.equal(sent(known, '1.1.1.1', 1_000), 64, 'never more than that at once')
  pass(1_000)
  assert.equal(sent(known, '1.1.1.1', 1_000), 8)
  assert.equal(known.heard('1.1.1.1', 9), true)
  assert.equal(sent(known, '1.1.1.1', 2_000), 1_024, 'control')
})

test('new destinations are rationed over all associations of a guest', () => {
  const { pass, remotes } = world()
  const one = remotes()
  for (let i = 0; i < 64; i++) assert.equal(one.maySend(`9.9.9.${i}`, 9, yes), 'yes')
  assert.equal(one.maySend('9.9.9.200', 9, yes), 'limited')
  assert.equal(remotes().maySend('9.9.9.200', 9, yes), 'limited', 'a new association gains nothing')
  assert.equal(one.maySend('9.9.9.1', 9, yes), 'yes', 'those it knows go on')
  pass(1_000)
  assert.equal(sent(one, '9.9.9.200', 1), 1)
})

test('a blocked destination costs nothing and is asked again', () => {
  const known = world().remotes()
  for (let i = 0; i < 200; i++)
    assert.equal(
      known.maySend('10.0.0.1', 9, () => false),
      'blocked',
    )
  assert.equal(known.maySend('10.0.0.1', 9, yes), 'yes')
})

test('what is remembered does not grow', () => {
  const { pass, remotes } = world()
  const known = remotes()
  for (let i = 0; i < 2_000; i++) {
    assert.equal(known.maySend(`8.${i >> 8}.${i & 255}.1`, 9, yes), 'yes')
    pass(250)
  }
  assert.equal(known.heard('8.0.0.1', 9), false)
  // The last two minutes are 480 destinations.
  assert.equal(known.heard('8.7.200.1', 9), true, 'control')
})
