import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Account } from './end.ts'
import { judge, type Verdict } from './judge.ts'

/** One that sent and received all. */
const whole: Account = {
  sent: 10,
  sentHash: 'ten',
  received: 10,
  receivedHash: 'ten',
  saidEnd: true,
  heardEnd: true,
  error: undefined,
  gaveUp: false,
  wrongAt: undefined,
  hung: false,
}
/** One whose connection broke when four bytes had come. */
const broken: Account = { ...whole, received: 4, receivedHash: 'four', heardEnd: false, error: 'ECONNRESET' }
/** One that heard the end after four bytes. */
const short: Account = { ...whole, received: 4, receivedHash: 'four' }
const gaveUp: Account = { ...whole, saidEnd: false, heardEnd: false, gaveUp: true }

const calm = false
const mishap = true

const CASES: readonly [Verdict, string, Account, Account | undefined, boolean][] = [
  ['whole', 'all arrived', whole, whole, calm],
  ['truncated', 'a download that ends too soon', short, whole, mishap],
  ['truncated', 'an upload that ends too soon', whole, short, mishap],
  ['truncated', 'an upload that ends too soon, though the client knows', broken, short, mishap],
  ['truncated', 'a reset that is heard as an end', gaveUp, short, calm],
  ['truncated', 'all bytes, but the sender had more to say', { ...broken, saidEnd: false }, whole, mishap],
  ['truncated', 'as many bytes but others', { ...whole, receivedHash: 'other' }, whole, calm],
  ['altered', 'a byte is another', { ...whole, wrongAt: 3 }, whole, calm],
  ['altered', 'more came than was sent', { ...broken, received: 11 }, broken, mishap],
  ['given up', 'a reset is an error for the other', gaveUp, broken, calm],
  ['given up', 'a reset after the other had left', { ...whole, gaveUp: true, heardEnd: false }, whole, calm],
  ['given up', 'a reset before the first byte came', gaveUp, undefined, calm],
  ['not told', 'a reset of which the other never hears', gaveUp, { ...broken, error: undefined }, calm],
  ['broken', 'both know', broken, broken, mishap],
  ['broken', 'it broke before the first bytes came', broken, undefined, mishap],
  ['no cause', 'it broke before the first bytes came, of nothing', broken, undefined, calm],
  ['truncated', 'nothing ever came, and the client believes it did', whole, undefined, mishap],
  ['broken late', 'one had left in order', broken, whole, mishap],
  ['no cause', 'both know, nothing happened', broken, broken, calm],
  ['not told', 'one waits for ever', broken, { ...broken, error: undefined }, mishap],
  ['hung', 'one was not over in time', { ...broken, hung: true }, broken, mishap],
]

for (const [verdict, name, client, origin, struck] of CASES) {
  test(`${verdict}: ${name}`, () => assert.equal(judge(client, origin, struck), verdict))
}
