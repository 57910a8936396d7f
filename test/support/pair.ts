/** A provider and a consumer in this process, over real TLS on loopback, on a chain in memory. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { createConsumer, createDeposits } from '../../src/consumer/index.ts'
import { type Hex, toHex } from '../../src/protocol/bytes.ts'
import { type Clock, systemClock } from '../../src/protocol/clock.ts'
import { type Observer, silent } from '../../src/protocol/observe.ts'
import { type SignedOffer, signOffer } from '../../src/protocol/offer.ts'
import { addressOf, domainSeparator } from '../../src/protocol/voucher.ts'
import { createClaims, createProvider } from '../../src/provider/index.ts'
import { createCertificate } from '../../src/tunnel/index.ts'
import { type Disk, realDisk } from '../../src/wallet/disk.ts'
import { Vault } from '../../src/wallet/vault.ts'
import type { MemoryChain } from './memory-chain.ts'

export const CHANNELS: Hex = `0x${'c0'.repeat(20)}`
export const TOKEN: Hex = `0x${'d0'.repeat(20)}`
export const CHAIN_ID = 31_337
const DOMAIN = { chainId: CHAIN_ID, channels: CHANNELS }

export const temporaryHome = () => mkdtemp(join(tmpdir(), 'byway-test-'))

export interface ProviderOptions {
  home?: string
  chain: MemoryChain
  country?: string
  pricePerGib?: bigint
  observer?: Observer
  wallet?: Buffer
  keys?: ReturnType<typeof nodeKeys>
  port?: number
  clock?: Clock
  disk?: Disk
  dial?: (host: string, port: number, signal: AbortSignal) => Promise<Duplex>
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

export async function startProvider(options: ProviderOptions) {
  const { chain, country = 'de', pricePerGib = 100_000n, observer = silent, clock = systemClock, disk = realDisk() } = options
  const keys = options.keys ?? nodeKeys()
  const payee = addressOf(keys.wallet)
  const nodeKey = toHex(keys.node.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  const home = options.home ?? (await temporaryHome())
  const node = { role: 'provider' as const, chainId: CHAIN_ID, channels: CHANNELS, token: TOKEN, wallet: payee }
  const vault = await Vault.open(disk, join(home, 'journal.jsonl'), node, clock)
  const certificate = await createCertificate(keys.tls, new Date())
  const provider = await createProvider({
    vault,
    guard: chain.guard,
    separator: domainSeparator(DOMAIN),
    payee,
    country,
    clock,
    observer,
    nodeKey,
    certificate,
    terms: { chainId: CHAIN_ID, channels: CHANNELS, payee, pricePerGib },
    listen: { host: '127.0.0.1', port: options.port ?? 0 },
    dial: options.dial ?? dialLoopback,
  })
  const nowS = BigInt(Math.floor(Date.now() / 1000))
  const offer: SignedOffer = signOffer(
    {
      version: 1,
      nodeKey,
      payee,
      chainId: BigInt(CHAIN_ID),
      channels: CHANNELS,
      sequence: nowS,
      issuedAt: nowS,
      expiresAt: nowS + 86_400n,
      country,
      asn: 0,
      transports: [{ kind: 'tls', host: '127.0.0.1', port: provider.listener.port, pin: certificate.pin }],
      pricePerGib,
      tier: 2,
      policyHash: `0x${'00'.repeat(32)}`,
    },
    keys.node.privateKey,
  )
  const claims = createClaims({ vault, chain: chain.claimsOf(payee), payee, clock, observer })
  return { home, keys, vault, provider, offer, payee, claims, port: provider.listener.port }
}

export interface ConsumerOptions {
  home?: string
  chain: MemoryChain
  wallet?: Buffer
  offers: () => SignedOffer[]
  capPerProvider?: bigint
  deposit?: bigint
  rootDays?: number
  observer?: Observer
  clock?: Clock
  disk?: Disk
}

export async function startConsumer(options: ConsumerOptions) {
  const { chain, offers, observer = silent, clock = systemClock, disk = realDisk() } = options
  const wallet = options.wallet ?? randomBytes(32)
  const payer = addressOf(wallet)
  if (!chain.balances.has(payer)) chain.balances.set(payer, 1_000_000_000n)
  const home = options.home ?? (await temporaryHome())
  const node = { role: 'consumer' as const, chainId: CHAIN_ID, channels: CHANNELS, token: TOKEN, wallet: payer }
  const vault = await Vault.open(disk, join(home, 'journal.jsonl'), node, clock)
  const deposits = createDeposits({
    vault,
    chain: chain.for(payer),
    payer,
    sessionKey: (nonce) => sessionKey(wallet, nonce),
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
  const consumer = createConsumer({
    vault,
    deposits,
    domain: DOMAIN,
    clock,
    observer,
    offers: async () => offers(),
    maxPricePerGib: 10_000_000n,
    random: Math.random,
  })
  return { home, wallet, payer, vault, deposits, consumer }
}

function sessionKey(wallet: Buffer, nonce: bigint): Buffer {
  const key = Buffer.from(wallet)
  key.writeBigUInt64BE(key.readBigUInt64BE(24) ^ (nonce + 1n), 24)
  return key
}

export const anyRoute = { account: 'any', sessionMinutes: 10, strict: false }
