/** Signs of life: each member in its turn, each provider every time, and only of the epoch that is asked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hex } from '../protocol/bytes.ts'
import type { Audited } from './epoch.ts'
import { Looking } from './looking.ts'

const [ANN, BOB, FAR, AWAY] = ['aa', 'bb', 'cc', 'dd'].map((byte): Hex => `0x${byte.repeat(20)}`) as [Hex, Hex, Hex, Hex]
const audited = (epoch: bigint): Audited => {
  const seen = { region: 'de', link: '', claimedMbps: 1n, uptime: 10_000n, rawMbps: 1n, guaranteedMbps: 1n, latencyMs: 1n }
  return { epoch, observations: [FAR, AWAY].map((operator) => ({ ...seen, operator })), evidence: [], committees: new Map(), looks: [] }
}

test('members look in turn, and count who was not there', async () => {
  const looking = new Looking([ANN, BOB], (operator) => (operator === AWAY ? Promise.reject(new Error('nobody')) : Promise.resolve()))
  for (let round = 0; round < 3; round++) await looking.look(audited(7n))
  assert.deepEqual(
    looking.found(7n).map(({ member, operator, asked, answered }) => [member, operator, asked, answered]),
    [
      [ANN, FAR, 2n, 2n],
      [ANN, AWAY, 2n, 0n],
      [BOB, FAR, 1n, 1n],
      [BOB, AWAY, 1n, 0n],
    ],
  )
  assert.deepEqual(looking.found(8n), [])
  await looking.look(audited(8n))
  assert.deepEqual([looking.found(7n), looking.found(8n).length], [[], 2], 'a new epoch begins at nothing')
  await new Looking([], () => Promise.resolve()).look(audited(1n))
})
