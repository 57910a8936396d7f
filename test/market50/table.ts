/**
 * Many real nodes in namespaces, behind open, mapping, cone and symmetric routers, who find each other through the network of offers alone: does every
 * consumer find and use a provider in every country?
 *
 *   npm run test:market50 [-- --nodes 50] [--bytes 200000] [--json]
 *
 * Needs root, nft and miniupnpd (Debian: nftables, miniupnpd-nftables), some 200 MiB of memory a node, and minutes of two cores. Ends with status 1 when a use failed.
 */
import { parseArgs } from 'node:util'
import type { PlaceName } from '../nat/exchange.ts'
import { whyNot } from '../nat/world.ts'
import { PROVIDER_PLACES, runMarket, type Use } from './market.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, nodes: { type: 'string', default: '50' }, bytes: { type: 'string', default: '200000' } },
})
const missing = whyNot(['nft', 'bash', 'curl', 'miniupnpd'])
if (missing !== false) {
  console.error(`cannot run here: ${missing}`)
  process.exit(2)
}
const startedMs = performance.now()
const note = (text: string) => values.json || console.error(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(5)} s  ${text}`)
const outcome = await runMarket({ nodes: Number(values.nodes), bytes: Number(values.bytes) }, note)
if (values.json) console.log(JSON.stringify(outcome))
else {
  const places: PlaceName[] = ['none', 'cone', 'symmetric']
  const cell = (uses: Use[]) => {
    const ways = new Map<string, number>()
    for (const { way, ok } of uses) ways.set(ok ? way : 'FAILED', (ways.get(ok ? way : 'FAILED') ?? 0) + 1)
    return [...ways].map(([way, count]) => `${count} ${way}`).join(', ') || '-'
  }
  const of = (consumer: PlaceName, provider: PlaceName) =>
    outcome.uses.filter((use) => use.consumerAt === consumer && (use.providerAt === provider || (!use.ok && provider === 'none')))
  const rows = [
    ['consumer \\ provider', ...PROVIDER_PLACES],
    ...places.map((consumer) => [consumer, ...PROVIDER_PLACES.map((provider) => cell(of(consumer, provider)))]),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  for (const row of rows) console.log(row.map((text, column) => text.padEnd(widths[column]!)).join('  '))
  for (const use of outcome.uses.filter(({ ok }) => !ok)) console.log(`${use.consumer} (${use.consumerAt}), ${use.country}: ${use.way}`)
  const good = outcome.uses.filter(({ ok }) => ok).length
  console.log(
    `\n${good} of ${outcome.uses.length} uses: ${outcome.consumers} consumers, each in ${outcome.countries.length} countries; ` +
      `${outcome.providers.none} open, ${outcome.providers.mapped} mapped, ${outcome.providers.cone} cone and ${outcome.providers.symmetric} symmetric providers; ` +
      `all known ${(outcome.knownAfterMs / 1000).toFixed(0)} s after the last start`,
  )
}
process.exitCode = outcome.ok ? 0 : 1
