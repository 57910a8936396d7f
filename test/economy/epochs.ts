/**
 * The local exchange with probers: an epoch turns, a root becomes final, providers are paid without asking, and ledger and chain agree. About a minute:
 * `npm run test:economy` runs it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { createRpc } from '../../src/chain/index.ts'
import { until } from '../clients/ask.ts'
import { startExchange } from '../clients/exchange.ts'
import { temporaryFolder } from '../support/folders.ts'

/** A provider looks every half minute. */
const CLAIM_LIMIT_MS = 180_000

interface Row {
  source: string
  awarded: string
  claimed: string
  claimable: string
}
interface Node {
  name: string
  role: string
  identityHolds: boolean
  earnings?: { stake: { own: string }; rewards: Row[]; identityHolds: boolean }
}

test('providers that were measured are paid for their capacity', async (t) => {
  const exchange = await startExchange({ home: temporaryFolder(), args: ['--providers', '2'], probers: true })
  t.after(() => exchange.stop())
  const rpc = createRpc({ urls: [exchange.ready.rpc], chainId: 31_337 })
  /** Nobody waits for minutes of the chain. */
  const later = (seconds: number) => rpc.request(z.unknown(), 'evm_increaseTime', [seconds])
  const says = (state: string) => exchange.event((event) => event.event === 'epoch' && event.state === state)

  const audited = (await says('audited')) as unknown as { proven: { guaranteedMbps: string }[] }
  assert.equal(audited.proven.length, 2)
  assert.ok(
    audited.proven.every(({ guaranteedMbps }) => BigInt(guaranteedMbps) > 0n),
    'bytes came through every provider',
  )
  await later(60)
  assert.deepEqual((await says('over')).proposed, ['capacity', 'bootstrap'])
  await later(60)
  await says('settled')

  const providers = async () => (await exchange.command<{ nodes: Node[] }>('ledger')).nodes.filter(({ role }) => role === 'provider')
  const claimed = (node: Node) => node.earnings!.rewards.filter(({ source, claimed }) => source !== 'usage' && BigInt(claimed) > 0n)
  await until('each claims by itself', async () => (await providers()).every((node) => claimed(node).length === 2), CLAIM_LIMIT_MS)
  for (const { identityHolds, earnings } of await providers()) {
    assert.ok(identityHolds && earnings!.identityHolds)
    assert.ok(BigInt(earnings!.stake.own) > 0n)
    for (const row of earnings!.rewards) assert.equal(BigInt(row.awarded), BigInt(row.claimed) + BigInt(row.claimable))
  }
  const verified = await exchange.command<{ nodes: { name: string; equal: boolean; checked: { rewards?: number } }[] }>('verify')
  assert.ok(verified.nodes.every(({ equal }) => equal))
  assert.deepEqual(
    verified.nodes.filter(({ checked }) => checked.rewards === 3).map(({ name }) => name),
    ['provider-1', 'provider-2'],
  )
})
