/**
 * Who reaches whom, and how: consumers and providers behind every kind of NAT, in namespaces, with the real command and paid sessions.
 *
 *   node test/nat/table.ts [--json] [--bytes 1000000] [--moves]
 *
 * With --moves it also waits for a router that begins to map ports in mid-download, which takes two minutes.
 *
 * Needs root, nft and miniupnpd (Debian: nftables, miniupnpd). Ends with status 1 when a pair did not connect or carried a wrong byte.
 */
import { parseArgs } from 'node:util'
import { type ConsumerNode, type PlaceName, type ProviderNode, startExchange } from './exchange.ts'
import { decided, loseRelay, moveToDirect, type Pair, tryPair } from './pairs.ts'
import { whyNot } from './world.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, bytes: { type: 'string', default: '1000000' }, moves: { type: 'boolean' } },
})
const bytes = Number(values.bytes)
const missing = whyNot(['nft', 'miniupnpd', 'bash', 'curl'])
if (missing !== false) {
  console.error(`cannot run here: ${missing}`)
  process.exit(2)
}
const note = (text: string) => values.json || console.error(text)

const PROVIDERS: PlaceName[] = ['none', 'mapped', 'full-cone', 'cone', 'symmetric', 'double']
const CONSUMERS: PlaceName[] = ['none', 'full-cone', 'cone', 'symmetric', 'double']

const exchange = await startExchange()
const pairs: Pair[] = []
try {
  const relays = [await exchange.addRelay('A'), await exchange.addRelay('B'), await exchange.addRelay('C')]
  // They ask nobody: the difference to the others is what finding out costs.
  note(
    `relays A, B, C: announced ${relays.map(({ readyMs }) => (readyMs / 1000).toFixed(1)).join(', ')} s after their processes were started`,
  )
  const providers: { node: ProviderNode; place: PlaceName }[] = []
  for (const place of PROVIDERS) {
    const node = await exchange.addProvider(`p-${place}`, place)
    await decided(node, place)
    const { reach } = await node.status()
    providers.push({ node, place })
    note(`provider behind ${place}: ${reach.kind}; announced ${(node.readyMs / 1000).toFixed(1)} s after its process was started`)
  }
  let last: ConsumerNode | undefined
  for (const place of CONSUMERS) {
    const consumer = await exchange.addConsumer(`c-${place}`, place)
    for (const provider of providers) pairs.push(await tryPair(consumer, place, provider, { relays, bytes }))
    note(`consumer behind ${place}: ${pairs.filter((pair) => pair.consumer === place && pair.ok).length} of ${providers.length} providers`)
    last = consumer
  }
  const move = values.moves ? await moveToDirect(exchange, last!, { relays, bytes }) : undefined
  const symmetric = providers.find(({ place }) => place === 'symmetric')!.node
  const loss = await loseRelay(exchange, last!, symmetric, { relays, bytes: 20 * bytes })
  const ok =
    pairs.every((pair) => pair.ok) &&
    loss.ok &&
    loss.after !== loss.before &&
    (move === undefined || (move.ok && move.before !== move.after))
  if (values.json) console.log(JSON.stringify({ pairs, loss, move, ok }))
  else {
    const cell = (consumer: PlaceName, provider: PlaceName) => pairs.find((p) => p.consumer === consumer && p.provider === provider)!
    const rows = [['consumer \\ provider', ...PROVIDERS], ...CONSUMERS.map((c) => [c, ...PROVIDERS.map((p) => cell(c, p).how)])]
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
    for (const row of rows) console.log(row.map((text, column) => text.padEnd(widths[column]!)).join('  '))
    console.log(`\n${pairs.filter((p) => p.ok).length} of ${pairs.length} pairs connected and carried ${bytes} bytes, checked by SHA-256`)
    console.log(
      `relay lost in mid-download (consumer behind double, provider behind symmetric): ${loss.before} -> ${loss.after}, ` +
        `${20 * bytes} bytes ${loss.ok ? 'right' : 'WRONG'}, rest in ${(loss.restMs / 1000).toFixed(1)} s`,
    )
  }
  if (move !== undefined && !values.json)
    console.log(`router maps in mid-download: ${move.before} -> ${move.after}, bytes ${move.ok ? 'right' : 'WRONG'}`)
  process.exitCode = ok ? 0 : 1
} finally {
  await exchange.close()
}
