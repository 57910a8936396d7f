/** `byway explore`: the public view of the exchange, as a page and an API that anybody may read. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { apiApp, standardRoutes } from '../api/app.ts'
import { createLog } from '../api/log.ts'
import { createMetrics } from '../api/metrics.ts'
import { createObserver } from '../api/observer.ts'
import { serveApi } from '../api/server.ts'
import { socketPath } from '../api/socket.ts'
import { createWarnings } from '../api/warnings.ts'
import { blocksOf, createRpc, namedContracts, readableContracts } from '../chain/index.ts'
import { COUNTRIES, type Explorer, openPglite, openPostgres, startExplorer } from '../explorer/index.ts'
import { systemClock } from '../protocol/clock.ts'
import { acquireLock } from '../wallet/lock.ts'
import { untilAsked } from './daemon.ts'
import { daemonHome } from './homes.ts'
import { contractsFor, networkFor } from './network.ts'
import type { Output } from './output.ts'
import { type Env, loadSettings } from './resolve.ts'
import { keysOf } from './settings.ts'
import { openSources, type Sources } from './sources.ts'
import { VERSION } from './version.ts'

export async function explore(command: Command, env: Env, output: Output): Promise<void> {
  const { values: settings, sources } = await loadSettings(command, keysOf('explore'), env)
  const stopped = untilAsked()
  const paths = daemonHome(settings.home, sources.home.kind !== 'default', 'explorer')
  const lock = await acquireLock(paths, systemClock.nowMs())
  const closers: (() => Promise<unknown>)[] = [() => lock.release()]
  try {
    const warnings = createWarnings(systemClock.nowMs)
    let explorer: Explorer | undefined
    const metrics = createMetrics({
      version: VERSION,
      warnings,
      gauges: { index_lag_blocks: () => explorer?.health().lagBlocks ?? undefined },
    })
    const log = createLog({
      level: settings.logLevel,
      human: process.stderr.isTTY,
      write: (line) => process.stderr.write(`${line}\n`),
      now: systemClock.nowMs,
    })
    const observer = createObserver({ metrics, warnings, log })
    const network = networkFor(settings)
    const rpc = createRpc({ urls: settings.rpc, chainId: network.chainId })
    const contracts = namedContracts(contractsFor(settings, network))
    const source = blocksOf(rpc, Object.values(readableContracts(contracts)))
    // What DATABASE_URL says is what every tool of PostgreSQL's world says by it.
    const url = settings.databaseUrl ?? env.DATABASE_URL
    const store = url === undefined ? await openPglite(join(paths.home, 'index'), systemClock) : await openPostgres(url, observer)
    closers.push(() => store.close())
    const sources = await openSources({ observer, paths }, settings)
    closers.push(() => sources.close())
    const seeking = seekEverywhere(sources)
    closers.push(async () => clearInterval(seeking))
    explorer = startExplorer({
      store,
      source,
      contracts,
      offers: () => sources.offers(),
      clock: systemClock,
      observer,
      version: VERSION,
    })
    closers.push(() => explorer!.close())
    const { host, port } = await explorer.listen(settings.exploreHost, settings.explorePort)
    const status = () => ({ role: 'explorer', listen: { host, port }, ...explorer!.health(), warnings: warnings.list() })
    const routes = { ...standardRoutes({ metrics, warnings, health: () => explorer!.health() }), 'GET /v1/status': status } as const
    const api = await serveApi(apiApp(routes), socketPath(paths.home, env))
    closers.push(() => api.close())
    const address = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`
    await writeFile(paths.explorer, `${JSON.stringify({ host, port, store: store.kind })}\n`)
    output.event('ready', { role: 'explorer', home: paths.home, host, port, store: store.kind, page: address })
    output.line(`explorer on ${address} (API: ${address}openapi.json), ${store.kind === 'pglite' ? 'database in its home' : 'PostgreSQL'}`)
    const why = await stopped
    output.note(`stopping (${why})`)
  } finally {
    for (const closer of closers.reverse()) await closer()
  }
}

/** The network of nodes keeps offers by country; a look at each in turn goes once around the world in four hours. */
const SEEK_EVERY_MS = 60_000

function seekEverywhere(sources: Sources): NodeJS.Timeout {
  let turn = 0
  return setInterval(() => sources.seek(COUNTRIES[turn++ % COUNTRIES.length]!), SEEK_EVERY_MS)
}
