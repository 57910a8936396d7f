/** The world of the economy's journey: a devnet whose clock is ours, three providers in two regions, a consumer, an origin, and four probers. */
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import {
  type Action,
  type Contracts,
  createEpochsClient,
  DEVNET_CHAIN_ID,
  deployDevnet,
  type Economy,
  type EpochsClient,
  type RewardLeaf,
  type Rpc,
  startAnvil,
  type Wallet,
  wakeDevnet,
  walletFromKey,
} from '../../src/chain/index.ts'
import { type DevnetProber, economyOf } from '../../src/cli/enrol.ts'
import { type EpochNeeds, measureTogether } from '../../src/prober/index.ts'
import type { Hex } from '../../src/protocol/bytes.ts'
import { realDisk } from '../../src/wallet/disk.ts'
import { readJournal } from '../../src/wallet/journal.ts'
import { openKeys } from '../../src/wallet/keys.ts'
import { type Ledger, ledgerOf } from '../../src/wallet/ledger.ts'
import { homePaths } from '../../src/wallet/paths.ts'
import { NodeProcess } from '../crash/process.ts'
import { freePort } from '../support/ports.ts'

/** A dollar a GiB: what a gigabyte earns is worth a look. */
const PRICE = '1.00'
/** Room for all of it with one provider, so that no root is opened on the way. */
const CAP = '3.00'
const DEPOSIT = '9.00'

/** A node of the journey with its wallet. */
export interface Member {
  node: NodeProcess
  wallet: Wallet
  /** Of a provider. */
  nodeKey: Hex
  country: string
  /** For what this wallet sends: a daemon may be sending from it too. */
  economy: Economy
}

export interface World {
  folder: string
  rpc: Rpc
  contracts: Contracts
  economy: Economy
  epochs: EpochsClient
  providers: Member[]
  consumer: Member
  proxy: { host: string; port: number }
  origin: string
  /** Moves the clock of the chain and makes a block. */
  later(seconds: number): Promise<void>
  /** What the probers need, once they are enrolled. */
  epochNeeds(probers: readonly DevnetProber[], leaves: Map<string, RewardLeaf[]>): EpochNeeds
  ledger(member: Member): Promise<Ledger>
  close(): Promise<void>
}

export async function makeWorld(countries: readonly string[]): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'byway-economy-'))
  const offers = join(folder, 'offers')
  await mkdir(offers)
  const anvil = await startAnvil()
  const { rpc } = anvil
  const contracts = await deployDevnet(rpc)
  const origin = await startOrigin()
  const env = {}
  const proxy = { host: '127.0.0.1', port: await freePort() }
  const shared = { rpc: [anvil.url], 'chain-id': DEVNET_CHAIN_ID, channels: contracts.channels, token: contracts.dollar, offers }
  const members: Member[] = []
  const close = async () => {
    await Promise.all(members.map(({ node }) => node.kill()))
    origin.closeAllConnections()
    origin.close()
    await anvil.stop()
    await rm(folder, { recursive: true, force: true })
  }
  const start = async (name: string, command: string, country: string, own: Record<string, unknown>): Promise<Member> => {
    const node = new NodeProcess(name, command, join(folder, name), {})
    await node.configure({ ...shared, ...own })
    node.start()
    // Before it is ready, so that it is killed whatever happens.
    const member = { node, country } as Member
    members.push(member)
    await node.ready()
    const keys = await openKeys({ disk: realDisk(), paths: homePaths(node.home), env })
    return Object.assign(member, {
      wallet: walletFromKey(keys.wallet.secret()),
      nodeKey: keys.nodeId,
      economy: economyOf({ rpc, contracts, env }, node.home),
    })
  }
  try {
    const exit = { price: PRICE, policy: 'open', 'allow-private': ['127.0.0.0/8'], 'claim-at': '0', host: '127.0.0.1', port: 0 }
    const providers: Member[] = []
    // One after the other: each makes its keys, which keeps a core busy.
    for (const [i, country] of countries.entries()) providers.push(await start(`provider-${i + 1}`, 'share', country, { ...exit, country }))
    const buys = { 'proxy-port': proxy.port, deposit: DEPOSIT, 'cap-per-provider': CAP }
    const consumer = await start('consumer', 'connect', '', buys)
    const economy = economyOf({ rpc, contracts, env })
    // From here on a block is a second, however long this machine takes for it: or an epoch would pass while a busy one signs.
    await rpc.request(z.unknown(), 'anvil_setBlockTimestampInterval', [1])
    const epochs = createEpochsClient(rpc, contracts)
    return {
      folder,
      rpc,
      contracts,
      economy,
      epochs,
      providers,
      consumer,
      proxy,
      origin: `http://127.0.0.1:${(origin.address() as AddressInfo).port}`,
      close,
      async later(seconds) {
        await rpc.request(z.unknown(), 'evm_setNextBlockTimestamp', [(await economy.nowS()) + seconds])
        await wakeDevnet(rpc)
      },
      epochNeeds: (probers, leaves) => ({
        economy,
        epochs,
        probers,
        sender: probers[0]!.wallet,
        async passBlocks(count) {
          for (let block = 0; block < count; block++) await wakeDevnet(rpc)
        },
        measure: ({ operator, claimedMbps }, count) => {
          const { nodeKey } = providers.find(({ wallet }) => wallet.address === operator)!
          return measureTogether({ proxy, provider: nodeKey, claimedMbps, members: count })
        },
        leavesOf: async (_kind, root) => leaves.get(root),
        publish: async (_kind, root, published) => {
          leaves.set(root, [...published])
        },
      }),
      async ledger({ node }) {
        return ledgerOf((await readJournal(realDisk(), node.journal))?.records ?? [])
      },
    }
  } catch (thrown) {
    await close()
    throw thrown
  }
}

/** Sends actions of one wallet. */
export async function act({ economy, wallet }: Pick<Member, 'economy' | 'wallet'>, ...actions: Action[]): Promise<void> {
  await economy.actions.perform(wallet, await economy.actions.prepare(wallet.address, actions))
}

/** A GET through one provider and no other: status and bytes. */
export function fetchThrough({ proxy }: World, { nodeKey }: Member, url: string): Promise<{ status: number; bytes: number }> {
  const username = `any-provider-${nodeKey.slice(2)}-strict-1`
  const headers = { host: new URL(url).host, 'proxy-authorization': `Basic ${Buffer.from(`${username}:`).toString('base64')}` }
  return new Promise((resolve, reject) => {
    request({ ...proxy, path: url, headers, agent: false }, (response) => {
      let bytes = 0
      response.on('data', (part: Buffer) => (bytes += part.length))
      response.once('error', reject)
      response.once('end', () => resolve({ status: response.statusCode!, bytes }))
    })
      .once('error', reject)
      .end()
  })
}

/** Answers `/BYTES` with so many. */
async function startOrigin(): Promise<Server> {
  const piece = Buffer.alloc(64 * 1024, 'byway ')
  const server = createServer((asked, response) => {
    let left = Number(asked.url!.slice(1))
    response.writeHead(200, { 'content-length': left })
    const send = () => {
      while (left > 0) {
        const part = piece.subarray(0, Math.min(left, piece.length))
        left -= part.length
        if (!response.write(part)) return void response.once('drain', send)
      }
      response.end()
    }
    send()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
