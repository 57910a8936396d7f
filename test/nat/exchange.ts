/** An exchange over the world: a chain and an origin on its internet, providers and consumers in its homes, each the real command. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { callDaemon } from '../../src/api/client.ts'
import { socketPath } from '../../src/api/socket.ts'
import { readLines } from './lines.ts'
import { startMiniupnpd } from './router-daemon.ts'
import type { RouterKind } from './routers.ts'
import { createWorld, INTERNET, type Site } from './world.ts'

/** Where a machine stands: behind these routers, the home's own first; none for a public address of its own. */
export const PLACES = {
  none: [],
  'full-cone': ['full-cone'],
  cone: ['cone'],
  symmetric: ['symmetric'],
  double: ['cone', 'symmetric'],
  mapped: ['mapped'],
} as const satisfies Record<string, readonly RouterKind[]>
export type PlaceName = keyof typeof PLACES

export interface ProviderNode {
  name: string
  site: Site
  nodeKey: string
  home: string
  /** From the start of the process to its first announced way in. */
  readyMs: number
  kill(): void
  status(): Promise<{ reach: { kind: string; address?: string; relays: string[] } }>
}

export interface ConsumerNode {
  name: string
  site: Site
  proxyPort: number
  /** Ends the process, as its owner would. */
  stop(): Promise<void>
  /** SHA-256 of what came, and how many bytes. */
  download(path: string, parameters: string, limitS?: number): Promise<{ sha256: string; bytes: number }>
  status(): Promise<{ sessions: { provider: string; hop: number; hops: number; way?: string }[]; countries?: string[] }>
}

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.js')

/** `settings`: variables every node starts with besides. */
export async function startExchange(settings: NodeJS.ProcessEnv = {}) {
  const world = createWorld()
  const folder = mkdtempSync(join(tmpdir(), 'byway-nat-'))
  const internet = readLines(world.start(world.net, process.execPath, [join(import.meta.dirname, 'internet.ts')]))
  const { rpc, channels, token } = (await internet.until('ready')) as unknown as { rpc: string; channels: string; token: string }
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    BYWAY_RPC: rpc,
    BYWAY_CHANNELS: channels,
    BYWAY_TOKEN: token,
    BYWAY_OFFERS: join(folder, 'offers'),
    ...settings,
    BYWAY_LOG_LEVEL: process.env.BYWAY_TEST_LOUD === undefined ? 'warn' : 'debug',
  }
  const ask = async (line: string, event: string) => {
    internet.child.stdin!.write(`${line}\n`)
    return internet.until(event)
  }
  const run = (site: Site, name: string, words: string[]) => {
    const home = join(folder, name)
    const lines = readLines(world.start(site.ns, process.execPath, [MAIN, ...words, '--home', home, '--json'], env))
    const status = async <T>() => (await callDaemon(socketPath(home, env), 'GET /v1/status')) as T
    return { home, lines, status }
  }
  const stand = async (name: string, place: PlaceName): Promise<Site> => {
    const site = world.addSite(name, PLACES[place])
    if (place === 'mapped') await startMiniupnpd(world, site.routers[0]!)
    return site
  }

  async function addProvider(name: string, place: PlaceName, extra: string[] = [], at?: Site): Promise<ProviderNode> {
    const site = at ?? (await stand(name, place))
    const startedMs = performance.now()
    const { home, lines, status } = run(site, name, ['share', '--host', '0.0.0.0', '--port', '4433', '--policy', 'open', ...extra])
    const { nodeKey, wallet } = (await lines.until('ready')) as unknown as { nodeKey: string; wallet: string }
    const readyMs = performance.now() - startedMs
    await ask(`fund ${wallet}`, 'funded')
    return { name, site, nodeKey, home, readyMs, kill: () => lines.child.kill('SIGKILL'), status }
  }

  /** An open node whose owner says so, and that others may reserve at. */
  const addRelay = (name: string, extra: string[] = []): Promise<ProviderNode> => {
    const site = world.addSite(name, [])
    return addProvider(name, 'none', ['--relay', '--reach', 'open', '--public-host', site.address, ...extra], site)
  }

  async function addConsumer(name: string, place: PlaceName): Promise<ConsumerNode> {
    const site = await stand(name, place)
    const { wallet, ...node } = await startConsumer(name, site)
    await ask(`fund ${wallet}`, 'funded')
    return node
  }

  /** In its home, which may have been one before. */
  async function startConsumer(name: string, site: Site): Promise<ConsumerNode & { wallet: string }> {
    const { lines, status } = run(site, name, ['connect', '--port', '0'])
    const { wallet, proxy } = (await lines.until('ready')) as unknown as { wallet: string; proxy: { port: number } }
    const stop = async () => {
      const gone = once(lines.child, 'exit')
      lines.child.kill('SIGTERM')
      await gone
    }
    const download = async (path: string, parameters: string, limitS = 300) => {
      const url = `http://${INTERNET}/${path}`
      const told = '%{stderr}%{size_download} %header{proxy-status}\\n'
      const script = `set -o pipefail; curl -sS --fail --max-time ${limitS} -w '${told}' -x 'http://${parameters}:x@127.0.0.1:${proxy.port}' '${url}' | sha256sum`
      const child = world.start(site.ns, 'bash', ['-c', script])
      let [out, err] = ['', '']
      child.stdout!.on('data', (part: Buffer) => (out += part.toString()))
      child.stderr!.on('data', (part: Buffer) => (err += part.toString()))
      const code = await new Promise((resolve) => child.once('close', resolve))
      if (code !== 0) throw new Error(`curl at ${name}: ${err.trim()}`)
      const bytes = Number(err.trim().split(' ')[0])
      // A warning of its own before what it was asked to say: shown, not taken for a count.
      if (!Number.isInteger(bytes)) throw new Error(`curl at ${name} said: ${err.trim()}`)
      return { sha256: out.split(' ')[0]!, bytes }
    }
    return { name, site, wallet, proxyPort: proxy.port, stop, download, status }
  }

  return {
    world,
    addProvider,
    addRelay,
    addConsumer,
    /** A consumer that was stopped, with what it has on disk. */
    restartConsumer: ({ name, site }: ConsumerNode): Promise<ConsumerNode> => startConsumer(name, site),
    /** No RPC answers from now on. */
    cutChain: () => ask('cut', 'cut'),
    /** Resolves when a download with /hold waits in its middle. */
    held: () => ask('held', 'held'),
    go: () => ask('go', 'went'),
    async close(): Promise<void> {
      await world.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export type Exchange = Awaited<ReturnType<typeof startExchange>>

/** Waits until `found` says so, asking anew; throws after `limitMs`. The asking itself takes its time, so this does not spin. */
export async function eventually<T>(what: string, found: () => Promise<T | undefined>, limitMs = 90_000): Promise<T> {
  const startedMs = performance.now()
  for (;;) {
    const value = await found().catch(() => undefined)
    if (value !== undefined) return value
    if (performance.now() - startedMs > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
