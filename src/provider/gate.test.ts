/** The gate lets flows on in order, and nobody waits behind a flow that is gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STRANGER_WINDOW_BYTES } from '../protocol/credit.ts'
import { acceptStatement, carriedBytes, newTill } from '../protocol/till.ts'
import { Gate } from './gate.ts'

const PRICE = 1n << 30n
const W = Number(STRANGER_WINDOW_BYTES)

function gated() {
  const till = newTill({ base: 0n, pricePerGib: PRICE, cap: 1n << 40n, cumulative: 0n, window: STRANGER_WINDOW_BYTES })
  const gate = new Gate(till, () => {})
  const done: string[] = []
  const wait = (name: string, bytes: number, signal: AbortSignal = new AbortController().signal) => {
    const granted = gate.take('down', bytes, signal)
    if (granted === true) done.push(name)
    else
      granted.then(
        () => done.push(name),
        () => done.push(`${name} gave up`),
      )
  }
  const pay = (down: bigint) => acceptStatement(till, { up: 0n, down, cumulative: down }, till.window)
  return { till, gate, done, wait, pay }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what fits goes on at once, what does not waits for a voucher, and nothing overtakes', async () => {
  const { till, gate, done, wait, pay } = gated()
  wait('first', W - 10)
  wait('large', 100)
  wait('small', 1)
  await turn()
  assert.deepEqual(done, ['first'])
  assert.equal(gate.waiting, 2)
  assert.equal(carriedBytes(till), BigInt(W - 10))
  pay(50n)
  gate.release()
  await turn()
  assert.deepEqual(done, ['first'], 'not yet enough for the large one')
  pay(100n)
  gate.release()
  await turn()
  assert.deepEqual(done, ['first', 'large', 'small'])
  assert.equal(carriedBytes(till), BigInt(W - 10 + 101))
})

test('a flow that gives up frees those behind it, and is not counted', async () => {
  const { till, gate, done, wait } = gated()
  const over = new AbortController()
  wait('first', W - 10)
  wait('large', 100, over.signal)
  wait('small', 10)
  over.abort()
  await turn()
  assert.deepEqual(done.sort(), ['first', 'large gave up', 'small'])
  assert.equal(carriedBytes(till), BigInt(W))
  assert.equal(gate.waiting, 0)
})

test('a flow that was over before it asked never waits', async () => {
  const { gate, done, wait } = gated()
  wait('first', W)
  wait('late', 1, AbortSignal.abort())
  await turn()
  assert.deepEqual(done, ['first', 'late gave up'])
  assert.equal(gate.waiting, 0)
})

test('while it is held nothing passes, whatever room there is; afterwards all goes by the new till', async () => {
  const { gate, done, wait, till } = gated()
  gate.hold()
  wait('held', 1)
  const over = new AbortController()
  wait('gone', 1, over.signal)
  over.abort()
  await turn()
  assert.deepEqual(done, ['gone gave up'])
  assert.equal(carriedBytes(till), 0n)
  const next = newTill({ base: 0n, pricePerGib: PRICE, cap: 1n << 40n, cumulative: 0n, window: STRANGER_WINDOW_BYTES })
  gate.release(next)
  await turn()
  assert.deepEqual(done, ['gone gave up', 'held'])
  assert.deepEqual([carriedBytes(till), carriedBytes(next)], [0n, 1n])
})
