/**
 * libp2p as the courier and those who ask us need it: questions to peers whose key is proved, answers to theirs, and a table of the network.
 *
 * What runs: TCP, Noise, yamux. A node that others may reach adds identify, ping, kad-dht (own protocol, own table limits) and AutoNAT, and
 * UPnP if it asks for it. A node that only looks has none of these: no listener, no name, a key that lasts until it stops, and it hangs up after
 * each look. There is no gossip, no relay, no mDNS.
 */
import { autoNATv2 } from '@libp2p/autonat-v2'
import { keys } from '@libp2p/crypto'
import { identify } from '@libp2p/identify'
import type { Connection, PeerId, PrivateKey, Stream } from '@libp2p/interface'
import { kadDHT } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { uPnPNAT } from '@libp2p/upnp-nat'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { fromHex, type Hex, toHex } from '../../protocol/bytes.ts'
import { BywayError } from '../../protocol/errors.ts'
import { type Endpoint, endpointOf, multiaddrOf, reachableBy } from './addresses.ts'
import type { Net } from './courier.ts'
import { Crowd, type Groups, type GroupsOf, INBOUND_LIMITS } from './diversity.ts'
import {
  type AnswerTo,
  type Contact,
  decodeAnswer,
  encodeQuestion,
  KAD_PROTOCOL,
  type Kind,
  MAX_ANSWER_BYTES,
  MAX_QUESTION_BYTES,
  OFFERS_PROTOCOL,
  type QuestionOf,
} from './messages.ts'
import { placeOfKey } from './shelves.ts'
import { limitTable, type Table } from './table.ts'

// --- Our choices. Safe to change. ---
/** Half of what 256 MiB hold at the buffers below; outbound connections of our own come on top and are few. */
const MAX_CONNECTIONS = 256
/** A node that only looks asks a handful at a time. */
const MAX_CONNECTIONS_LOOKING = 64
/** Streams of the offers protocol on one connection: one question each. */
const MAX_STREAMS = 16
/** Beyond the largest message of any protocol spoken here (a table answer of kad-dht, some 8 KiB; a fetch, 48 KiB). */
const MAX_BUFFERED_BYTES = 128 * 1024
/** One question with its answer, dialling included: four round trips on the worst line, and a lost packet. */
const QUESTION_TIMEOUT_MS = 6_000
/** Whoever wants to hold a stream open finds it closed. */
const ANSWER_TIMEOUT_MS = 10_000
/** Of one peer: its IPv4 and its IPv6 address, and one of each that it left. */
const MAX_ADDRESSES = 4
/** How often a node asks who is near to itself. */
const QUERY_SELF_MS = 900_000
/** How often a node looks whether others found it reachable. */
const REACHABLE_CHECK_MS = 5_000

export interface NetOptions {
  /** Undefined for a node that only looks. */
  serve?:
    | {
        listen: Endpoint
        /** The address others dial, where the owner knows it, with the port of `listen`; else found out (AutoNAT, UPnP). */
        announce?: string | undefined
        upnp: boolean
        /** 32 bytes the libp2p key follows from, so that contacts stay good after a restart. */
        seed: Uint8Array
        answer: (question: Uint8Array, from: string) => Uint8Array | undefined
      }
    | undefined
  reachable: { blocked: readonly string[]; allowed: readonly string[] }
  groupsOf: GroupsOf
  /** Source address of what is dialled; for tests of many nodes on one machine. */
  localAddress?: string | undefined
  /** A stranger misbehaved: a question that is none, or a flood of them. */
  onMalformed: (why: unknown) => void
}

export interface Libp2pNet extends Net {
  /** Dials an address whose key is not known. */
  meet(endpoint: Endpoint): Promise<Contact>
  /** Whether it is made to answer others, once they reach it. */
  readonly serves: boolean
  /** Where others reach this node, and with which key; undefined while nobody does. */
  own(): Contact | undefined
  connections(): number
  tableSize(): number
  hangUp(): Promise<void>
  close(): Promise<void>
}

export async function createNet(options: NetOptions): Promise<Libp2pNet> {
  const { serve, groupsOf, onMalformed } = options
  const mayDial = reachableBy(options.reachable)
  const privateKey: PrivateKey =
    serve === undefined ? await keys.generateKeyPair('Ed25519') : await keys.generateKeyPairFromSeed('Ed25519', serve.seed)
  const served = serve === undefined ? {} : servedBy(serve, mayDial)
  const inbound = (): Connection[] => node.getConnections().filter(({ direction }) => direction === 'inbound')
  const node = await createLibp2p({
    privateKey,
    // Neither program nor version is anybody's business.
    nodeInfo: { userAgent: 'byway' },
    addresses: served.addresses ?? { listen: [], announceFilter: () => [] },
    transports: [tcp({ ...(options.localAddress === undefined ? {} : { dialOpts: { localAddress: options.localAddress } as object }) })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ enableKeepAlive: false, streamOptions: { maxReadBufferLength: MAX_BUFFERED_BYTES } })],
    // A ping every ten seconds on each of a hundred connections is more than all offers of a day.
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: serve === undefined ? MAX_CONNECTIONS_LOOKING : MAX_CONNECTIONS,
      maxIncomingPendingConnections: 16,
      maxParallelDials: 16,
      maxPeerAddrsToDial: MAX_ADDRESSES,
      dialTimeout: QUESTION_TIMEOUT_MS,
      reconnectRetries: 1,
    },
    connectionGater: {
      denyDialMultiaddr: (address) => !mayDial(endpointOf(address.toString())?.host ?? ''),
      filterMultiaddrForPeer: (_peer, address) => mayDial(endpointOf(address.toString())?.host ?? ''),
      denyInboundConnection: (arriving) => {
        const crowd = new Crowd(INBOUND_LIMITS)
        for (const { remoteAddr } of inbound()) crowd.admit(groupsAt(remoteAddr.toString(), groupsOf))
        return !crowd.admit(groupsAt(arriving.remoteAddr.toString(), groupsOf))
      },
    },
    services: served.services ?? {},
  })
  const dht = 'dht' in node.services ? (node.services['dht'] as Dht) : undefined
  const table = dht === undefined ? undefined : limitTable(dht.routingTable, addressOf, groupsOf, placeOfKey(keyOf(node.peerId)!))

  /** Where a peer of the table is reached: an address it names and that a connection of ours came from or went to. */
  async function addressOf(peer: PeerId): Promise<Contact | undefined> {
    const key = keyOf(peer)
    const seenAt = new Set(node.getConnections(peer).map(({ remoteAddr }) => endpointOf(remoteAddr.toString())?.host))
    const { addresses } = await node.peerStore.get(peer)
    const named = addresses.map((address) => endpointOf(address.multiaddr.toString()))
    const found = named.find((endpoint) => endpoint !== undefined && seenAt.has(endpoint.host) && mayDial(endpoint.host))
    return key === undefined || found === undefined ? undefined : { key, ...found }
  }

  async function onQuestion(stream: Stream, connection: Connection): Promise<void> {
    const from = groupsAt(connection.remoteAddr.toString(), groupsOf)?.subnet ?? 'this machine'
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
    try {
      const answer = serve!.answer(await readAll(stream, MAX_QUESTION_BYTES, signal), from)
      if (answer === undefined) throw new BywayError('MESSAGE_MALFORMED', 'more questions than a node may ask')
      await writeAll(stream, answer, signal)
    } catch (thrown) {
      onMalformed(thrown)
      stream.abort(thrown as Error)
    }
  }

  let serving = false
  const serveIfReachable = async () => {
    if (serving || own() === undefined) return
    serving = true
    await dht!.setMode('server')
    await node.handle(OFFERS_PROTOCOL, onQuestion, { maxInboundStreams: MAX_STREAMS })
  }
  function own(): Contact | undefined {
    if (serve === undefined) return undefined
    const key = keyOf(node.peerId)!
    const mine = node.getMultiaddrs().map((each) => endpointOf(each.toString()))
    const found = mine.find((endpoint) => endpoint !== undefined && mayDial(endpoint.host))
    return found === undefined ? undefined : { key, ...found }
  }
  if (serve !== undefined) await serveIfReachable()
  const checking = serve === undefined ? undefined : setInterval(() => void serveIfReachable().catch(onMalformed), REACHABLE_CHECK_MS)

  return {
    async ask<K extends Kind>(contact: Contact, kind: K, question: QuestionOf<K>): Promise<AnswerTo<K>> {
      const signal = AbortSignal.timeout(QUESTION_TIMEOUT_MS)
      const peer = peerIdFromPublicKey(keys.publicKeyFromRaw(fromHex(contact.key, 32)))
      const stream = await node.dialProtocol(multiaddr(multiaddrOf(contact, peer.toString())), OFFERS_PROTOCOL, { signal })
      try {
        await writeAll(stream, encodeQuestion(kind, question), signal)
        return decodeAnswer(kind, await readAll(stream, MAX_ANSWER_BYTES[kind], signal))
      } catch (thrown) {
        stream.abort(thrown as Error)
        throw thrown
      }
    },
    async meet(endpoint) {
      const connection = await node.dial(multiaddr(multiaddrOf(endpoint)), { signal: AbortSignal.timeout(QUESTION_TIMEOUT_MS) })
      const key = keyOf(connection.remotePeer)
      if (key === undefined) throw new BywayError('MESSAGE_MALFORMED', 'a peer whose key is not Ed25519')
      return { key, ...endpoint }
    },
    nearest: (place, count) => table?.nearest(place, count) ?? [],
    serves: serve !== undefined,
    own,
    connections: () => node.getConnections().length,
    tableSize: () => table?.size() ?? 0,
    async hangUp() {
      await Promise.all(node.getConnections().map((connection) => connection.close().catch(() => connection.abort(new Error('closing')))))
    },
    async close() {
      clearInterval(checking)
      await node.stop()
    },
  }
}

interface Dht {
  routingTable: Table
  setMode(mode: 'server' | 'client'): Promise<void>
}

/** What a node that serves runs besides. */
function servedBy(
  { listen, announce, upnp }: NonNullable<NetOptions['serve']>,
  mayDial: (ip: string) => boolean,
): { addresses?: object; services?: Record<string, never> } {
  return {
    addresses: {
      listen: [multiaddrOf(listen)],
      // What the owner says needs no proof; where nobody says anything libp2p names only what AutoNAT confirmed.
      ...(announce === undefined || listen.port === 0 ? {} : { announce: [multiaddrOf({ host: announce, port: listen.port })] }),
      // Addresses inside the home are the home's. The port may have been any free one.
      announceFilter: (all: { toString(): string }[]) => {
        const port = all.map((each) => endpointOf(each.toString())?.port).find((each) => each !== undefined)
        if (announce !== undefined && port !== undefined) return [multiaddr(multiaddrOf({ host: announce, port }))]
        return all.filter((each) => mayDial(endpointOf(each.toString())?.host ?? ''))
      },
    },
    services: {
      identify: identify({ maxMessageSize: 8_192, maxObservedAddresses: 4, runOnConnectionOpen: true }),
      ping: ping(),
      // A server from when others reach it (serveIfReachable), not before.
      dht: kadDHT({
        protocol: KAD_PROTOCOL,
        clientMode: true,
        querySelfInterval: QUERY_SELF_MS,
        allowQueryWithZeroPeers: true,
        peerInfoMapper: ({ id, multiaddrs }) => ({
          id,
          multiaddrs: multiaddrs.filter((each) => mayDial(endpointOf(each.toString())?.host ?? '')).slice(0, MAX_ADDRESSES),
        }),
      }),
      autonat: autoNATv2({ maxMessageSize: 8_192, maxDialDataBytes: 131_072n }),
      ...(upnp ? { upnp: uPnPNAT({ portMappingDescription: 'byway' }) } : {}),
    } as unknown as Record<string, never>,
  }
}

/** The raw key of a peer id; undefined for keys of another kind. */
function keyOf(peer: PeerId): Hex | undefined {
  return peer.type === 'Ed25519' ? toHex(peer.publicKey.raw) : undefined
}

function groupsAt(address: string, groupsOf: GroupsOf): Groups {
  const endpoint = endpointOf(address)
  return endpoint === undefined ? undefined : groupsOf(endpoint.host)
}

/** Everything until the other side is done; throws beyond the limit. */
async function readAll(stream: Stream, limit: number, signal: AbortSignal): Promise<Uint8Array> {
  const stop = () => stream.abort(new Error('not in time'))
  signal.addEventListener('abort', stop)
  try {
    const parts: Uint8Array[] = []
    let size = 0
    for await (const part of stream) {
      size += part.byteLength
      if (size > limit) throw new BywayError('MESSAGE_TOO_LARGE', `more than ${limit} bytes`, { facts: { limit } })
      parts.push(part.subarray())
    }
    signal.throwIfAborted()
    return Buffer.concat(parts)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Ours are smaller than any window, so nothing is waited for but the end. */
async function writeAll(stream: Stream, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  stream.send(bytes)
  await stream.close({ signal })
}
