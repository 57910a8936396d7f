import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatDollars, parseDollars, UNITS_PER_DOLLAR } from './dollars.ts'

test('reads amounts exactly, to the last of six decimals', () => {
  assert.equal(parseDollars('0'), 0n)
  assert.equal(parseDollars('5'), 5n * UNITS_PER_DOLLAR)
  assert.equal(parseDollars('0.5'), 500_000n)
  assert.equal(parseDollars('0.000001'), 1n)
  assert.equal(parseDollars('999999999999.999999'), 999_999_999_999_999_999n)
})

test('refuses what is not a plain amount', () => {
  assert.equal(parseDollars('1.25'), 1_250_000n)
  for (const text of [
    '',
    ' 1',
    '1 ',
    '-1',
    '+1',
    '1.',
    '.5',
    '1e3',
    '0x10',
    '1,000',
    '0.0000001',
    '1234567890123',
    '١',
    'NaN',
    '1.2.3',
    '$1',
  ]) {
    assert.equal(parseDollars(text), undefined, JSON.stringify(text))
  }
})

test('writes at least two decimals and no needless zeros', () => {
  assert.equal(formatDollars(0n), '0.00')
  assert.equal(formatDollars(1n), '0.000001')
  assert.equal(formatDollars(500_000n), '0.50')
  assert.equal(formatDollars(1_234_500n), '1.2345')
  assert.equal(formatDollars(-21_000n), '-0.021')
})

test('what is written reads back as the same units', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 999_999_999_999_999_999n), (units) => {
      assert.equal(parseDollars(formatDollars(units)), units)
    }),
  )
})
