import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTRACT_ABIS } from '../../chain/events.ts'
import { type ChainEvent, devnetContracts, namedContracts, readableContracts } from '../../chain/index.ts'
import type { Hex } from '../../protocol/bytes.ts'
import { entriesOf, MEASURES, RULES, regionText } from './entries.ts'

const inputsOf = (contract: string, event: string) =>
  CONTRACT_ABIS[contract]?.find((item) => item.type === 'event' && item.name === event) as { inputs: { name: string }[] } | undefined

test('every rule is about an event that its contract has, and names only arguments of it', () => {
  for (const [contract, rules] of Object.entries(RULES)) {
    for (const [event, rule] of Object.entries(rules)) {
      const known = inputsOf(contract, event)
      assert.ok(known !== undefined, `${contract}.${event} does not exist`)
      const used = [...rule.toString().matchAll(/\ba\.(\w+)/g)].map((match) => match[1]!)
      for (const name of used)
        assert.ok(
          known.inputs.some((input) => input.name === name),
          `${contract}.${event} has no ${name}`,
        )
    }
  }
})

test('every contract of a deployment is read, but the dollars themselves', () => {
  const named = namedContracts(devnetContracts())
  const readable = readableContracts(named)
  const left = Object.keys(named).filter((name) => !Object.hasOwn(readable, name))
  assert.ok(Object.keys(readable).length > 15)
  assert.ok(
    left.every((name) => name.startsWith('dollar')),
    left.join(', '),
  )
})

test('a deployment with several dollars and vaults is one list of names', () => {
  const [a, b, c]: Hex[] = [`0x${'0a'.repeat(20)}`, `0x${'0B'.repeat(20)}`, `0x${'0c'.repeat(20)}`]
  const named = namedContracts({ channels: a, moreDollars: [{ channels: b }], vaults: { de: c } })
  assert.deepEqual(named, { channels: a, 'channels:2': b, 'vaults:de': c })
  assert.equal(readableContracts(named)['channels:2'], b!.toLowerCase())
})

const said = (contract: string, name: string, args: ChainEvent['args']): ChainEvent => {
  return { contract, name, args, block: 1, blockHash: '0x', index: 0, tx: '0x', address: '0x', names: [] }
}
const nothing = () => Promise.resolve(undefined)
const [ada, bob, ZERO] = ['0xada', '0xb0b', `0x${'00'.repeat(20)}`]

test('an event is worth what it says, to whom it says; nothing makes no entry', async () => {
  const claimed = said('channels', 'Claimed', { payee: ada, submitter: bob, amount: '1000', fee: '0', burnt: '100' })
  assert.deepEqual(await entriesOf(claimed, nothing), [
    { measure: 'claimed', unit: 'dollar', owner: ada, amount: 1_000n },
    { measure: 'withheld', unit: 'dollar', owner: ada, amount: 100n },
  ])
  assert.equal((await entriesOf({ ...claimed, contract: 'wayChannels' }, nothing))[0]!.unit, 'way')
  assert.equal((await entriesOf({ ...claimed, contract: 'channels:2' }, nothing))[0]!.unit, 'dollar')
  const burn = said('way', 'Transfer', { from: ada, to: ZERO, value: '7' })
  assert.deepEqual(await entriesOf(burn, nothing), [{ measure: 'burnt', unit: 'way', owner: ada, amount: 7n }])
  const vault = said('vaults:de', 'Deposit', { sender: bob, owner: ada, assets: '5', shares: '5' })
  assert.deepEqual(await entriesOf(vault, nothing), [{ measure: 'vaulted', unit: 'dollar', owner: ada, amount: 5n, region: 'de' }])
  assert.deepEqual(await entriesOf(said('registry', 'KeyAdded', { operator: ada, key: bob }), nothing), [])
})

test('stake that is released is taken from whom it stood behind, as the event says in which it began to thaw', async () => {
  const released = said('registry', 'Released', { id: '4', owner: bob, to: ZERO, tokens: '9' })
  const earlier = async (name: string, id: string) => (name === 'Unbonding' && id === '4' ? { operator: ada } : undefined)
  assert.deepEqual(await entriesOf(released, earlier), [{ measure: 'staked', unit: 'way', owner: ada, amount: -9n }])
})

test('a region in bytes reads as its name, and bytes that are no name as they are', () => {
  assert.equal(regionText('0x646500000000'), 'de')
  assert.equal(regionText('0x65752d776500'), 'eu-we')
  assert.equal(regionText('0xff0000000001'), '0xff0000000001')
  assert.equal(
    Object.keys(MEASURES).every((name) => /^[a-z_]+$/.test(name)),
    true,
  )
})
