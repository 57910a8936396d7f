/** The world of a chaos run: a chain of its own, a funded consumer, providers enough for a route and a spare; in one temporary folder. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEVNET_CHAIN_ID, DOLLAR, deployDevnet, ETHER, fundDevnet, startAnvil } from '../../src/chain/index.ts'
import { NodeProcess } from '../crash/process.ts'
import { freePort } from '../support/ports.ts'

const PRICE = '0.10'
const LOCAL = ['127.0.0.0/8']
/** For a thousand GiB each: moves between channels have tests of their own. */
const CAP = 100n
/** Each place of a route deposits for itself, and a new root may follow. */
const ROOTS = 8

/** Where a consumer is seen to come from, if its switches say so. */
export const CONSUMER_HOST = '127.0.0.9'

/** A provider and the port it comes back on. */
export interface Hop {
  node: NodeProcess
  host: string
  port: number
}

export interface World {
  folder: string
  hops: readonly Hop[]
  consumer: NodeProcess
  proxyPort: number
  close(keep: boolean): Promise<void>
}

export interface WorldOptions {
  /** What is set in the environment of the node that lives at this address. */
  switchesOf?: (host: string) => Readonly<Record<string, string>>
  /** Settings of the providers, beside those that make a world. */
  provider?: Readonly<Record<string, unknown>>
}

export async function makeWorld(providers: number, { switchesOf = () => ({}), provider }: WorldOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'byway-chaos-'))
  const offers = join(folder, 'offers')
  await mkdir(offers)
  const anvil = await startAnvil()
  const nodes: NodeProcess[] = []
  const close = async (keep: boolean) => {
    await Promise.all(nodes.map((node) => node.kill()))
    await anvil.stop()
    if (!keep) await rm(folder, { recursive: true, force: true })
  }
  try {
    const contracts = await deployDevnet(anvil.rpc)
    const shared = { rpc: [anvil.url], 'chain-id': DEVNET_CHAIN_ID, channels: contracts.channels, token: contracts.dollar, offers }
    const start = async (name: string, command: string, own: Readonly<Record<string, unknown>> & { host?: string }) => {
      const node = new NodeProcess(name, command, join(folder, name), switchesOf(own.host ?? CONSUMER_HOST))
      nodes.push(node)
      await node.configure({ ...shared, ...own })
      node.start()
      const { wallet } = await node.ready()
      await fundDevnet(anvil.rpc, contracts, wallet, { ether: ETHER, dollars: CAP * BigInt(providers * ROOTS) * DOLLAR })
      return node
    }
    const exit = { country: 'de', price: PRICE, policy: 'open', 'allow-private': LOCAL, 'allow-private-nodes': LOCAL, 'claim-at': '0' }
    const hops: Hop[] = []
    for (let i = 1; i <= providers; i++) {
      // A /24 each, as a route of several hops wants its nodes.
      const host = `127.0.${i}.1`
      const port = await freePort(host)
      hops.push({ node: await start(`provider-${i}`, 'share', { ...exit, ...provider, host, port }), host, port })
    }
    const proxyPort = await freePort()
    const money = { deposit: `${CAP * BigInt(providers)}`, 'cap-per-provider': `${CAP}` }
    const consumer = await start('consumer', 'connect', { 'proxy-port': proxyPort, ...money })
    return { folder, hops, consumer, proxyPort, close }
  } catch (thrown) {
    await close(false)
    throw thrown
  }
}
