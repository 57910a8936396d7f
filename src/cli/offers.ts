/** `byway offers`: what a request would choose from, best first, and why each offer stands where it stands. Asked of the running consumer. */
import type { Command } from 'commander'
import { z } from 'zod'
import { callDaemon } from '../api/client.ts'
import { socketPath } from '../api/socket.ts'
import { type Directory, offerViews, parseUsername } from '../consumer/index.ts'
import { BywayError } from '../protocol/errors.ts'
import { formatUsd, shortHex } from './format.ts'
import { readHomes } from './homes.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { keysOf } from './settings.ts'

/** A screen or two; `--most` shows more. */
const MOST = 40
const MAX_MOST = 1_000

const units = z.string().transform(BigInt)
const answer = z.object({
  known: z.number(),
  offers: z.array(
    z.object({
      rank: z.number(),
      provider: z.string(),
      country: z.string(),
      region: z.string(),
      city: z.string(),
      line: z.string(),
      pricePerGib: units,
      basePerGib: units,
      premiums: z.array(z.object({ name: z.string(), perGib: units })),
      utility: z.number(),
      mbps: z.number(),
      score: z.number(),
      latencyMs: z.number().optional(),
      why: z.string(),
    }),
  ),
})
const question = z.object({ route: z.string().max(255).default(''), most: z.coerce.number().int().min(1).max(MAX_MOST).default(MOST) })

export function offersShape(command: Command): void {
  command
    .argument('[route]', 'Only what such a proxy username would get, as any-country-de-type-residential.')
    .option('--most <count>', 'How many to list (default: 40).')
}

export async function offers(command: Command, env: Env, output: Output): Promise<void> {
  const route = (command.args[0] as string | undefined) ?? ''
  const { most = `${MOST}` } = command.opts<{ most?: string }>()
  parseUsername(route) // so that a mistake is told before anybody is asked
  const homes = await readHomes(command, keysOf('offers'), env, 'consumer')
  const asked = new URLSearchParams({ route, most }).toString()
  const nodes = await Promise.all(
    homes.map(async ({ paths, name }) => {
      const raw = await callDaemon(socketPath(paths.home, env), `GET /v1/offers?${asked}`)
      const parsed = answer.safeParse(raw)
      if (!parsed.success) throw new BywayError('MESSAGE_MALFORMED', `${name} answers in a form this command does not know`)
      return { name, raw, list: parsed.data }
    }),
  )
  output.result({ nodes: nodes.map(({ name, raw }) => ({ name, ...(raw as object) })) }, () => {
    for (const { name, list } of nodes) {
      if (nodes.length > 1) output.line(output.style('bold', name))
      show(list, output)
    }
  })
}

/** The local API's side of it. */
export function offersRoute(directory: () => Promise<Directory>, ceiling: bigint) {
  return async ({ query }: { query: Readonly<Record<string, string>> }) => {
    const asked = question.safeParse(query)
    if (!asked.success) {
      throw new BywayError('ARGUMENT_INVALID', 'offers are asked for with a route and how many', {
        hint: `route is a proxy username such as any-country-de, most a number up to ${MAX_MOST}`,
      })
    }
    const { route, most } = asked.data
    const known = await directory()
    return { known: known.size, offers: offerViews(known, parseUsername(route), { ceiling, most }) }
  }
}

function show({ known, offers: found }: z.output<typeof answer>, output: Output): void {
  output.table(
    [
      { title: 'provider' },
      { title: 'where' },
      { title: 'line' },
      { title: 'a GiB', align: 'right' },
      { title: 'of which' },
      { title: 'Mbit/s', align: 'right' },
      { title: 'score', align: 'right' },
      { title: 'p95', align: 'right' },
      { title: 'utility', align: 'right' },
      { title: 'why' },
    ],
    found.map((offer) => [
      shortHex(offer.provider),
      [offer.country, offer.region, offer.city].filter((part) => part !== '').join(' '),
      offer.line === 'unstated' ? '' : offer.line,
      formatUsd(offer.pricePerGib),
      offer.premiums.map(({ name, perGib }) => `${name} ${formatUsd(perGib)}`).join(', '),
      offer.mbps === 0 ? '' : `${offer.mbps}`,
      offer.score === 0 ? '' : offer.score.toFixed(2),
      offer.latencyMs === undefined ? '' : `${Math.round(offer.latencyMs)} ms`,
      offer.utility.toFixed(2),
      offer.why,
    ]),
  )
  output.note(`${found.length} shown of ${known} known`)
}
