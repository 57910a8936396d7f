/** When a mapping is renewed, believed, given up and taken away: with a router and a clock made for the purpose. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '../../protocol/observe.ts'
import { keepMapped, type Mapping } from './index.ts'
import { failed, type MappingRequest, type MappingResult } from './mapping.ts'

const GRANTED: Mapping = { protocol: 'pcp', externalAddress: '45.1.0.2', externalPort: 4433, lifetimeS: 1_200 }

function start(answer: (request: MappingRequest) => MappingResult, gateway: () => string | undefined = () => '192.168.1.1') {
  const asked: MappingRequest[] = []
  const changes: (Mapping | undefined)[] = []
  const warnings = new Set<string>()
  let nowMs = 0
  let waiting: { ms: number; wake: () => void } | undefined
  let onWait = () => {}
  const map = keepMapped({
    port: 4433,
    gateway: async () => gateway(),
    isPublic: (address) => address.startsWith('45.'),
    onChange: (mapping) => changes.push(mapping),
    observer: { ...silent, warn: (code, facts) => (facts === undefined ? warnings.delete(code) : warnings.add(code)) },
    nowMs: () => nowMs,
    map: async (request) => {
      asked.push(request)
      return answer(request)
    },
    sleep: (ms, signal) =>
      new Promise<void>((resolve) => {
        waiting = { ms, wake: resolve }
        signal.addEventListener('abort', () => resolve(), { once: true })
        onWait()
      }),
  })
  /** Resolves with how long it wants to wait. */
  const rests = async (): Promise<number> => {
    if (waiting === undefined) await new Promise<void>((resolve) => (onWait = resolve))
    return waiting!.ms
  }
  const goOn = async () => {
    const { ms, wake } = waiting!
    waiting = undefined
    nowMs += ms
    wake()
    return rests()
  }
  return { map, asked, changes, warnings, rests, goOn }
}

test('a mapping is renewed at half its life, with the port it was given, and taken away at the end', async () => {
  const router = start(() => ({ ok: true, mapping: { ...GRANTED, externalPort: 50_000 } }))
  assert.equal(await router.rests(), 600_000)
  assert.equal(await router.goOn(), 600_000)
  assert.deepEqual(
    router.asked.map(({ externalPort }) => externalPort),
    [4433, 50_000],
  )
  assert.equal(router.changes.length, 1)
  await router.map.close()
  assert.deepEqual([router.asked.at(-1)!.lifetimeS, router.asked.at(-1)!.externalPort], [0, 50_000])
  assert.equal(new Set(router.asked.map(({ nonce }) => nonce.toString('hex'))).size, 1)
})

test('a renewal that fails costs the mapping only when its time is over', async () => {
  let up = true
  const router = start(() => (up ? { ok: true, mapping: GRANTED } : failed('silent')))
  await router.rests()
  up = false
  assert.equal(await router.goOn(), 300_000)
  assert.equal(await router.goOn(), 150_000)
  assert.deepEqual(router.map.current(), GRANTED)
  for (let tries = 0; router.map.current() !== undefined && tries < 10; tries++) await router.goOn()
  assert.deepEqual(router.changes, [GRANTED, undefined])
  assert.ok(router.warnings.has('PORT_NOT_MAPPED'))
  up = true
  await router.goOn()
  assert.deepEqual(router.changes, [GRANTED, undefined, GRANTED])
  assert.equal(router.warnings.size, 0)
  await router.map.close()
})

test('a router with a private address outside is given its mapping back', async () => {
  const router = start(() => ({ ok: true, mapping: { ...GRANTED, externalAddress: '100.64.1.2' } }))
  await router.rests()
  assert.equal(router.map.current(), undefined)
  assert.deepEqual(router.changes, [])
  assert.deepEqual([...router.warnings], ['ROUTER_NOT_PUBLIC'])
  assert.deepEqual(
    router.asked.map(({ lifetimeS }) => lifetimeS > 0),
    [true, false],
  )
  await router.map.close()
  assert.equal(router.warnings.size, 0)
})

test('lifetimes from outside neither hurry nor lull us', async () => {
  for (const [lifetimeS, waits] of [
    [0, 30_000],
    [1, 30_000],
    [0xffff_ffff, 600_000],
  ] as const) {
    const router = start(() => ({ ok: true, mapping: { ...GRANTED, lifetimeS } }))
    assert.equal(await router.rests(), waits)
    await router.map.close()
  }
})

test('without a gateway nobody is asked, and looking again is less and less frequent', async () => {
  const router = start(
    () => failed('silent'),
    () => undefined,
  )
  const waits = [await router.rests()]
  for (let i = 0; i < 7; i++) waits.push(await router.goOn())
  assert.deepEqual(waits, [60_000, 120_000, 240_000, 480_000, 960_000, 1_800_000, 1_800_000, 1_800_000])
  assert.equal(router.asked.length, 0)
  await router.map.close()
})
