/** The world of a crash run: a chain of its own, a funded consumer, a provider, an origin; everything in one temporary folder. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEVNET_CHAIN_ID, DOLLAR, deployDevnet, ETHER, fundDevnet, startAnvil } from '../../src/chain/index.ts'
import { freePort } from '../support/ports.ts'
import { type Origin, startOrigin } from './load.ts'
import { NodeProcess } from './process.ts'

/** About 25 MB at the price below: some seconds of load, so that roots are opened all the time. */
const CAP = '0.012'
const PRICE = '0.50'

export interface World {
  folder: string
  provider: NodeProcess
  consumer: NodeProcess
  proxyPort: number
  origin: Origin
  close(keep: boolean): Promise<void>
}

/** Makes the world and leaves both nodes running. */
export async function makeWorld(switches: Readonly<Record<string, string>>, say: (line: string) => void): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'byway-crash-'))
  const offers = join(folder, 'offers')
  await mkdir(offers)
  say('starting the chain')
  const anvil = await startAnvil()
  const contracts = await deployDevnet(anvil.rpc)
  const origin = await startOrigin()
  const [port, proxyPort] = await Promise.all([freePort(), freePort()])
  const shared = { rpc: [anvil.url], 'chain-id': DEVNET_CHAIN_ID, channels: contracts.channels, token: contracts.dollar, offers }
  const provider = new NodeProcess('provider', 'share', join(folder, 'provider'), switches)
  const consumer = new NodeProcess('consumer', 'connect', join(folder, 'consumer'), switches)
  const close = async (keep: boolean) => {
    await Promise.all([provider.kill(), consumer.kill()])
    await origin.close()
    await anvil.stop()
    if (!keep) await rm(folder, { recursive: true, force: true })
  }
  try {
    const exit = { policy: 'open', 'allow-private': ['127.0.0.0/8'], 'claim-at': '0' }
    await provider.configure({ ...shared, ...exit, country: 'de', price: PRICE, host: '127.0.0.1', port })
    await consumer.configure({ ...shared, 'proxy-port': proxyPort, deposit: CAP, 'cap-per-provider': CAP })
    say('starting a provider and a consumer')
    for (const node of [provider, consumer]) {
      node.start()
      const { wallet } = await node.ready()
      await fundDevnet(anvil.rpc, contracts, wallet, { ether: ETHER, dollars: 1_000n * DOLLAR })
    }
    return { folder, provider, consumer, proxyPort, origin, close }
  } catch (thrown) {
    await close(false)
    throw thrown
  }
}
