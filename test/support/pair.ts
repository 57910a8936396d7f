/** A provider and a consumer in this process, over real TLS on loopback, on a chain in memory. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { Budget } from '../../src/consumer/budget.ts'
import { createConsumer, createDeposits, Seen } from '../../src/consumer/index.ts'
import { Directory } from '../../src/discovery/directory/index.ts'
import { createFeed, OWNERS_FOLDER } from '../../src/discovery/feed.ts'
import { type Hex, toHex } from '../../src/protocol/bytes.ts'
import { type Clock, systemClock } from '../../src/protocol/clock.ts'
import { OUTAGE, type Outage } from '../../src/protocol/flow.ts'
import { type Observer, silent } from '../../src/protocol/observe.ts'
import { type SignedOffer, signOffer, UNSTATED } from '../../src/protocol/offer.ts'
import { addressOf, domainSeparator } from '../../src/protocol/voucher.ts'
import { createClaims, createProvider, createRelay } from '../../src/provider/index.ts'
import { parseCidr } from '../../src/tunnel/egress/address.ts'
import { createUdpEgress, type UdpEgress } from '../../src/tunnel/egress/udp.ts'
import type { Plane } from '../../src/tunnel/fast/plane.ts'
import { connectLink, createCertificate } from '../../src/tunnel/index.ts'
import { type Disk, realDisk } from '../../src/wallet/disk.ts'
import { Vault } from '../../src/wallet/vault.ts'
import { temporaryFolder } from './folders.ts'
import type { MemoryChain } from './memory-chain.ts'

export const CHANNELS: Hex = `0x${'c0'.repeat(20)}`
export const TOKEN: Hex = `0x${'d0'.repeat(20)}`
export const CHAIN_ID = 31_337
const DOMAIN = { chainId: CHAIN_ID, channels: CHANNELS }

export interface ProviderOptions {
  addresses?: (host: string, port: number) => Promise<readonly string[]>
  plane?: Plane
  home?: string
  chain: MemoryChain
  country?: string
  pricePerGib?: bigint
  observer?: Observer
  wallet?: Buffer
  keys?: ReturnType<typeof nodeKeys>
  /** Address to listen on, and the one in the offer. */
  host?: string
  port?: number
  clock?: Clock
  disk?: Disk
  outage?: Outage
  dial?: (host: string, port: number, signal: AbortSignal) => Promise<Duplex>
  /** Connects to the next hop of a route. */
  dialNode?: (host: string, port: number) => Promise<Duplex>
  udp?: UdpEgress
  /** Others may reserve here. */
  relay?: boolean
}

export function nodeKeys() {
  const node = generateKeyPairSync('ed25519')
  const tls = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { node, tls: tls.privateKey, wallet: randomBytes(32) }
}

/** Connects to any loopback address: tests of money and transport need no policy. */
export const dialLoopback = (host: string, port: number): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })

/** Reaches any node on loopback; `reservations` lets others wait here. */
export const loopbackRelay = (reservations: boolean, clock: Clock, observer: Observer, dialNode = dialLoopback) =>
  createRelay({
    reservations,
    dialNode: ({ host, port }) => dialNode(host, port) as Promise<Socket>,
    connect: connectLink,
    mayDial: () => true,
    clock,
    observer,
  })

/** Datagrams to any loopback address. */
const loopbackUdp = () => createUdpEgress({ ownAddresses: () => [], tier: 'open' }, { allowPrivate: ['127.0.0.0/8', '::1'].map(parseCidr) })

export async function startProvider(options: ProviderOptions) {
  const {
    chain,
    country = 'de',
    pricePerGib = 100_000n,
    observer = silent,
    clock = systemClock,
    disk = realDisk(),
    udp = loopbackUdp(),
    host = '127.0.0.1',
  } = options
  const keys = options.keys ?? nodeKeys()
  const payee = addressOf(keys.wallet)
  const nodeKey = toHex(keys.node.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  const home = options.home ?? temporaryFolder()
  const node = { role: 'provider' as const, chainId: CHAIN_ID, channels: CHANNELS, token: TOKEN, wallet: payee }
  const vault = await Vault.open(disk, join(home, 'journal.jsonl'), node, clock)
  const certificate = await createCertificate(keys.tls, new Date())
  const relay = loopbackRelay(options.relay ?? false, clock, observer, options.dialNode)
  const provider = await createProvider({
    plane: options.plane && (() => options.plane),
    vault,
    guard: chain.guard,
    separator: domainSeparator(DOMAIN),
    payee,
    country,
    clock,
    observer,
    nodeKey,
    certificate,
    terms: { chainId: CHAIN_ID, channels: CHANNELS, payee, leastPerGib: () => pricePerGib },
    outage: options.outage ?? OUTAGE,
    listen: { host, port: options.port ?? 0 },
    dialler: {
      dial: options.dial ?? dialLoopback,
      associate: (guest) => udp.associate(guest),
      ...(options.addresses && { addresses: options.addresses }),
    },
    relay,
  })
  const nowMs = Date.now()
  const nowS = BigInt(Math.floor(nowMs / 1000))
  const offer: SignedOffer = signOffer(
    {
      version: 1,
      nodeKey,
      payee,
      chainId: BigInt(CHAIN_ID),
      channels: CHANNELS,
      sequence: BigInt(nowMs),
      issuedAt: nowS,
      expiresAt: nowS + 86_400n,
      ...UNSTATED,
      country,
      transports: [{ kind: 'tls', host, port: provider.listener.port, pin: certificate.pin }],
      pricePerGib,
      tier: 2,
      policyHash: `0x${'00'.repeat(32)}`,
      relay: options.relay === true ? 1 : 0,
    },
    keys.node.privateKey,
  )
  const claims = createClaims({ vault, chain: chain.claimsOf(payee), payee, clock, observer })
  return { home, keys, vault, provider, relay, offer, payee, claims, port: provider.listener.port }
}

export interface ConsumerOptions {
  plane?: Plane
  home?: string
  chain: MemoryChain
  wallet?: Buffer
  offers: () => SignedOffer[]
  capPerProvider?: bigint
  deposit?: bigint
  rootDays?: number
  hops?: number
  /** A number in [0, 1): who comes first. */
  random?: () => number
  observer?: Observer
  clock?: Clock
  disk?: Disk
  budget?: Budget
  outage?: Outage
  spare?: boolean
}

export async function startConsumer(options: ConsumerOptions) {
  const { chain, offers, observer = silent, clock = systemClock, disk = realDisk() } = options
  const wallet = options.wallet ?? randomBytes(32)
  const payer = addressOf(wallet)
  const home = options.home ?? temporaryFolder()
  const node = { role: 'consumer' as const, chainId: CHAIN_ID, channels: CHANNELS, token: TOKEN, wallet: payer }
  const vault = await Vault.open(disk, join(home, 'journal.jsonl'), node, clock)
  /** Each place of a route has a payer of its own, with money of its own. */
  const depositsOf = (key: Buffer) => {
    const address = addressOf(key)
    if (!chain.balances.has(address)) chain.balances.set(address, 1_000_000_000n)
    return createDeposits({
      vault,
      chain: chain.for(address),
      payer: address,
      sessionKey: (nonce) => sessionKey(key, nonce),
      randomBytes,
      payees: async () => offers().map((offer) => offer.body.payee),
      clock,
      observer,
      settings: {
        deposit: options.deposit ?? 10_000_000n,
        capPerProvider: options.capPerProvider ?? 1_000_000n,
        rootDays: options.rootDays ?? 14,
      },
    })
  }
  const seen = new Seen()
  const directory = new Directory({
    clock,
    observer,
    random: Math.random,
    isPublic: () => true,
    domain: DOMAIN,
    seenOf: seen.of,
  })
  seen.onChanged = (nodeKey) => directory.judge(nodeKey)
  const feed = createFeed({
    directory,
    sources: [{ source: OWNERS_FOLDER, discovery: { offers: async () => offers() }, complete: true }],
    observer,
    freshMs: 0,
  })
  const deposits = depositsOf(wallet)
  const atPlace = new Map([[0, deposits]])
  const consumer = createConsumer({
    plane: options.plane && (() => options.plane),
    vault,
    async deposits({ index }) {
      const known = atPlace.get(index) ?? depositsOf(payerKey(wallet, index))
      atPlace.set(index, known)
      return known
    },
    hops: options.hops ?? 1,
    spare: options.spare ?? false,
    outage: options.outage ?? OUTAGE,
    budget: options.budget,
    domain: DOMAIN,
    clock,
    observer,
    directory: () => feed.fresh(),
    seen,
    maxPricePerGib: 10_000_000n,
    random: options.random ?? Math.random,
  })
  return { home, wallet, payer, vault, deposits, consumer, directory }
}

type Seller = Awaited<ReturnType<typeof startProvider>>
type Buyer = Awaited<ReturnType<typeof startConsumer>>

/**
 * Closes the consumer and waits until its providers heard that, and with it the last vouchers. Their own closing waits for a second only, which
 * a busy machine may need for other things; who lost its way cannot say goodbye, and is not waited for.
 */
export async function part({ consumer }: Buyer, sellers: readonly Seller[]): Promise<void> {
  const open = consumer.sessions()
  const heard = open.length > 0 && open.every(({ away }) => !away)
  await consumer.close()
  const deadline = performance.now() + GOODBYE_LIMIT_MS
  while (heard && sellers.some(({ provider }) => provider.sessions().length > 0) && performance.now() < deadline) await delay(LOOK_EVERY_MS)
}

/** All of it ends in order: the consumer first, which pays its last bytes. */
export async function takeDown(buyer: Buyer & { vault: Vault }, sellers: readonly (Seller & { vault: Vault })[]): Promise<void> {
  await part(buyer, sellers)
  await Promise.all(sellers.map(({ provider }) => provider.close()))
  await Promise.all([buyer, ...sellers].map(({ vault }) => vault.close()))
}

const GOODBYE_LIMIT_MS = 20_000
const LOOK_EVERY_MS = 5

function payerKey(wallet: Buffer, place: number): Buffer {
  const key = Buffer.from(wallet)
  key[0]! ^= place
  return key
}

function sessionKey(wallet: Buffer, nonce: bigint): Buffer {
  const key = Buffer.from(wallet)
  key.writeBigUInt64BE(key.readBigUInt64BE(24) ^ (nonce + 1n), 24)
  return key
}

export const anyRoute = { account: 'any', sessionMinutes: 10, strict: false }
