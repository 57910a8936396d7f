/**
 * Twenty identities ground to the neighbourhood of a shelf, among 200 honest nodes: how many of 1,000 look-ups still find what lies there?
 *
 *   npm run test:sybils [-- --json] [--honest 200] [--sybils 20] [--lookups 1000] [--tcp]
 *
 * By default questions are function calls between the program's own parts, so that 1,000 look-ups take a minute. With --tcp every node is a
 * libp2p node with an address of its own in 127.0.0.0/8. Ends with status 1 when fewer than 99 % succeed, or when the undefended look-up does as well.
 */
import { parseArgs } from 'node:util'
import { type Attack, attack, inMemory, type Outcome } from './attack.ts'
import { overTcp } from './tcp.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    tcp: { type: 'boolean' },
    honest: { type: 'string', default: '200' },
    sybils: { type: 'string', default: '20' },
    lookups: { type: 'string', default: '1000' },
  },
})
const sizes = { honest: Number(values.honest), sybils: Number(values.sybils), lookups: Number(values.lookups) }
const LEAST = 0.99

const rows: (Attack & Outcome)[] = []
/** On each of three shelves as many as stand on one elsewhere: what it takes to hide an offer, or was meant to. */
const cases: Omit<Attack, 'honest' | 'lookups'>[] = [
  { addresses: 'one subnet', shelves: 1, sybils: sizes.sybils, defended: false },
  { addresses: 'everywhere', shelves: 1, sybils: sizes.sybils, defended: false },
  { addresses: 'one subnet', shelves: 1, sybils: sizes.sybils, defended: true },
  { addresses: 'everywhere', shelves: 1, sybils: sizes.sybils, defended: true },
  { addresses: 'one subnet', shelves: 3, sybils: 3 * sizes.sybils, defended: true },
  { addresses: 'everywhere', shelves: 3, sybils: 3 * sizes.sybils, defended: true },
]
// Real nodes take a while to start, and are the same code: the cases that matter.
for (const one of values.tcp ? cases.slice(1, 4) : cases) {
  const what = { ...one, honest: sizes.honest, lookups: sizes.lookups }
  const network = values.tcp ? await overTcp(what) : inMemory(what)
  rows.push({ ...what, ...(await attack(network, what)) })
  await network.close()
  if (!values.json) console.error(`${rows.length} of ${values.tcp ? 3 : cases.length} attacks`)
}
const rate = ({ found, lookups }: Outcome) => found / lookups
const asked = rows.filter(({ shelves }) => shelves === 1)
const ok =
  asked.filter(({ defended }) => defended).every((row) => rate(row) >= LEAST) && asked.some((row) => !row.defended && rate(row) < LEAST)
if (values.json) console.log(JSON.stringify({ rows, ok }))
else {
  const table = [
    ['look-up', 'sybils', 'their addresses', 'around', 'found', 'questions'],
    ...rows.map((row) => [
      row.defended ? 'as shipped' : 'undefended',
      String(row.sybils),
      row.addresses,
      `${row.shelves} of 4 shelves`,
      `${((100 * row.found) / row.lookups).toFixed(1)} % of ${row.lookups}`,
      row.questions.toFixed(0),
    ]),
  ]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  for (const row of table) console.log(row.map((text, column) => text.padEnd(widths[column]!)).join('  '))
  console.log(
    `\n${sizes.honest} honest nodes, ${values.tcp ? 'libp2p over TCP' : 'in memory'}: ${ok ? 'ok' : 'NOT ok'} (at least ${100 * LEAST} % where one shelf is surrounded)`,
  )
}
process.exit(ok ? 0 : 1)
