/** docs/protocol.md lists the messages the code speaks, and the constants it names. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DATA_TYPE, MAX_DATA_BYTES, MAX_MESSAGE_BYTES, MESSAGES, PADDING_TYPE, PROTOCOL_VERSION } from '../../src/protocol/messages.ts'
import { REASON_CODES } from '../../src/wallet/ledger.ts'
import { CLOSE_REASONS } from '../../src/wallet/records.ts'

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')
const rows = [...page.matchAll(/^\| (\w+) \| (0x[0-9a-f]{2}) \| (\w+) \|/gm)].map(([, name, type, from]) => `${name} ${type} ${from}`)

test('the docs are of the version the code speaks', () => {
  assert.ok(page.includes(`Version ${PROTOCOL_VERSION}.`))
})

test('the message table of the docs is the message table of the code', () => {
  const inCode = Object.entries(MESSAGES).map(([name, { type, from }]) => `${name} 0x${type.toString(16).padStart(2, '0')} ${from}`)
  const raw = [`data 0x${DATA_TYPE.toString(16)} both`, `padding 0x${PADDING_TYPE.toString(16)} both`]
  assert.deepEqual(rows.sort(), [...inCode, ...raw].sort())
})

test('the docs name every reason why a session earned nothing', () => {
  for (const [code, why] of Object.entries(REASON_CODES)) assert.ok(page.includes(`| \`${code}\` | ${why} |`), code)
})

test('the docs name the frame limits and every reason a session ends with', () => {
  for (const limit of [MAX_DATA_BYTES, MAX_MESSAGE_BYTES]) assert.ok(page.includes(limit.toLocaleString('en')), `${limit}`)
  for (const reason of CLOSE_REASONS) assert.ok(page.includes(`\`${reason}\``), reason)
})
