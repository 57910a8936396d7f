/** What `byway doctor` says of real NATs, in namespaces: each kind is told apart from the others. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import type { Finding } from '../../src/tunnel/netcheck/index.ts'
import { startMiniupnpd } from './router-daemon.ts'
import { createWorld, type Site, type World, whyNot } from './world.ts'

const skip = whyNot(['nft', 'miniupnpd'])
const PROGRAM = join(import.meta.dirname, 'netcheck-node.ts')

async function firstLine(world: World, ns: string, words: string[]): Promise<string> {
  const child = world.start(ns, process.execPath, [PROGRAM, ...words])
  let errors = ''
  child.stderr!.on('data', (part: Buffer) => (errors += part.toString()))
  const line = once(createInterface({ input: child.stdout! }), 'line') as Promise<[string]>
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`netcheck-node ended without a word: ${errors}`)))
  // The winner is what counts: the program may end, or live on, after its line.
  ended.catch(() => {})
  return (await Promise.race([line, ended]))[0]
}

/** A world with two relays, and how to look at it from a site. */
async function worldWithRelays(t: TestContext) {
  const world = createWorld()
  t.after(() => world.close())
  const relays = ['one', 'two'].map((name) => world.addSite(name, []))
  const offers = await Promise.all(relays.map(({ ns, address }) => firstLine(world, ns, ['relay', address])))
  const look = async ({ ns }: Site) => {
    const findings = JSON.parse(await firstLine(world, ns, ['look', ...offers])) as Finding[]
    return Object.fromEntries(findings.map(({ check, code, detail }) => [check, code ?? detail]))
  }
  return { world, look }
}

test('each kind of line is told apart from the others', { skip }, async (t) => {
  const { world, look } = await worldWithRelays(t)
  const sites = (['cone', 'symmetric'] as const).map((kind) => world.addSite(kind, [kind]))
  const home = world.addSite('home', ['mapped'])
  const nested = world.addSite('nested', ['mapped', 'cone'])
  for (const { routers } of [home, nested]) await startMiniupnpd(world, routers[0]!)
  const [open, cone, symmetric, mapped, twice] = await Promise.all([world.addSite('open', []), ...sites, home, nested].map(look))
  assert.match(open!.nat!, /^none: 45\./)
  assert.equal(open!.nodes, '2 of 2 nodes answer')
  assert.match(open!.packets!, /packets of full size pass/)
  assert.match(cone!.nat!, /endpoint-independent mapping/)
  assert.equal(cone!.carrier, undefined, 'a router that says nothing is no carrier')
  assert.equal(symmetric!.nat, 'NETWORK_NAT')
  assert.equal(mapped!.carrier, `your router has the public address ${home.publicAddress}`)
  assert.equal(twice!.carrier, 'NETWORK_CARRIER_NAT')
})

test('a line that swallows large packets is found out', { skip }, async (t) => {
  const { world, look } = await worldWithRelays(t)
  const site = world.addSite('hole', ['cone'])
  world.inside(site.routers[0]!, 'nft', 'insert', 'rule', 'inet', 'filter', 'forward', 'meta', 'length', '>', '1000', 'drop')
  const { packets, nodes } = await look(site)
  assert.deepEqual([packets, nodes], ['NETWORK_MTU', 'PROVIDER_UNREACHABLE'])
})
