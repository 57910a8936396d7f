/**
 * `byway up`: the local exchange. A chain, providers, a consumer and its proxy on this machine, each provider and the consumer a process of
 * its own, exactly the daemons that `byway share` and `byway connect` start. Only the money is play money.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { type Anvil, DEVNET_CHAIN_ID, DOLLAR, deployDevnet, ETHER, fundDevnet, startAnvil } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { acquireLock } from '../wallet/lock.ts'
import { exchangePaths, homePaths } from '../wallet/paths.ts'
import { type Child, spawnNode } from './child.ts'
import { WHOAMI_URL } from './connect.ts'
import { untilAsked } from './daemon.ts'
import { formatUsd } from './format.ts'
import { networkFor, clientFor } from './network.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'
import { CONFIG_FILE, type Env, loadSettings, type Settings } from './resolve.ts'
import { kebab, keysOf, type KeysOf } from './settings.ts'

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

type UpSettings = Settings<KeysOf<'up'>>['values']

export async function up(command: Command, env: Env, output: Output): Promise<void> {
  const { values: settings, sources } = await loadSettings(command, keysOf('up'), env)
  const stopped = untilAsked()
  const paths = exchangePaths(sources.home.kind === 'default' ? join(settings.home, 'exchange') : settings.home)
  const progress = createProgress(output)
  const lock = await acquireLock({ lock: join(paths.folder, 'lock'), pid: join(paths.folder, 'pid') }, Date.now())
  const children: Child[] = []
  let anvil: Anvil | undefined
  try {
    await mkdir(paths.chain, { recursive: true })
    await requireFreePort(settings)
    anvil = await progress.step('starting the chain', () => startAnvil({ worldFile: join(paths.chain, 'world.json') }))
    const contracts = await progress.step('deploying the contracts', () => deployDevnet(anvil!.rpc))
    const world: World = { paths, settings, contracts, rpc: anvil.url, env, output }
    await progress.step(`starting ${settings.providers} providers`, async (detail) => {
      let ready = 0
      const starting = Array.from({ length: settings.providers }, async (_, i) => {
        const child = await startProvider(world, i + 1)
        children.push(child)
        detail(`${++ready} of ${settings.providers}`)
      })
      const results = await Promise.allSettled(starting)
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    })
    const consumer = await progress.step('starting the consumer', () => startConsumer(world))
    // Providers come up in any order; people read them in one.
    children.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
    children.push(consumer)
    await progress.step('funding wallets with test dollars', async () => {
      await fundDevnet(anvil!.rpc, contracts.dollar, consumer.ready.wallet, CONSUMER_FUNDS)
      for (const child of children) {
        if (child !== consumer) await fundDevnet(anvil!.rpc, contracts.dollar, child.ready.wallet, PROVIDER_FUNDS)
      }
    })
    await report(world, children, consumer)
    const end = await Promise.race([stopped, anvil.ended.then((error) => error ?? 'the chain ended'), ...children.map((child) => child.ended)])
    if (end instanceof BywayError) throw end
    output.note(`stopping (${end})`)
  } finally {
    // Nodes first, so that their last vouchers find a chain; then the chain, which writes its world to disk.
    const stopping = Promise.all(children.map((child) => child.stop())).then(() => anvil?.stop())
    await (output.json ? stopping : progress.step('stopping', () => stopping))
    await lock.release()
  }
}

interface World {
  paths: ReturnType<typeof exchangePaths>
  settings: UpSettings
  contracts: { channels: Hex; dollar: Hex }
  rpc: string
  env: Env
  output: Output
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
          hint: busy ? 'Choose another with --port, or --port 0 for any free one. Is another `npm start` running?' : 'Check --proxy-host.',
          facts: { host: proxyHost, port: proxyPort },
        }),
      )
    })
    server.listen({ host: proxyHost, port: proxyPort, exclusive: true }, resolve)
  })
  await new Promise((resolve) => server.close(resolve))
}

/** A node's config.toml: what it needs to run by hand in the same world, and what `byway claim` and `verify` read. */
async function writeConfig(home: string, world: World, own: Readonly<Record<string, string | number | readonly string[]>>): Promise<void> {
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

async function startProvider(world: World, number: number): Promise<Child> {
  const home = homePaths(world.paths.provider(number)).home
  const { country, price } = PROVIDERS[(number - 1) % PROVIDERS.length]!
  const { allowPrivate } = world.settings
  const private_ = allowPrivate.length === 0 ? {} : { allowPrivate }
  await writeConfig(home, world, { country, price, host: '127.0.0.1', port: 0, policy: 'open', ...private_ })
  return spawnNode(`provider-${number}`, ['share', '--home', home, '--json'], home, world.env)
}

async function startConsumer(world: World): Promise<Child> {
  const { home } = homePaths(world.paths.consumer)
  const { proxyHost, proxyPort } = world.settings
  await writeConfig(home, world, { proxyHost, proxyPort })
  return spawnNode('consumer', ['connect', '--home', home, '--json'], home, world.env)
}

async function report(world: World, children: readonly Child[], consumer: Child): Promise<void> {
  const { output, contracts, rpc, paths } = world
  const network = networkFor({ rpc: [rpc], chainId: DEVNET_CHAIN_ID, channels: contracts.channels, token: contracts.dollar })
  const client = clientFor({ rpc: [rpc], chainId: undefined, channels: undefined, token: undefined }, network)
  const balances = await Promise.all(children.map((child) => client.balances(child.ready.wallet)))
  const proxy = consumer.ready.proxy!
  const providers = children.filter((child) => child !== consumer)
  output.table(
    [{ title: 'node' }, { title: 'country' }, { title: 'price/GiB', align: 'right' }, { title: 'wallet' }, { title: 'balance', align: 'right' }],
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
  output.line(`chain   ${rpc}  Channels ${contracts.channels}`)
  output.line(`state   ${paths.folder}`)
  output.line()
  output.line('Try it; the answer comes from the exit itself, so it needs no internet:')
  output.line(output.style('bold', `  curl -x http://any-country-de@${proxy.host}:${proxy.port} ${WHOAMI_URL}`))
  output.line()
  output.line('Then, in another terminal: npx byway ledger, npx byway claim, npx byway verify. Ctrl-C stops everything.')
  output.event('ready', {
    proxy,
    whoami: WHOAMI_URL,
    rpc,
    contracts,
    providers: providers.map(({ name, ready: { nodeKey, country, wallet, home, host, port, pricePerGib } }) => ({
      name,
      ...{ nodeKey, country, wallet, home, host, port, pricePerGib },
    })),
    consumer: { home: consumer.ready.home, wallet: consumer.ready.wallet },
    state: paths.folder,
  })
}

