/** The routers are what they are called: which port is seen outside, and who may come in through it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { readLines } from './lines.ts'
import type { RouterKind } from './routers.ts'
import { createWorld, INTERNET, whyNot } from './world.ts'

const skip = whyNot(['nft', 'bash'])
const program = (name: string) => join(import.meta.dirname, name)
const OWN_PORT = 5_000

test('each kind of NAT keeps or changes ports, and lets strangers in or not, as its name says', { skip }, async (t) => {
  const world = createWorld()
  t.after(() => world.close())
  const observer = readLines(world.start(world.net, process.execPath, [program('observer.ts')]))
  const { ports } = (await observer.until('ready')) as unknown as { ports: number[] }
  const rows: [string, readonly RouterKind[], { keeps: boolean; strangers: boolean }][] = [
    ['none', [], { keeps: true, strangers: true }],
    ['full-cone', ['full-cone'], { keeps: true, strangers: true }],
    ['cone', ['cone'], { keeps: true, strangers: false }],
    ['symmetric', ['symmetric'], { keeps: false, strangers: false }],
    ['double', ['cone', 'symmetric'], { keeps: false, strangers: false }],
  ]
  for (const [name, kinds, expected] of rows) {
    const site = world.addSite(name, kinds)
    const words = [program('knock.ts'), String(OWN_PORT), INTERNET, ...ports.map(String)]
    const host = readLines(world.start(site.ns, process.execPath, words))
    const seen = (await host.until('seen')).ports as number[]
    const knock = `timeout 1 bash -c 'cat < /dev/tcp/${site.publicAddress}/${OWN_PORT}' 2>/dev/null || true`
    const answer = world.inside(world.net, 'bash', '-c', knock).toString()
    assert.deepEqual({ keeps: seen.every((port) => port === OWN_PORT), strangers: answer === 'reached' }, expected, name)
    assert.equal(new Set(seen).size, expected.keeps ? 1 : 2, `${name}: seen as ${seen.join(', ')}`)
    host.child.stdin!.end()
  }
})
