/** An exit that falls silent is looked for through the entries that are known already: each further one learns the consumer's address. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { origin } from '../attacks/world.ts'
import { hopsWorld } from './world.ts'

/** Eleven that may be the entry, and the exit. */
const COUNTRIES = ['fr', 'us', 'br', 'za', 'se', 'no', 'fi', 'dk', 'pl', 'it', 'es', 'jp']
const TICK_MS = 100
/** Several attempts to come back. */
const SILENT_MS = 30_000
/** The one that carried it, and up to three that are asked whether they reach it. */
const MOST_ENTRIES = 4

test('an exit falls silent for half a minute: few entries learn of the consumer', async (t) => {
  const world = await hopsWorld(t, { hops: 2, countries: COUNTRIES })
  const server = await origin((socket: Socket) => {
    const ticking = setInterval(() => socket.write('x'), TICK_MS)
    socket.on('error', () => {}).once('close', () => clearInterval(ticking))
  })
  t.after(() => server.close())
  const { stream } = await world.dial(server.port)
  stream.on('error', () => {}).resume()
  const met = () => world.nodes.slice(0, -1).filter(({ wire }) => wire.connections > 0).length
  await delay(10 * TICK_MS)
  assert.equal(met(), 1, 'positive control: the entry')
  world.nodes.at(-1)!.wire.hold()
  await delay(SILENT_MS)
  stream.destroy()
  t.diagnostic(`${met()} of ${COUNTRIES.length - 1} entries`)
  assert.ok(met() > 1, 'positive control: others are asked')
  assert.ok(met() <= MOST_ENTRIES, `${met()} entries`)
})
