/** The indexer on a real chain with the real contracts, which reorganises. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { devnetContracts } from '../../src/chain/devnet.ts'
import { blocksOf, eventReader, namedContracts, readableContracts } from '../../src/chain/index.ts'
import { makeRoot, startDevnet, walletOf } from '../../src/chain/testing.ts'
import { positionOf, step } from '../../src/explorer/indexer/follow.ts'
import { prepare } from '../../src/explorer/indexer/index.ts'
import { openPglite } from '../../src/explorer/store/index.ts'
import { systemClock } from '../../src/protocol/clock.ts'
import { UNITS_PER_DOLLAR } from '../../src/protocol/dollars.ts'
import { silent } from '../../src/protocol/observe.ts'
import { chainDigest } from './digest.ts'

test('what a real chain says, takes back and says again is what the tables hold', async (t) => {
  const { anvil, rpc, client, funded } = await startDevnet()
  t.after(() => anvil.stop())
  const store = await openPglite(undefined, systemClock)
  t.after(() => store.close())
  const contracts = namedContracts(devnetContracts())
  const source = blocksOf(rpc, Object.values(readableContracts(contracts)))
  const needs = { db: store.db, source, read: eventReader(contracts), observer: silent }
  const catchUp = async () => {
    while (await step(needs)) {
      // Until there is nothing new.
    }
    const [at, head] = [await positionOf(store.db), await source.head()]
    assert.deepEqual([at?.number, at?.hash], [head.number, head.hash])
  }
  const sumOf = async (measure: string, owner: string) => {
    const row = await store.db
      .selectFrom('entries')
      .select(({ fn }) => fn.sum<string | null>('amount').as('sum'))
      .where('measure', '=', measure)
      .where('owner', '=', owner)
      .executeTakeFirstOrThrow()
    return BigInt(row.sum ?? 0)
  }
  await prepare(store, source.chainId, contracts, silent)

  const [payer, payee] = [await funded('payer'), walletOf('payee')]
  const expiry = (await client.blockTime()) + 86_400
  const root = makeRoot(client, payer.address, [payee.address], expiry)
  await client.openRoot(root.descriptor, payer)
  const submitter = await funded('submitter')
  const claim = (cents: bigint, activate: boolean) => {
    const activations = activate ? [root.activation(0)] : []
    const cumulative = (cents * UNITS_PER_DOLLAR) / 100n
    return client.claim(payee.address, { activations, vouchers: [root.voucher(0, cumulative)], owed: cumulative }, submitter)
  }
  await claim(100n, true)
  await catchUp()
  assert.equal(await sumOf('deposited', payer.address), root.descriptor.sum)
  assert.equal(await sumOf('claimed', payee.address), UNITS_PER_DOLLAR)
  assert.equal(await sumOf('withheld', payee.address), UNITS_PER_DOLLAR / 10n)
  assert.ok((await sumOf('minted', '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266')) > 0n, 'the WAY of genesis')

  for (const depth of [1, 3, 2]) {
    // A claim that happened and then did not: the next one pays it and more.
    const before = await sumOf('claimed', payee.address)
    await claim(before / 10_000n + 50n, false)
    await catchUp()
    assert.equal(await sumOf('claimed', payee.address), before + UNITS_PER_DOLLAR / 2n)
    for (let i = 1; i < depth; i++) await rpc.request(z.unknown(), 'evm_mine', [])
    await catchUp()
    await rpc.request(z.unknown(), 'anvil_reorg', [depth, []])
    await catchUp()
    assert.equal(await sumOf('claimed', payee.address), before, `after ${depth} blocks were taken back`)
    await claim(before / 10_000n + 75n, false)
    await catchUp()
    assert.equal(await sumOf('claimed', payee.address), before + (UNITS_PER_DOLLAR * 3n) / 4n)
  }
  // The chain is shorter than it was, and not one block of it is new.
  await rpc.request(z.unknown(), 'anvil_rollback', [2])
  await catchUp()

  const indexed = await chainDigest(store.db)
  // Far enough up that the fresh index reads by ranges what the first read block by block.
  await rpc.request(z.unknown(), 'anvil_mine', [100])
  await prepare(store, source.chainId, { channels: contracts.channels! }, silent)
  assert.notEqual(await chainDigest(store.db), indexed)
  await prepare(store, source.chainId, contracts, silent)
  await catchUp()
  assert.equal(await chainDigest(store.db), indexed)
})
