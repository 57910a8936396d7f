import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chart } from './chart.ts'
import { html } from './html.ts'
import { worldMap } from './map.ts'
import { ago, countryName, dollars, price, way } from './words.ts'

test('what strangers wrote is text, in an element and in an attribute', () => {
  const evil = `"><script>alert('1')</script>&`
  assert.equal(
    html`<a title="${evil}">${[evil]}</a>${false}${undefined}`.text,
    '<a title="&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;">&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;</a>',
  )
  assert.equal(html`<b>${html`<i>${1}</i>`}</b>`.text, '<b><i>1</i></b>')
})

test('amounts, prices, times and countries read as people write them', () => {
  assert.deepEqual(['1', '1500000', '2500000000'].map(dollars), ['$0.000001', '$1.50', '$2.5K'])
  assert.deepEqual(['81299', '1000000', '123456'].map(price), ['$0.0813', '$1.00', '$0.123'])
  assert.deepEqual([way(0n), way(5n * 10n ** 16n), way(2n * 10n ** 26n), way(-(10n ** 21n))], ['0', '0.05', '200M', '-1K'])
  assert.deepEqual(
    [ago(0, 5), ago(0, 600), ago(0, 7_200), ago(0, 864_000), ago(9, 0)],
    ['5 s ago', '10 min ago', '2 h ago', '10 days ago', '0 s ago'],
  )
  assert.deepEqual(['de', 'zz', 'xk'].map(countryName), ['Germany', 'not said', 'Kosovo'])
})

test('a country with nodes is on the map with what it says and where it leads, a tiny one as a point, an unknown one not at all', () => {
  const of = (country: string, nodes: number) => ({ country, nodes, median: '100000', href: `/v1/nodes?country=${country}` })
  const { text } = worldMap([of('de', 100), of('au', 1), of('sg', 3), of('qq', 2)])
  assert.match(text, /<a href="\/v1\/nodes\?country=de" class="shade5"><title>Germany: 100 nodes, median \$0.10 per GiB<\/title><path d="M/)
  assert.match(text, /class="shade1"><title>Australia: 1 node, [^<]*<\/title><path/)
  assert.match(text, /<title>Singapore: [^<]*<\/title><circle/)
  assert.ok(!text.includes('country=qq') && text.includes('3 countries with nodes'))
})

test('a chart draws a gap as a gap, says its newest value, and nothing when there is nothing', () => {
  const base = { title: 'T', times: [0, 60, 120, 180, 240], stepS: 60, fromZero: true, show: (value: number) => `${value}!` }
  const { text } = chart({ ...base, lines: [{ name: 'a', label: 'x', values: [1, 2, undefined, 3, 4] }] })
  const [, path = ''] = /class="line a" d="([^"]+)"/.exec(text) ?? []
  assert.deepEqual(path.replace(/[^ML]/g, ''), 'MLML')
  assert.match(text, /aria-label="T\. Newest: x 4!\."/)
  assert.match(text, /<title>00:03: x 3!<\/title>/)
  assert.ok(!text.includes('NaN'))
  for (const values of [
    [undefined, undefined, undefined, undefined, undefined],
    [0, 0, 0, 0, 0],
  ]) {
    assert.match(chart({ ...base, bars: [{ name: 'a', label: 'x', values }] }).text, /Nothing yet/)
  }
  // One value is no line: it is drawn as a point.
  assert.match(
    chart({ ...base, lines: [{ name: 'a', label: 'x', values: [undefined, 5, undefined, undefined, undefined] }] }).text,
    /class="a alone"/,
  )
})
