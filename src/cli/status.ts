/** `byway status`: what the running nodes are doing now. */
import type { Command } from 'commander'
import { z } from 'zod'
import { callDaemon } from '../api/client.ts'
import { socketPath } from '../api/socket.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { WARNINGS } from '../protocol/observe.ts'
import { explorersFor, showExplorer } from './explorer-status.ts'
import { formatBytes, formatDuration, formatUsd, shortHex } from './format.ts'
import { readHomes } from './homes.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { keysOf } from './settings.ts'

const units = z.string().transform(BigInt)
const session = z.object({
  id: z.string(),
  payer: z.string().optional(),
  provider: z.string().optional(),
  country: z.string().optional(),
  openedAtMs: z.number(),
  up: units,
  down: units,
  unpaidBytes: units,
  prepaidBytes: units,
  links: z.number().optional(),
  flows: z.number().optional(),
  hop: z.number().optional(),
  hops: z.number().optional(),
  away: z.boolean().optional(),
  roundTripMs: z.number().optional(),
})
const statusAnswer = z.object({
  role: z.enum(['provider', 'consumer']),
  wallet: z.string(),
  country: z.string().optional(),
  claimable: units.optional(),
  listen: z.object({ host: z.string(), port: z.number() }).optional(),
  proxy: z.object({ host: z.string(), port: z.number() }).optional(),
  reach: z.object({ kind: z.string(), address: z.string().optional(), relays: z.array(z.string()) }).optional(),
  discovery: z
    .array(
      z.object({
        source: z.string(),
        up: z.boolean(),
        mode: z.string().optional(),
        contacts: z.number().optional(),
        kept: z.number().optional(),
        why: z.string().optional(),
      }),
    )
    .optional(),
  sessions: z.array(session),
  warnings: z.array(z.object({ code: z.string() }).loose()),
})

export async function status(command: Command, env: Env, output: Output): Promise<void> {
  const explorers = await explorersFor(command, env)
  const homes = await readHomes(command, keysOf('status'), env).catch((thrown) => {
    // A machine may have an explorer and no node.
    if (explorers.length > 0 && asBywayError(thrown).code === 'STATE_MISSING') return []
    throw thrown
  })
  const nodes = await Promise.all(
    homes.map(async ({ name, paths }) => {
      try {
        return { name, home: paths.home, running: true as const, raw: await callDaemon(socketPath(paths.home, env), 'GET /v1/status') }
      } catch (thrown) {
        const error = asBywayError(thrown)
        if (error.code !== 'DAEMON_UNREACHABLE') throw error
        return { name, home: paths.home, running: false as const }
      }
    }),
  )
  output.result({ nodes: nodes.map((node) => (node.running ? { ...node, raw: undefined, status: node.raw } : node)), explorers }, () => {
    for (const node of nodes) {
      if (!node.running) {
        output.line(`${node.name}: not running`)
        continue
      }
      const parsed = statusAnswer.safeParse(node.raw)
      if (!parsed.success) throw new BywayError('MESSAGE_MALFORMED', `${node.name} answers in a form this command does not know`)
      show(node.name, parsed.data, output)
    }
    for (const explorer of explorers) showExplorer(explorer, output)
  })
}

/** Which hop of its route a session is, how far away, and whether the way there lives. */
function hopOf({ hop, hops, roundTripMs, away }: z.output<typeof session>): string[] {
  const place = hop === undefined ? '' : `${hop} of ${hops}`
  return [place, roundTripMs === undefined ? '' : `${roundTripMs.toFixed(1)} ms`, away === true ? 'away' : 'open']
}

const REACH_TEXTS: Readonly<Record<string, string>> = {
  open: 'open: others dial it',
  mapped: 'open: others dial it at a port of the router',
  tucked: 'tucked: others reach it',
  unknown: 'nobody reaches it yet',
}

/** How others reach a provider: where they dial, and through how many relays they can call. */
function reachText({ kind, address, relays }: NonNullable<z.output<typeof statusAnswer>['reach']>): string {
  const through = relays.length === 0 ? '' : `${kind === 'tucked' ? '' : ', for a while also'} through ${relays.length} relays`
  return `${REACH_TEXTS[kind] ?? kind}${address === undefined ? '' : ` at ${address}`}${through}`
}

/** The sources of offers, and how they are. */
function discoveryText(sources: NonNullable<z.output<typeof statusAnswer>['discovery']>): string {
  const texts = sources.map(({ source, up, mode, contacts, why }) => {
    const facts = [up ? '' : 'down', mode ?? '', contacts === undefined ? '' : `${contacts} nodes met`, why ?? ''].filter(
      (fact) => fact !== '',
    )
    return facts.length === 0 ? source : `${source} (${facts.join(', ')})`
  })
  return `offers from ${texts.join(', ')}`
}

function show(
  name: string,
  { role, listen, proxy, wallet, claimable, reach, discovery, sessions, warnings }: z.output<typeof statusAnswer>,
  output: Output,
): void {
  const at = proxy ?? listen
  const money = claimable === undefined ? '' : `, claimable ${formatUsd(claimable)}`
  output.line(output.style('bold', `${name} (${role}) on ${at?.host}:${at?.port}, wallet ${wallet}${money}`))
  if (reach !== undefined) output.line(`  ${reachText(reach)}`)
  if (discovery !== undefined) output.line(`  ${discoveryText(discovery)}`)
  if (sessions.length > 0) {
    output.table(
      [
        { title: 'session' },
        { title: 'with' },
        { title: 'open for', align: 'right' },
        { title: 'up', align: 'right' },
        { title: 'down', align: 'right' },
        { title: 'unpaid', align: 'right' },
        { title: 'prepaid', align: 'right' },
        // A provider counts the links it keeps for a consumer, busy or idle.
        { title: role === 'provider' ? 'links' : 'flows', align: 'right' },
        ...(role === 'provider' ? [] : ([{ title: 'hop' }, { title: 'round trip', align: 'right' }, { title: 'state' }] as const)),
      ],
      sessions.map((s) => [
        shortHex(s.id),
        `${shortHex(s.provider ?? s.payer ?? '')} ${s.country ?? ''}`,
        formatDuration(Date.now() - s.openedAtMs),
        formatBytes(s.up),
        formatBytes(s.down),
        formatBytes(s.unpaidBytes),
        formatBytes(s.prepaidBytes),
        String(s.flows ?? s.links ?? 0),
        ...(role === 'provider' ? [] : hopOf(s)),
      ]),
    )
  }
  for (const { code } of warnings) {
    const known = Object.hasOwn(WARNINGS, code) ? WARNINGS[code as keyof typeof WARNINGS].text : ''
    output.line(output.style('yellow', `  ${code}: ${known}`))
  }
}
