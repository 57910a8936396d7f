/** That the vectors which the contracts replay are of this code, and that they reach everything. `forge test` does the other half. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { SUITES, type Tally, type Vector, vectorOf } from './suites.ts'

const vectors = JSON.parse(readFileSync(new URL('../vectors/sequences.json', import.meta.url), 'utf8')) as Record<string, Vector>

for (const [name, suite] of Object.entries(SUITES)) {
  test(`${name}: the contracts replay what this code computes, and every kind of operation succeeds often`, () => {
    const tally: Tally = { done: [], refused: [] }
    assert.deepEqual(vectors[name], vectorOf(suite, 0, suite.sequences, tally), 'node test/differential/vectors.ts writes them anew')
    tally.done.forEach((done, kind) => {
      const all = done + (tally.refused[kind] ?? 0)
      assert.ok(done >= 0.02 * all && done >= 10, `kind ${kind}: ${done} of ${all} succeeded`)
    })
    assert.equal(tally.done.length, Math.max(tally.done.length, tally.refused.length), 'no kind is always refused')
    assert.notEqual(vectorOf(suite, 1, 20).digest, vectorOf(suite, 0, 20).digest)
  })
}
