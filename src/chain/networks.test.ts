import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { NETWORKS, networkNamed, parseNetwork } from './networks.ts'
import { keyOf, walletOf } from './testing.ts'
import { splitSignature } from './wallet.ts'

test('a network is known by name, or refused with the names there are', () => {
  assert.equal(networkNamed('local'), NETWORKS.local)
  for (const name of ['', 'mainnet', 'toString', '__proto__'])
    assert.throws(() => networkNamed(name), { code: 'SETTING_INVALID', hint: /known: local/ })
})

test('a network written down is checked key by key, and addresses come out in one spelling', () => {
  const good = { chainId: 1, channels: `0x${'Ab'.repeat(20)}`, dollar: `0x${'cd'.repeat(20)}`, confirmations: 2, pollMs: 1_000 }
  assert.equal(parseNetwork(good).channels, `0x${'ab'.repeat(20)}`)
  for (const bad of [
    { chainId: 0 },
    { chainId: 1.5 },
    { channels: '0x12' },
    { dollar: 'dollar' },
    { confirmations: 0 },
    { pollMs: 1 },
    { extra: 1 },
  ]) {
    assert.throws(() => parseNetwork({ ...good, ...bad }), { code: 'SETTING_INVALID' }, inspect(bad))
  }
})

test('printing a wallet shows no key', () => {
  const wallet = walletOf('secret')
  const key = keyOf('secret').toString('hex')
  const shown = `${inspect(wallet, { depth: 9, showHidden: true })}${JSON.stringify(wallet)}`
  assert.ok(shown.includes(wallet.address))
  assert.ok(!shown.includes(key) && !shown.includes(key.slice(0, 8)))
})

test('a compact signature comes apart into r, s and parity', () => {
  const r = '11'.repeat(32)
  assert.deepEqual(splitSignature(`0x${r}${'22'.repeat(32)}`), {
    r: `0x${r}`,
    vs: `0x${'22'.repeat(32)}`,
    s: `0x${'22'.repeat(32)}`,
    yParity: 0,
  })
  assert.deepEqual(splitSignature(`0x${r}80${'00'.repeat(30)}05`), {
    r: `0x${r}`,
    vs: `0x80${'00'.repeat(30)}05`,
    s: `0x${'00'.repeat(31)}05`,
    yParity: 1,
  })
})
