import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { echo } from '../attacks/world.ts'
import { seeded } from '../fuzz/mutate.ts'
import { booksAgree, contentOf, originOf, startPair } from './pair.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('a thousand flows, one after the other, shake hands twice: once to control, once to carry', async (t) => {
  const pair = await startPair(t)
  const source = await originOf(t, echo)
  let bytes = 0
  for (let i = 0; i < 1_000; i++) {
    const flow = await pair.dial(source.port)
    const words = `flow ${i}`
    flow.end(words)
    assert.equal(String(await contentOf(flow)), words)
    bytes += 2 * words.length
    // It is free when the provider said `done`.
    await pair.over(flow)
  }
  assert.equal(pair.connections.length, 2)
  await pair.rest()
  await pair.close()
  assert.equal(booksAgree(pair).bytes, BigInt(bytes))
})

test('two hundred flows at once keep their payloads apart', async (t) => {
  const pair = await startPair(t)
  const source = await originOf(t, echo)
  const random = seeded(5)
  const sizes = Array.from({ length: 200 }, () => random(60_000))
  const hashes = await Promise.all(
    sizes.map(async (size) => {
      const payload = randomBytes(size)
      const flow = await pair.dial(source.port)
      flow.end(payload)
      return [sha256(await contentOf(flow)), sha256(payload)]
    }),
  )
  for (const [arrived, sent] of hashes) assert.equal(arrived, sent)
  assert.equal(new Set(hashes.map(([arrived]) => arrived)).size, new Set(hashes.map(([, sent]) => sent)).size)
  assert.ok(pair.connections.length <= 201, 'one link a flow and one to control')
  await pair.rest()
  await pair.close()
  assert.equal(booksAgree(pair).bytes, BigInt(2 * sizes.reduce((sum, size) => sum + size, 0)))
})
