/** A small market: a provider behind each kind of router, and a consumer behind the worst. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whyNot } from '../nat/world.ts'
import { planOf, runMarket } from './market.ts'

const skip = whyNot(['nft', 'bash', 'curl'])

test('nodes that know one bootstrap address find and use each other through every kind of router', { skip }, async (t) => {
  const outcome = await runMarket({ nodes: 5, bytes: 50_000 }, () => {})
  t.diagnostic(outcome.uses.map(({ consumerAt, country, way }) => `${consumerAt} -> ${country}: ${way}`).join('; '))
  assert.ok(outcome.ok, JSON.stringify(outcome.uses))
})

test('of fifty nodes thirty provide in ten countries, ten at each kind of place, half of the cones mapping ports', () => {
  const { providers, consumers, countries } = planOf(50)
  assert.deepEqual([providers.length, consumers.length, countries.length], [30, 20, 10])
  for (const [i, country] of countries.entries()) {
    assert.deepEqual(
      providers.filter((each) => each.country === country).map(({ place }) => place),
      ['none', i % 2 === 0 ? 'cone' : 'mapped', 'symmetric'],
    )
  }
})
