/** `byway connect`: a local proxy through the exits others sell. */
import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { type Consumer, createConsumer, createDeposits, createProxy, refundExpired } from '../consumer/index.ts'
import { folderDiscovery } from '../discovery/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { systemClock } from '../protocol/clock.ts'
import { RESERVED_NAME } from '../protocol/destination.ts'
import { UNITS_PER_DOLLAR } from '../protocol/dollars.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import type { Descriptor } from '../protocol/voucher.ts'
import { untilAsked, untilAskedOrFailed } from './daemon.ts'
import { daemonHome } from './homes.ts'
import { type Node, openNode } from './node.ts'
import type { Output } from './output.ts'
import { type Env, loadSettings, type Settings } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'

export const WHOAMI_URL = `http://${RESERVED_NAME}/`

type ConnectSettings = Settings<KeysOf<'connect'>>['values']

export async function connect(command: Command, env: Env, output: Output): Promise<void> {
  const { values: settings, sources } = await loadSettings(command, keysOf('connect'), env)
  const stopped = untilAsked()
  const paths = daemonHome(settings.home, sources.home.kind !== 'default', 'consumer')
  let consumer: Consumer | undefined
  let known = 0
  const node: Node = await openNode({
    role: 'consumer',
    paths,
    settings,
    env,
    gauges: {
      sessions_open: () => consumer?.sessions().length,
      providers_known: () => known,
      deposit_left_dollars: () => Number(depositLeft(node)) / Number(UNITS_PER_DOLLAR),
      flows_open: () => consumer?.sessions().reduce((sum, session) => sum + session.flows, 0),
    },
  })
  const proxy = createProxy({ dialer: { dial: (request, signal) => consumer!.dial(request, signal) } }, { observer: node.observer })
  try {
    const discovery = folderDiscovery(settings.offers, { clock: systemClock, observer: node.observer })
    const offers = async () => {
      const found = await discovery.offers()
      known = found.length
      return found
    }
    consumer = await startConsumer(node, settings, offers)
    const address = await proxy.listen(settings.proxyHost, settings.proxyPort)
    await node.serve(routesOf(node, consumer, address))
    const refunding = setInterval(() => void refund(node), REFUND_EVERY_MS)
    void refund(node)
    output.event('ready', { role: 'consumer', home: paths.home, wallet: node.wallet.address, proxy: address, whoami: WHOAMI_URL })
    output.line(`proxy on ${address.host} port ${address.port} (SOCKS5 and HTTP); wallet ${node.wallet.address}`)
    output.line(`try: curl -x http://any@${address.host}:${address.port} ${WHOAMI_URL}`)
    const why = await untilAskedOrFailed(stopped, node.vault)
    output.note(`stopping (${why})`)
    clearInterval(refunding)
  } finally {
    await proxy.close()
    await consumer?.close()
    await node.close()
  }
}

/** Deposits come back within the hour of being free. */
const REFUND_EVERY_MS = 3_600_000

async function refund({ vault, client, wallet, observer }: Node): Promise<void> {
  const chain = {
    graceS: () => client.graceS(),
    blockTime: () => client.blockTime(),
    channelsPaid: client.channelsPaid,
    close: (descriptor: Descriptor, channels: readonly { index: number; payee: Hex }[]) => client.close(descriptor, channels, wallet),
  }
  try {
    await refundExpired({ vault, chain, clock: systemClock, observer })
  } catch (thrown) {
    observer.log('refund postponed', { why: asBywayError(thrown).message })
  }
}

async function startConsumer(node: Node, settings: ConnectSettings, offers: () => Promise<SignedOffer[]>): Promise<Consumer> {
  const { vault, client, wallet, keys, observer, network } = node
  const deposits = createDeposits({
    vault,
    chain: {
      balance: async () => (await client.balances(wallet.address)).dollars,
      openRoot: (descriptor) => client.openRoot(descriptor, wallet),
      rootState: async (rootId) => (await client.rootState(rootId)).state,
      rootsOf: () => client.rootsOf(wallet.address),
      channelsPaid: (channels) => client.channelsPaid(channels),
    },
    payer: wallet.address,
    sessionKey: (nonce) => keys.sessionKey(nonce).secret(),
    randomBytes,
    payees: async () => (await offers()).filter(({ body }) => body.channels === network.channels).map(({ body }) => body.payee),
    clock: systemClock,
    observer,
    settings,
  })
  try {
    await client.check()
    await deposits.recover()
  } catch (thrown) {
    const error = asBywayError(thrown)
    if (error.code !== 'RPC_UNREACHABLE') throw error
    observer.warn('CHAIN_UNREACHABLE', {})
  }
  return createConsumer({
    vault,
    deposits,
    domain: { chainId: network.chainId, channels: network.channels },
    clock: systemClock,
    observer,
    offers,
    maxPricePerGib: settings.maxPrice,
    random: Math.random,
  })
}

/** Units of open roots that no voucher has promised. */
function depositLeft({ vault }: Node): bigint {
  const open = [...vault.book.roots.values()].filter((root) => root.state === 'open')
  return open.reduce((sum, root) => sum + root.descriptor.sum - root.spent, 0n)
}

function routesOf(node: Node, consumer: Consumer, proxy: { host: string; port: number }) {
  return {
    'GET /v1/status': async () => ({
      role: 'consumer',
      wallet: node.wallet.address,
      proxy,
      sessions: consumer.sessions(),
      warnings: node.warnings.list(),
    }),
  } as const
}
