import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BywayError } from '../../protocol/errors.ts'
import { parametersKey, parseParameters, parseUsername, type RouteParameters } from './username.ts'

const defaults = { account: 'any', sessionMinutes: 10, strict: false }

test('reads every key and every alias of the grammar', () => {
  const rows: [string | undefined, Partial<RouteParameters>][] = [
    [undefined, {}],
    ['', {}],
    ['any', {}],
    ['me_1.x', { account: 'me_1.x' }],
    ['any-country-de', { country: 'de' }],
    ['any-COUNTRY-DE', { country: 'de' }],
    ['any-cc-US', { country: 'us' }],
    ['any-city-New_York', { city: 'new_york' }],
    ['any-asn-4294967295', { asn: 4294967295 }],
    ['any-type-residential', { type: 'residential' }],
    ['any-type-mobile-region-BY', { type: 'mobile', region: 'by' }],
    ['any-type-datacenter-split-4', { type: 'hosting', split: 4 }],
    ['any-session-a1-sessionduration-30', { sessionId: 'a1', sessionMinutes: 30 }],
    ['any-sessid-A_1.b-sesstime-1', { sessionId: 'A_1.b', sessionMinutes: 1 }],
    ['any-ttl-1440', { sessionMinutes: 1440 }],
    ['any-lifetime-3', { sessionMinutes: 3 }],
    ['any-maxprice-0.5', { maxPricePerGib: 500_000n }],
    ['any-maxprice-2', { maxPricePerGib: 2_000_000n }],
    ['any-provider-0xabCD', { provider: '0xabCD' }],
    ['any-strict-1', { strict: true }],
    ['any-strict-0', {}],
    [
      'a-country-fr-city-paris-asn-1-type-hosting-session-s-sessionduration-5-maxprice-0.000001-provider-p-strict-1',
      {
        account: 'a',
        country: 'fr',
        city: 'paris',
        asn: 1,
        type: 'hosting',
        sessionId: 's',
        sessionMinutes: 5,
        maxPricePerGib: 1n,
        provider: 'p',
        strict: true,
      },
    ],
  ]
  for (const [text, expected] of rows) assert.deepEqual(parseUsername(text), { ...defaults, ...expected }, String(text))
})

test('refuses what it does not know, twice given keys and bad values, saying why', () => {
  const rows: [string, string, RegExp][] = [
    ['any-contry-de', 'PROXY_PARAMETER_UNKNOWN', /"contry"/],
    ['user-NAME-country-de', 'PROXY_PARAMETER_INVALID', /no value/],
    ['any-__proto__-x', 'PROXY_PARAMETER_UNKNOWN', /__proto__/],
    ['any-constructor-x', 'PROXY_PARAMETER_UNKNOWN', /constructor/],
    ['any-country-de-country-fr', 'PROXY_PARAMETER_INVALID', /twice/],
    ['any-country-de-cc-de', 'PROXY_PARAMETER_INVALID', /twice/],
    ['any-country', 'PROXY_PARAMETER_INVALID', /no value/],
    ['any-country-', 'PROXY_PARAMETER_INVALID', /country/],
    ['any-country-deu', 'PROXY_PARAMETER_INVALID', /two-letter/],
    ['any-asn-0', 'PROXY_PARAMETER_INVALID', /from 1/],
    ['any-asn-4294967296', 'PROXY_PARAMETER_INVALID', /from 1/],
    ['any-asn-1e3', 'PROXY_PARAMETER_INVALID', /asn/],
    ['any-type-satellite', 'PROXY_PARAMETER_INVALID', /residential/],
    ['any-type-unstated', 'PROXY_PARAMETER_INVALID', /residential/],
    ['any-split-1', 'PROXY_PARAMETER_INVALID', /split/],
    ['any-sessionduration-0', 'PROXY_PARAMETER_INVALID', /1440/],
    ['any-sessionduration-1441', 'PROXY_PARAMETER_INVALID', /1440/],
    ['any-sesstime-ten', 'PROXY_PARAMETER_INVALID', /sessionduration/],
    ['any-maxprice-0.0000001', 'PROXY_PARAMETER_INVALID', /dollars/],
    ['any-maxprice-1e3', 'PROXY_PARAMETER_INVALID', /dollars/],
    ['any-strict-yes', 'PROXY_PARAMETER_INVALID', /strict/],
    ['-country-de', 'PROXY_PARAMETER_INVALID', /account/],
    ['a b', 'PROXY_PARAMETER_INVALID', /account/],
    ['any-session-a/b', 'PROXY_PARAMETER_INVALID', /session/],
    ['any-session-é', 'PROXY_PARAMETER_INVALID', /session/],
    ['a'.repeat(256), 'PROXY_PARAMETER_INVALID', /255/],
    [`any-session-${'a'.repeat(129)}`, 'PROXY_PARAMETER_INVALID', /128/],
  ]
  assert.equal(parseUsername('a'.repeat(255)).account.length, 255)
  for (const [text, code, message] of rows) assert.throws(() => parseUsername(text), { name: 'BywayError', code, message })
})

test('headers say the same as the username and may not contradict it', () => {
  const headers = ['Host', 'x', 'Byway-Country', 'de', 'byway-max-price', '0.5', 'BYWAY-Session-Duration', '7', 'Byway-SessId', 's']
  assert.deepEqual(parseParameters(undefined, headers), {
    ...defaults,
    country: 'de',
    maxPricePerGib: 500_000n,
    sessionMinutes: 7,
    sessionId: 's',
  })
  assert.equal(parseParameters('me-country-de', ['Byway-Country', 'de']).account, 'me')
  assert.throws(() => parseParameters('me-country-fr', ['Byway-Country', 'de']), { code: 'PROXY_PARAMETER_INVALID', message: /differs/ })
  assert.throws(() => parseParameters(undefined, ['Byway-Country', 'de', 'Byway-Country', 'de']), {
    code: 'PROXY_PARAMETER_INVALID',
    message: /twice/,
  })
  assert.throws(() => parseParameters(undefined, ['Byway-Colour', 'red']), { code: 'PROXY_PARAMETER_UNKNOWN' })
  assert.throws(() => parseParameters(undefined, ['Byway-', 'red']), { code: 'PROXY_PARAMETER_UNKNOWN' })
  assert.throws(() => parseParameters(undefined, ['Byway-Country', '']), { code: 'PROXY_PARAMETER_INVALID' })
})

test('only equal parameters share a key', () => {
  const one = parseUsername('a-country-de-session-x')
  assert.equal(parametersKey(one), parametersKey(parseUsername('a-session-x-country-de')))
  for (const other of [
    'b-country-de-session-x',
    'a-country-fr-session-x',
    'a-country-de',
    'a-country-de-session-x-strict-1',
    'a-country-de-session-x-maxprice-1',
  ])
    assert.notEqual(parametersKey(one), parametersKey(parseUsername(other)))
})

test('any text is parsed or refused with a parameter code', () => {
  const word = fc.constantFrom('any', 'country', 'de', 'session', 'asn', '1', 'x', '', 'cc', 'strict', 'maxprice', '0.1', 'é', '__proto__')
  const text = fc.oneof(
    fc.string(),
    fc.array(word, { maxLength: 12 }).map((words) => words.join('-')),
  )
  fc.assert(
    fc.property(text, (username) => {
      try {
        const parameters = parseUsername(username)
        assert.match(parameters.account, /^[A-Za-z0-9_.]+$/)
        assert.ok(parameters.sessionMinutes >= 1 && parameters.sessionMinutes <= 1440)
      } catch (error) {
        assert.ok(error instanceof BywayError && ['PROXY_PARAMETER_UNKNOWN', 'PROXY_PARAMETER_INVALID'].includes(error.code))
        assert.match(error.message, /^[\x20-\x7e]*$/)
      }
    }),
    { numRuns: 3_000 },
  )
})
