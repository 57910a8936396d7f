/** Port mapping against the program that home routers run, in namespaces. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { readLines } from './lines.ts'
import { startMiniupnpd } from './router-daemon.ts'
import { createWorld, type World, whyNot } from './world.ts'

const skip = whyNot(['nft', 'miniupnpd', 'bash'])

const runMapper = (world: World, ns: string, way: string) =>
  readLines(world.start(ns, process.execPath, [join(import.meta.dirname, 'map-port.ts'), way]))

/** What a stranger on the internet gets from an address: its first line, or ''. */
const knock = (world: World, address: string, port: number): string =>
  world.inside(world.net, 'bash', '-c', `timeout 1 bash -c 'cat < /dev/tcp/${address}/${port}' 2>/dev/null || true`).toString()

for (const way of ['pcp', 'nat-pmp', 'upnp', 'any'] as const) {
  test(`a port is mapped, renewed and taken away again by ${way}`, { skip }, async (t) => {
    const world = createWorld()
    t.after(() => world.close())
    const home = world.addSite('home', ['mapped'])
    await startMiniupnpd(world, home.routers[0]!)
    const mapper = runMapper(world, home.ns, way)
    const { mapping, port } = (await mapper.until('change')) as unknown as {
      mapping: { protocol: string; externalAddress: string; externalPort: number; lifetimeS: number }
      port: number
    }
    assert.equal(mapping.protocol, way === 'any' ? 'pcp' : way)
    assert.deepEqual([mapping.externalAddress, mapping.externalPort], [home.publicAddress, port])
    assert.equal(knock(world, mapping.externalAddress, mapping.externalPort), 'reached')
    // No other port of the home is open: the knock above came through the mapping.
    assert.equal(knock(world, mapping.externalAddress, mapping.externalPort + 1), '')
    const { ms } = await mapper.until('waits')
    assert.equal(ms, (mapping.lifetimeS * 1000) / 2)
    mapper.child.stdin!.write('\n')
    assert.equal((await mapper.until('asked')).ok, true)
    await mapper.until('waits')
    assert.ok(!mapper.seen.some(({ event }) => event === 'change'), 'a renewal changes nothing')
    mapper.child.stdin!.end()
    assert.equal((await mapper.until('asked')).lifetimeS, 0)
    await mapper.until('closed')
    assert.equal(knock(world, mapping.externalAddress, mapping.externalPort), '')
  })
}

test('a router behind a carrier’s is no way in, and one that maps nothing is noticed', { skip }, async (t) => {
  const world = createWorld()
  t.after(() => world.close())
  const nested = world.addSite('nested', ['mapped', 'cone'])
  await startMiniupnpd(world, nested.routers[0]!)
  const plain = world.addSite('plain', ['cone'])
  for (const [site, code] of [
    [nested, 'ROUTER_NOT_PUBLIC'],
    [plain, 'PORT_NOT_MAPPED'],
  ] as const) {
    const mapper = runMapper(world, site.ns, 'any')
    const warning = await mapper.until('warning')
    assert.equal(warning.code, code)
    mapper.child.stdin!.end()
    await mapper.until('closed')
    assert.ok(!mapper.seen.some(({ event }) => event === 'change'))
  }
})
