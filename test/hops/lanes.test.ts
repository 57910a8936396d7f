/** A world of three nodes: each can be the exit of a route through the two others, whatever routes are in use. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { parseDestination } from '../../src/protocol/destination.ts'
import { echo } from '../attacks/world.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider } from '../support/pair.ts'
import { originOf } from '../transport/pair.ts'

const EXITS = ['de', 'us', 'jp', 'de', 'jp', 'us']
const inTurn = async (work: (country: string) => Promise<string>) => {
  const seen: string[] = []
  for (const country of EXITS) seen.push(await work(country))
  return seen
}
const atOnce = (work: (country: string) => Promise<string>) => Promise.all(EXITS.map(work))

for (const [name, asked] of Object.entries({ 'one after the other': inTurn, 'all at once': atOnce })) {
  test(`with three nodes only, each of them can be the exit of three hops, ${name}`, async (t) => {
    const chain = new MemoryChain()
    const sellers = await Promise.all(['de', 'us', 'jp'].map((country) => startProvider({ chain, country })))
    const buyer = await startConsumer({ chain, offers: () => sellers.map(({ offer }) => offer), hops: 3 })
    t.after(async () => {
      await buyer.consumer.close()
      await Promise.all(sellers.map(({ provider }) => provider.close()))
      await Promise.all([buyer.vault.close(), ...sellers.map(({ vault }) => vault.close())])
    })
    const mirror = await originOf(t, echo)
    const through = async (country: string) => {
      const request = { destination: parseDestination('127.0.0.1', mirror.port), parameters: { ...anyRoute, country } }
      const { stream, route } = await buyer.consumer.dial(request, AbortSignal.timeout(60_000))
      stream.write(country)
      const [answer] = (await once(stream, 'data')) as [Buffer]
      stream.destroy()
      assert.equal(String(answer), country)
      return route.country
    }
    assert.deepEqual(await asked(through), EXITS)
    assert.deepEqual(await atOnce(through), EXITS)
  })
}
