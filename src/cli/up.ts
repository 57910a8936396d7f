/**
 * `byway up`: the local exchange. A chain, providers, a consumer and its proxy on this machine, each provider and the consumer a process of
 * its own, exactly the daemons that `byway share` and `byway connect` start. Only the money is play money.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import {
  type Anvil,
  type ChannelsClient,
  type Contracts,
  DEVNET_CHAIN_ID,
  DOLLAR,
  deployDevnet,
  ETHER,
  fundDevnet,
  startAnvil,
} from '../chain/index.ts'
import { BywayError } from '../protocol/errors.ts'
import { WARNINGS } from '../protocol/observe.ts'
import { acquireLock } from '../wallet/lock.ts'
import { exchangePaths, homePaths } from '../wallet/paths.ts'
import { type Child, spawnExplorer, spawnNode } from './child.ts'
import { WHOAMI_URL } from './connect.ts'
import { untilAsked } from './daemon.ts'
import { type Epochs, keepEpochs, leavesFile } from './epochs.ts'
import { formatDuration, formatUsd } from './format.ts'
import { type Keeper, type KeeperEvents, keepNode } from './keeper.ts'
import { keepMarket, type Market } from './market.ts'
import { clientFor, networkFor } from './network.ts'
import type { Output } from './output.ts'
import { createProgress, type Progress } from './progress.ts'
import { reportsFile } from './reports.ts'
import { CONFIG_FILE, type Env, loadSettings, type Settings } from './resolve.ts'
import { type KeysOf, kebab, keysOf } from './settings.ts'

/** Countries the providers claim, in order, and what they ask: different, so that choosing shows. */
const PROVIDERS = [
  { country: 'de', price: '0.10' },
  { country: 'us', price: '0.12' },
  { country: 'jp', price: '0.15' },
  { country: 'br', price: '0.08' },
  { country: 'za', price: '0.09' },
  { country: 'in', price: '0.07' },
  { country: 'gb', price: '0.14' },
  { country: 'au', price: '0.16' },
]
/** What the consumer and each provider start with: gas for years of a devnet, dollars for a few TB. */
const CONSUMER_FUNDS = { ether: 10n * ETHER, dollars: 1_000n * DOLLAR }
const PROVIDER_FUNDS = { ether: ETHER }
/** What probes cost is cents a day. */
const PROBER_FUNDS = { ether: ETHER, dollars: 100n * DOLLAR }
/** A wallet below this is filled up again, so that the world never runs dry; above it, a start leaves every balance as it was. */
const LOW = { ether: ETHER / 10n, dollars: 10n * DOLLAR }

type UpSettings = Settings<KeysOf<'up'>>['values']

export async function up(command: Command, env: Env, output: Output): Promise<void> {
  const { values: settings, sources } = await loadSettings(command, keysOf('up'), env)
  const stopped = untilAsked()
  const asked = new AbortController()
  void stopped.then((why) => asked.abort(why))
  const paths = exchangePaths(sources.home.kind === 'default' ? join(settings.home, 'exchange') : settings.home)
  const progress = createProgress(output)
  await requireFreePort(settings)
  const lock = await acquireLock({ lock: join(paths.folder, 'lock'), pid: join(paths.folder, 'pid') }, Date.now())
  const started: Started = { providers: [] }
  try {
    const world = await startWorld({ paths, settings, env, output, named: sources.home.kind === 'flag' }, progress, started, asked.signal)
    await report(world, started.providers, started.consumer!, started.explorer?.child.ready.page)
    started.market = keepMarket(started.anvil!.rpc, world.contracts, () => started.providers.map(({ child }) => child.ready.wallet), output)
    if (started.prober !== undefined) {
      started.epochs = keepEpochs({
        rpc: started.anvil!.rpc,
        contracts: world.contracts,
        env,
        output,
        folder: paths.rewards,
        probers: settings.probers,
        proxy: () => started.prober!.child.ready.proxy,
        providers: () => started.providers.map(({ child }) => child),
      })
    }
    const others = [started.prober, started.explorer].filter((node) => node !== undefined)
    const nodes = [...started.providers, started.consumer!, ...others]
    const end = await Promise.race([stopped, started.anvil!.ended, ...nodes.map((node) => node.failed)])
    if (end instanceof BywayError) throw end
  } catch (thrown) {
    if (!asked.signal.aborted) throw thrown
  } finally {
    if (asked.signal.aborted) {
      output.note(`stopping (${asked.signal.reason})`)
      output.event('stopping', { why: asked.signal.reason })
    }
    const stopping = stop(started)
    await (output.json ? stopping : progress.step('stopping', () => stopping))
    await lock.release()
  }
}

/** What runs so far: to be stopped whatever happens next. */
interface Started {
  anvil?: Anvil
  providers: Keeper[]
  consumer?: Keeper
  /** The consumer that carries the probes. */
  prober?: Keeper
  market?: Market
  explorer?: Awaited<ReturnType<typeof keepExplorer>>
  epochs?: Epochs
}

/** The consumer first, which pays its last bytes; then the providers; then the chain, which writes its world to disk. */
async function stop({ anvil, providers, consumer, prober, market, epochs, explorer }: Started): Promise<void> {
  await Promise.all([market?.stop(), epochs?.stop()])
  await explorer?.stop()
  await Promise.all([consumer?.stop(), prober?.stop()])
  await Promise.all(providers.map((provider) => provider.stop()))
  await anvil?.stop()
}

/** Starts everything, one step after the other; asked to stop, it goes no further than the step under way. */
async function startWorld(
  base: Omit<World, 'rpc' | 'contracts'>,
  progress: Progress,
  started: Started,
  asked: AbortSignal,
): Promise<World> {
  const step = <T>(title: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T> => {
    asked.throwIfAborted()
    return progress.step(title, work)
  }
  const { paths, settings } = base
  await mkdir(paths.chain, { recursive: true })
  const anvil = await step('starting the chain', () => startAnvil({ worldFile: join(paths.chain, 'world.json') }))
  started.anvil = anvil
  const contracts = await step('deploying the contracts', () => deployDevnet(anvil.rpc))
  const world: World = { ...base, contracts, rpc: anvil.url }
  const starts = startsOf(world, started)
  await step(`starting ${starts.length} nodes`, async (detail) => {
    let ready = 0
    // All at once: each start is seconds of one processor, and none needs another node.
    const results = await Promise.allSettled(starts.map((start) => start().then(() => detail(`${++ready} of ${starts.length}`))))
    // Providers come up in any order; people read them in one.
    started.providers.sort((a, b) => a.child.name.localeCompare(b.child.name, 'en', { numeric: true }))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  })
  await step('funding wallets with test dollars', async () => {
    await fund(world, anvil, started.consumer!.child, CONSUMER_FUNDS)
    for (const { child } of started.providers) await fund(world, anvil, child, PROVIDER_FUNDS)
    if (started.prober !== undefined) await fund(world, anvil, started.prober.child, PROBER_FUNDS)
  })
  if (settings.explore) started.explorer = await step('starting the explorer', () => keepExplorer(world))
  asked.throwIfAborted()
  return world
}

/** What starts each node. Who started is in `started`, also when another did not. */
function startsOf(world: World, started: Started): (() => Promise<void>)[] {
  const { providers, probers } = world.settings
  const starts = Array.from({ length: providers }, (_, i) => async () => {
    started.providers.push(await keepProvider(world, i + 1))
  })
  starts.push(async () => {
    started.consumer = await keepConsumer(world)
  })
  if (probers > 0) {
    starts.push(async () => {
      started.prober = await keepProber(world)
    })
  }
  return starts
}

interface World {
  /** The folder was named on the command line, so the commands that read it need the name too. */
  named: boolean
  paths: ReturnType<typeof exchangePaths>
  settings: UpSettings
  contracts: Contracts
  rpc: string
  env: Env
  output: Output
}

async function fund(world: World, { rpc }: Anvil, { ready: { wallet } }: Child, funds: { ether: bigint; dollars?: bigint }): Promise<void> {
  const { etherWei, dollars } = await worldClient(world).balances(wallet)
  const target = {
    ...(etherWei < LOW.ether ? { ether: funds.ether } : {}),
    ...(funds.dollars !== undefined && dollars < LOW.dollars ? { dollars: funds.dollars } : {}),
  }
  await fundDevnet(rpc, world.contracts, wallet, target)
}

function worldClient({ rpc, contracts }: World): ChannelsClient {
  const settings = { rpc: [rpc], chainId: DEVNET_CHAIN_ID, channels: contracts.channels, token: contracts.dollar, contracts: undefined }
  return clientFor(settings, networkFor(settings))
}

/** Says so before anything slow is started. The consumer, which takes the port, checks again. */
async function requireFreePort({ proxyHost, proxyPort }: UpSettings): Promise<void> {
  if (proxyPort === 0) return
  const { createServer } = await import('node:net')
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const busy = cause.code === 'EADDRINUSE'
      reject(
        new BywayError(busy ? 'PORT_BUSY' : 'ARGUMENT_INVALID', `cannot listen on ${proxyHost} port ${proxyPort}: ${cause.code}`, {
          cause,
          hint: busy
            ? `Is another \`npm start\` running? A second one needs a port and a folder of its own: npm start -- --port 0 --home DIR (0: any free port).`
            : 'Check --proxy-host.',
          facts: { host: proxyHost, port: proxyPort },
        }),
      )
    })
    server.listen({ host: proxyHost, port: proxyPort, exclusive: true }, resolve)
  })
  await new Promise((resolve) => server.close(resolve))
}

/** A node's config.toml: what it needs to run by hand in the same world, and what `byway claim` and `verify` read. */
async function writeConfig(
  home: string,
  world: World,
  own: Readonly<Record<string, string | number | boolean | readonly string[]>>,
): Promise<void> {
  const shared = {
    rpc: [world.rpc],
    chainId: DEVNET_CHAIN_ID,
    channels: world.contracts.channels,
    token: world.contracts.dollar,
    offers: world.paths.offers,
  }
  const lines = Object.entries({ ...shared, ...own }).map(([key, value]) => `${kebab(key)} = ${JSON.stringify(value)}`)
  await mkdir(home, { recursive: true, mode: 0o700 })
  await writeFile(join(home, CONFIG_FILE), `# Written by \`byway up\` at each start.\n${lines.join('\n')}\n`)
}

async function keepProvider(world: World, number: number): Promise<Keeper> {
  const home = homePaths(world.paths.provider(number)).home
  const { country, price } = PROVIDERS[(number - 1) % PROVIDERS.length]!
  const { allowPrivate } = world.settings
  const private_ = allowPrivate.length === 0 ? {} : { allowPrivate }
  await writeConfig(home, world, {
    country,
    price,
    host: '127.0.0.1',
    port: 0,
    policy: 'open',
    allowPrivateNodes: ['127.0.0.0/8'],
    leaves: leavesFile(world.paths.rewards),
    reports: reportsFile(world.paths.rewards),
    // One is enough to try it out, and shows that others need not.
    relay: number === 1,
    ...private_,
  })
  return keepNode(
    () => spawnNode(`provider-${number}`, ['share', '--home', home, '--json'], home, world.env),
    keeperEvents(world, `provider-${number}`),
  )
}

async function keepConsumer(world: World): Promise<Keeper> {
  const { home } = homePaths(world.paths.consumer)
  const start = async (before?: Child) => {
    const { proxyHost } = world.settings
    // Applications know the proxy by its port: a consumer that is started again takes the same.
    const proxyPort = before?.ready.proxy?.port ?? world.settings.proxyPort
    await writeConfig(home, world, { proxyHost, proxyPort })
    return spawnNode('consumer', ['connect', '--home', home, '--json'], home, world.env)
  }
  return keepNode(start, keeperEvents(world, 'consumer'))
}

/** It makes its database at the first start, which takes a while. */
async function keepExplorer(world: World) {
  const { home } = homePaths(world.paths.explorer)
  const { exploreHost, explorePort } = world.settings
  await writeConfig(home, world, { exploreHost, explorePort })
  return keepNode(() => spawnExplorer('explorer', ['explore', '--home', home, '--json'], home, world.env), {
    ended: endedIn(world, 'explorer'),
    back: () => world.output.note('explorer is back'),
  })
}

/** Nobody but the probers of this process uses its proxy, so any port will do. */
async function keepProber(world: World): Promise<Keeper> {
  const { home } = homePaths(world.paths.prober)
  const start = async () => {
    await writeConfig(home, world, { proxyPort: 0 })
    return spawnNode('prober', ['connect', '--home', home, '--json'], home, world.env)
  }
  return keepNode(start, keeperEvents(world, 'prober'))
}

/** A node that ends unasked, and is back, is told to people and programs alike. */
function keeperEvents(world: World, name: string): KeeperEvents {
  const { output } = world
  return {
    ended: endedIn(world, name),
    back: (child) => {
      output.note(`${name} is back`)
      output.event('node', { name, state: 'ready', ...nodeFacts(child), proxy: child.ready.proxy })
    },
  }
}

const endedIn =
  ({ output }: World, name: string): KeeperEvents['ended'] =>
  (error, pauseMs) => {
    const [why = ''] = error.message.split('\n')
    output.note(output.style('yellow', `${why}; starting it again in ${formatDuration(pauseMs)}`))
    if (error.hint !== undefined) output.note(`  ${error.hint}`)
    output.event('node', { name, state: 'ended', code: error.code, why, pauseMs })
  }

/** A provider as programs see it. */
function nodeFacts({ name, ready: { nodeKey, country, wallet, home, host, port, pricePerGib } }: Child): object {
  return { name, nodeKey, country, wallet, home, host, port, pricePerGib }
}

async function report(world: World, providers: readonly Keeper[], { child: consumer }: Keeper, page?: string): Promise<void> {
  const { output, contracts, rpc, paths, settings } = world
  const children = [...providers.map(({ child }) => child), consumer]
  const client = worldClient(world)
  const balances = await Promise.all(children.map((child) => client.balances(child.ready.wallet)))
  const proxy = consumer.ready.proxy!
  output.table(
    [
      { title: 'node' },
      { title: 'country' },
      { title: 'price/GiB', align: 'right' },
      { title: 'wallet' },
      { title: 'balance', align: 'right' },
    ],
    children.map((child, i) => [
      child.name,
      child.ready.country ?? '',
      child.ready.pricePerGib === undefined ? '' : formatUsd(BigInt(child.ready.pricePerGib)),
      child.ready.wallet,
      formatUsd(balances[i]!.dollars),
    ]),
  )
  output.line()
  output.line(`proxy   ${proxy.host}:${proxy.port}  (SOCKS5 and HTTP)`)
  output.line(`chain   ${rpc}  Channels ${contracts.channels}  dollar ${contracts.dollar}`)
  output.line(`offers  ${paths.offers}`)
  if (page !== undefined) output.line(`page    ${page}  (all of it, as everybody sees it)`)
  output.line(`state   ${paths.folder}`)
  output.line()
  if (settings.allowPrivate.length > 0) output.note(output.style('yellow', `warning: ${WARNINGS.PRIVATE_DESTINATIONS_ALLOWED.text}`))
  output.line('Try it; the answer comes from the exit itself, so it needs no internet:')
  output.line(output.style('bold', `  curl -x http://any-country-de@${proxy.host}:${proxy.port} ${WHOAMI_URL}`))
  output.line()
  const home = world.named ? ` --home ${paths.folder}` : ''
  output.line(`Then, in another terminal: ${['ledger', 'claim', 'verify'].map((name) => `npx byway ${name}${home}`).join(', ')}.`)
  output.line('Ctrl-C stops everything; the next start continues the same world.')
  output.event('ready', {
    proxy,
    whoami: WHOAMI_URL,
    rpc,
    contracts,
    providers: providers.map(({ child }) => nodeFacts(child)),
    consumer: { home: consumer.ready.home, wallet: consumer.ready.wallet },
    state: paths.folder,
    page,
  })
}
