import assert from 'node:assert/strict'
import { test } from 'node:test'
import { train, truePositiveRate } from './boosting.ts'

/** The same numbers in every run. */
function drawing(): () => number {
  let state = 1
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

test('what differs in two features together is found, what does not differ is not', () => {
  const draw = drawing()
  const make = (count: number, accepts: (x: number, y: number) => boolean) => {
    const samples: number[][] = []
    while (samples.length < count) {
      const [x, y] = [draw(), draw()]
      if (accepts(x, y)) samples.push([x, y, draw()])
    }
    return samples
  }
  const rate = (ours: number[][], others: number[][]) => {
    const score = train([...ours.slice(0, 300), ...others.slice(0, 300)], [...Array<1>(300).fill(1), ...Array<0>(300).fill(0)])
    return truePositiveRate(ours.slice(300).map(score), others.slice(300).map(score), 0.01)
  }
  const corner = (x: number, y: number) => x > 0.5 && y > 0.5
  assert.ok(
    rate(
      make(600, corner),
      make(600, (x, y) => !corner(x, y)),
    ) > 0.9,
  )
  assert.ok(
    rate(
      make(600, () => true),
      make(600, () => true),
    ) < 0.1,
  )
})

test('the rate is counted above all but the allowed share of the others', () => {
  const others = Array.from({ length: 1_000 }, (_, at) => at)
  assert.equal(truePositiveRate([997, 998, 999, 1_000], others, 0.001), 0.5)
  assert.equal(truePositiveRate([997, 998, 999, 1_000], others, 0.01), 1)
})
