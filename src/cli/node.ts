/**
 * The command: one file a subcommand, listed in commands.ts.
 *
 * The rule it keeps: data on stdout, talk on stderr, every read command takes --json, every setting comes from one table (settings.ts), and no
 * secret is printed. Start reading at share.ts and connect.ts (the two daemons), then up.ts (the local exchange of both).
 *
 * This file opens a node: lock first, then keys, journal, chain client, log, metrics and the local API. What every daemon and every command that
 * signs needs, taken in the order that can be undone.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { apiApp, type Routes, standardRoutes } from '../api/app.ts'
import { createLog, type LogLevel } from '../api/log.ts'
import { createMetrics, type GaugeReaders, type HopReader, type Metrics } from '../api/metrics.ts'
import { createObserver } from '../api/observer.ts'
import { serveApi } from '../api/server.ts'
import { socketPath } from '../api/socket.ts'
import { createWarnings, type Warnings } from '../api/warnings.ts'
import { type ChannelsClient, type Network, type Wallet, walletFromKey } from '../chain/index.ts'
import { systemClock } from '../protocol/clock.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { diskFromEnvironment } from '../wallet/disk.ts'
import { readJournal } from '../wallet/journal.ts'
import { type Keys, openKeys } from '../wallet/keys.ts'
import { acquireLock } from '../wallet/lock.ts'
import type { HomePaths } from '../wallet/paths.ts'
import type { Role } from '../wallet/records.ts'
import { walletTurn } from '../wallet/turn.ts'
import { Vault } from '../wallet/vault.ts'
import { watchDescriptors } from './descriptors.ts'
import { clientFor, type NetworkSettings, networkFor } from './network.ts'
import type { Env } from './resolve.ts'
import { traced } from './trace.ts'
import { VERSION } from './version.ts'

export interface NodeOptions {
  role: Role
  paths: HomePaths
  settings: NetworkSettings & { passphraseFile?: string | undefined; logLevel?: LogLevel }
  env: Env
  gauges?: GaugeReaders
  hops?: HopReader
}

export interface Node {
  paths: HomePaths
  keys: Keys
  wallet: Wallet
  vault: Vault
  network: Network
  client: ChannelsClient
  observer: Observer
  warnings: Warnings
  metrics: Metrics
  /** Serves the local API; closed with the node. */
  serve(routes: Routes): Promise<void>
  close(): Promise<void>
}

export async function openNode({ role, paths, settings, env, gauges = {}, hops }: NodeOptions): Promise<Node> {
  const clock = systemClock
  const lock = await acquireLock(paths, clock.nowMs())
  const closers: (() => Promise<unknown>)[] = [() => lock.release()]
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const disk = diskFromEnvironment(env)
    const keys = await openKeys({ disk, paths, passphraseFile: settings.passphraseFile, env })
    const wallet = walletFromKey(keys.wallet.secret())
    const genesis = (await readJournal(disk, paths.journal))?.records[0]
    const network = networkFor(settings, genesis?.kind === 'genesis' ? genesis : undefined)
    const warnings = createWarnings(clock.nowMs)
    const metrics = createMetrics({
      version: VERSION,
      warnings,
      gauges: { ...gauges, main_thread_delay_p99_seconds: mainDelay(closers) },
      hops,
    })
    const human = process.stderr.isTTY
    const log = createLog({
      level: settings.logLevel ?? 'info',
      human,
      write: (line) => process.stderr.write(`${line}\n`),
      now: clock.nowMs,
    })
    const observer = traced(createObserver({ metrics, warnings, log }), env)
    closers.push(watchDescriptors(observer))
    const { chainId, channels, dollar: token } = network
    const vault = await Vault.open(disk, paths.journal, { role, chainId, channels, token, wallet: wallet.address }, clock)
    closers.push(() => vault.close())
    if (vault.tornBytes > 0) observer.log('torn journal tail cut off', { bytes: vault.tornBytes })
    return {
      paths,
      keys,
      wallet,
      vault,
      network,
      client: clientFor(settings, network, walletTurn(paths)),
      observer,
      warnings,
      metrics,
      async serve(routes) {
        const health = () => ({ ok: true, role })
        const api = await serveApi(apiApp({ ...standardRoutes({ metrics, warnings, health }), ...routes }), socketPath(paths.home, env))
        closers.push(() => api.close())
      },
      close,
    }
  } catch (thrown) {
    await close().catch((failure) => process.stderr.write(`${asBywayError(failure).message}\n`))
    throw thrown
  }
}

/** Timers of the main thread are looked at this often; what Node reports includes it. Oftener would be what a node at rest does most. */
const LOOK_EVERY_MS = 40

/** Reads how late they were since it was last asked, in seconds. */
function mainDelay(closers: (() => Promise<unknown>)[]): () => number {
  const delays = monitorEventLoopDelay({ resolution: LOOK_EVERY_MS })
  delays.enable()
  closers.push(async () => delays.disable())
  return () => {
    const ms = delays.percentile(99) / 1e6 - LOOK_EVERY_MS
    delays.reset()
    return Math.max(0, ms) / 1_000
  }
}
