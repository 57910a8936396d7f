/** The world itself: what holds for all that is tested in it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { PATH } from '../support/programs.ts'
import { createWorld, whyNot } from './world.ts'

/** No address that anybody draws is lower. */
const LOWEST = '02:00:00:00:00:00'

test('the internet keeps its link address when others come, so that nobody who knows it talks to the air', {
  skip: whyNot([]),
}, async (t) => {
  const world = createWorld()
  t.after(() => world.close())
  const ip = (...words: string[]) => execFileSync('ip', ['-n', world.net, ...words], { env: { ...process.env, PATH } }).toString()
  const addressOf = (device: string) => (JSON.parse(ip('-j', 'link', 'show', device)) as { address: string }[])[0]!.address
  /** Somebody comes to a bridge, with the lowest address of all. */
  const come = (name: string, bridge: string) => {
    ip('link', 'add', name, 'address', LOWEST, 'type', 'veth', 'peer', 'name', `${name}-end`)
    ip('link', 'set', name, 'master', bridge)
  }
  world.addSite('early', [])
  const before = addressOf('bridge')
  come('late', 'bridge')
  assert.equal(addressOf('bridge'), before)
  // A bridge that was given no address does change it.
  ip('link', 'add', 'other', 'type', 'bridge')
  come('later', 'other')
  assert.equal(addressOf('other'), LOWEST)
})
