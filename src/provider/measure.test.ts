import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { challengeBytes } from '../protocol/challenge.ts'
import { connectMeasure } from './measure.ts'

async function ask(path: string): Promise<{ head: string; body: Buffer }> {
  const stream = connectMeasure()
  stream.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
  const all = Buffer.concat(await stream.toArray())
  const end = all.indexOf('\r\n\r\n')
  return { head: all.subarray(0, end).toString(), body: all.subarray(end + 4) }
}

test('a challenge is answered with its own bytes, and in no other way', async () => {
  const [key, other] = [randomBytes(32), randomBytes(32)]
  const length = 200_001
  const { head, body } = await ask(`/${key.toString('hex')}/${length}`)
  assert.match(head, /^HTTP\/1.1 200/)
  const next = challengeBytes(key)
  assert.deepEqual(body, Buffer.concat([next(1), next(100_000), next(100_000)]), 'however it is cut')
  assert.notDeepEqual(body.subarray(0, 32), challengeBytes(other)(32))
})

test('what is no challenge, or too much, is refused', async () => {
  const key = 'ab'.repeat(32)
  for (const path of ['/', `/${key}`, `/${key.slice(1)}/5`, `/${key}/99999999`, `/${key}/-1`, `/${key}/5/6`]) {
    assert.match((await ask(path)).head, /^HTTP\/1.1 400/, path)
  }
  assert.match((await ask(`/${key}/0`)).head, /^HTTP\/1.1 200/)
})
