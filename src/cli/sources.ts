/** Where a daemon announces and finds offers, as its settings say, and what it may tell of each source. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { GaugeReaders } from '../api/metrics.ts'
import { type FedBy, OWNERS_FOLDER } from '../discovery/feed.ts'
import {
  type Contact,
  combinedDiscovery,
  contactsOf,
  type Discovery,
  fetchDocument,
  folderDiscovery,
  type Libp2pDiscovery,
  libp2pDiscovery,
  P2P_KIND,
  type RegistryDiscovery,
  reachableBy,
  registryDiscovery,
  requireSources,
  type Source,
} from '../discovery/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { systemClock } from '../protocol/clock.ts'
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { Transport } from '../protocol/offer.ts'
import { BLOCKED_RANGES } from '../tunnel/egress/address.ts'
import type { NetworkSettings } from './network.ts'
import type { Node } from './node.ts'
import { type RegistrySource, readRegistry } from './registry-source.ts'
import type { DISCOVERY_SOURCES } from './settings.ts'

/** How often what other sources found is looked through for nodes of the network. */
const INTRODUCE_EVERY_MS = 60_000
/** Contacts named to it at a time. */
const MAX_INTRODUCED = 64
/** Nobody reads more of a file of contacts: a thousand of them. */
const MAX_CONTACTS_BYTES = 256 * 1024

/** What strangers say: as much at once as the network remembers, and then as many new ones a second as a busy day of a large exchange brings. */
const STRANGERS = { burst: 50_000, perSecond: 200, privateAddresses: false }

type Serve = NonNullable<Parameters<typeof libp2pDiscovery>[0]['serve']>

export interface SourceSettings extends NetworkSettings {
  discovery: readonly (typeof DISCOVERY_SOURCES)[number][]
  offers: string
  bootstrap: readonly { host: string; port: number }[]
  asnTable: string | undefined
  allowPrivateNodes?: readonly string[]
}

export interface Sources extends Discovery {
  /** Each for itself, for a directory. */
  readonly feeds: readonly FedBy[]
  /** Offers of this country are wanted: sources that do not know all look for them. */
  seek(country: string): void
  /** Where this node answers questions about offers, as its own offer says it. */
  ownTransport(): Transport | undefined
  view(): object[]
  close(): Promise<void>
}

/** `serve`: how a provider takes part in the network; a consumer only looks. `writer`: the registry of a provider, which writes to it too. */
export async function openSources(
  { observer, paths }: Pick<Node, 'observer' | 'paths'>,
  settings: SourceSettings,
  serve?: Serve,
  writer?: () => RegistrySource,
): Promise<Sources> {
  requireSources(settings.discovery)
  const onDown = downTeller(observer)
  const reachable = { blocked: BLOCKED_RANGES.map(([range]) => range), allowed: [...(settings.allowPrivateNodes ?? [])] }
  const mayDial = reachableBy(reachable)
  const sources: Source[] = []
  let network: Libp2pDiscovery | undefined
  if (settings.discovery.includes('folder')) {
    sources.push({ name: 'folder', discovery: folderDiscovery(settings.offers, { clock: systemClock, observer }) })
  }
  if (settings.discovery.includes('libp2p')) {
    network = libp2pDiscovery({
      clock: systemClock,
      observer,
      serve,
      reachable,
      asnTable: settings.asnTable,
      onDown: onDown('libp2p'),
      bootstrap: settings.bootstrap,
      contacts: await readContacts(paths.contacts),
      onContacts: (contacts) =>
        void writeContacts(paths.contacts, contacts).catch((thrown) =>
          observer.log('contacts not written', { why: asBywayError(thrown).message }),
        ),
    })
    sources.push({ name: 'libp2p', discovery: network })
  }
  let registry: RegistryDiscovery | undefined
  if (settings.discovery.includes('registry')) {
    const { providers, publish } = writer?.() ?? readRegistry(settings)
    const fetch = (endpoint: string, nodeKey: Hex) => fetchDocument(endpoint, nodeKey, mayDial)
    registry = registryDiscovery({ clock: systemClock, observer, providers, fetchDocument: fetch, publish, onDown: onDown('registry') })
    sources.push({ name: 'registry', discovery: registry })
  }
  const states: Readonly<Record<string, () => object>> = {
    folder: () => ({ up: true }),
    registry: () => registry!.state(),
    libp2p: () => network!.state(),
  }
  const combined = combinedDiscovery(sources, { clock: systemClock, observer })
  const introduce = async () => network?.meet(contactsOf(await combined.offers()).slice(0, MAX_INTRODUCED))
  const introducing = setInterval(() => void introduce().catch(() => {}), INTRODUCE_EVERY_MS)
  void introduce().catch(() => {}) // a source that fails says so itself
  return {
    ...combined,
    feeds: sources.map(({ name, discovery }) =>
      name === 'folder'
        ? { source: OWNERS_FOLDER, discovery, complete: true }
        : { source: { name, ...STRANGERS }, discovery, complete: false },
    ),
    seek: (country) => network?.seek(country),
    ownTransport() {
      const own = network?.own()
      return own === undefined ? undefined : { kind: P2P_KIND, host: own.host, port: own.port, pin: own.key }
    },
    view: () => sources.map(({ name }) => ({ source: name, ...states[name]!() })),
    async close() {
      clearInterval(introducing)
      await network?.close()
    },
  }
}

/** Each source says by itself whether it is down; people are told once, of all that are. */
function downTeller(observer: Observer): (source: string) => (why: string | undefined) => void {
  const down = new Map<string, string>()
  return (source) => (why) => {
    if (why === undefined) down.delete(source)
    else down.set(source, why)
    const facts = { source: [...down.keys()].join(', '), why: [...down.values()].join('; ') }
    observer.warn('DISCOVERY_DOWN', down.size === 0 ? undefined : facts)
  }
}

/** Readers of what the network source measures; `sources` may not be open yet. */
export function networkGauges(sources: () => Sources | undefined): GaugeReaders {
  const read = (key: string) => () => {
    const state = sources()
      ?.view()
      .find((view) => (view as { source: string }).source === 'libp2p') as Record<string, number> | undefined
    return state?.[key]
  }
  return { network_contacts: read('contacts'), network_table: read('table'), network_offers_kept: read('kept') }
}

const contactsFile = z.array(
  z.object({
    key: z
      .string()
      .regex(/^0x[0-9a-f]{64}$/)
      .transform((key) => key as Hex),
    host: z.string().max(45),
    port: z.int().min(1).max(65_535),
  }),
)

/** None when there is no file yet; one that is damaged is as good as none, for it only saves time. */
async function readContacts(path: string): Promise<Contact[]> {
  const text = await readFile(path, 'utf8').catch(() => '[]')
  if (text.length > MAX_CONTACTS_BYTES) return []
  try {
    return contactsFile.parse(JSON.parse(text))
  } catch {
    return []
  }
}

async function writeContacts(path: string, contacts: readonly Contact[]): Promise<void> {
  if (contacts.length === 0) return // what is there may still be good
  await writeFile(`${path}.new`, JSON.stringify(contacts), { mode: 0o600 })
  await rename(`${path}.new`, path)
}
