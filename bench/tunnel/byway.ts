/**
 * Byway as people run it: a chain, `byway share` and `byway connect` as processes of their own, policy, journal, log and payment on. Also what
 * bench/profile.ts looks at.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DEVNET_CHAIN_ID, DOLLAR, deployDevnet, ETHER, fundDevnet, startAnvil } from '../../src/chain/index.ts'
import { type Child, spawnNode } from '../../src/cli/child.ts'
import { CONFIG_FILE } from '../../src/cli/resolve.ts'
import { kebab } from '../../src/cli/settings.ts'
import { MAX_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import { realDisk } from '../../src/wallet/disk.ts'
import { readJournal } from '../../src/wallet/journal.ts'
import { ledgerOf } from '../../src/wallet/ledger.ts'
import { homePaths } from '../../src/wallet/paths.ts'
import type { Running, Where } from './systems.ts'

/** Dollars per GiB, as `npm start` asks. */
const PRICE = '0.10'
/** Loopback, and the near and far ends of a long path. */
const LOCAL = ['127.0.0.0/8', '10.98.0.0/16']
/** Dollars behind each provider: for ten thousand GiB, so that no run ends in the middle of a move to another channel. */
const CAP = 1_000n
/** Each place of a route deposits for itself, and a new root may follow. */
const ROOTS = 8
/** Single bytes of connection tests are not counted as carried; this share is more than they ever make. */
const UNCOUNTED_SHARE = 0.001
/** Frames, TLS records and handshakes of an inner link, in proportion to what it carries. */
const LAYER_SHARE = 0.05

export interface BywayOptions {
  /** Providers on the way, the exit included: as many are started as a route needs. */
  hops: 1 | 2 | 3
  /** Absent: providers listen on loopback, each in a network of its own. */
  where?: readonly Where[] | undefined
  /** For the daemons, beside what this process has. */
  env?: Readonly<Record<string, string>>
}

export interface Byway extends Running {
  providers: readonly Child[]
  consumer: Child
}

export async function startByway(folder: string, { hops, where, env = {} }: BywayOptions): Promise<Byway> {
  const offers = join(folder, 'offers')
  mkdirSync(offers)
  const anvil = await startAnvil()
  const nodes: Child[] = []
  const stop = async () => {
    // The consumer first, which pays its last bytes to providers that are still there.
    for (const node of nodes.toReversed()) await node.stop()
    await anvil.stop()
  }
  try {
    const contracts = await deployDevnet(anvil.rpc)
    const shared = { rpc: [anvil.url], chainId: DEVNET_CHAIN_ID, channels: contracts.channels, token: contracts.dollar, offers }
    const start = async (name: string, command: string, own: Readonly<Record<string, unknown>>) => {
      const home = join(folder, name)
      mkdirSync(home, { mode: 0o700 })
      const lines = Object.entries({ ...shared, ...own }).map(([key, value]) => `${kebab(key)} = ${JSON.stringify(value)}\n`)
      writeFileSync(join(home, CONFIG_FILE), lines.join(''))
      const node = await spawnNode(name, [command, '--home', home, '--json'], home, daemonEnv(env))
      nodes.push(node)
      return node
    }
    const terms = { country: 'de', price: PRICE, port: 0, policy: 'open', allowPrivate: LOCAL, allowPrivateNodes: LOCAL }
    const providers: Child[] = []
    for (let i = 1; i <= hops; i++) {
      // A /24 each, as a route of several hops wants its nodes.
      const at = where?.[i - 1]
      const address = at === undefined ? { host: `127.0.${i}.1` } : { host: at.listen, publicHost: at.reach }
      const provider = await start(`provider-${i}`, 'share', { ...terms, ...address })
      providers.push(provider)
      await fundDevnet(anvil.rpc, contracts, provider.ready.wallet, { ether: ETHER })
    }
    const money = { deposit: `${CAP * BigInt(hops)}`, capPerProvider: `${CAP}` }
    const consumer = await start('consumer', 'connect', { proxyPort: 0, ...money })
    await fundDevnet(anvil.rpc, contracts, consumer.ready.wallet, { ether: ETHER, dollars: CAP * BigInt(hops * ROOTS) * DOLLAR })
    const sides = nodes.map(({ pid }) => pid)
    return {
      providers,
      consumer,
      proxy: { port: consumer.ready.proxy!.port, ...(hops === 1 ? {} : { username: `any-hops-${hops}` }) },
      pids: [...sides, anvil.pid],
      sides,
      homes: nodes.map(({ ready }) => ready.home),
      audit: (carried) => auditAll(providers, carried),
      stop,
    }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

/** Settings of whoever runs the benchmark must not reach the daemons. */
function daemonEnv(own: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('BYWAY_') && !key.startsWith('NODE_'))
  return { ...Object.fromEntries(inherited), ...own }
}

/** What the load carried was paid for: the journal of each provider holds vouchers for all of it but the last window, and for no more than a window ahead. */
async function auditAll(providers: readonly Child[], carried: number): Promise<Record<string, string | number>> {
  const found = await Promise.all(providers.map(({ ready }) => audit(ready.home, carried, providers.length)))
  const [paid, earned] = [found.map((one) => one.paid / 1e9), found.map((one) => one.earned)]
  const shown = (values: readonly number[]) => (values.length === 1 ? values[0]! : values.join(' + '))
  return { carried_gb: carried / 1e9, paid_gb: shown(paid), earned_dollars: shown(earned) }
}

async function audit(home: string, carried: number, hops: number): Promise<{ paid: number; earned: number }> {
  const content = await readJournal(realDisk(), homePaths(home).journal)
  const { totals, identityHolds } = ledgerOf(content?.records ?? [])
  const paid = Number(totals.up + totals.down)
  if (!identityHolds) throw new Error('the ledger of a provider does not add up')
  // Every hop but the exit carries the links of the next one, which are more bytes than they hold.
  const most = carried * (1 + UNCOUNTED_SHARE) * (1 + LAYER_SHARE) ** (hops - 1) + Number(MAX_WINDOW_BYTES)
  if (paid < carried - Number(MAX_WINDOW_BYTES) || paid > most) throw new Error(`${carried} bytes were carried, vouchers pay for ${paid}`)
  return { paid, earned: Number(totals.earned) / Number(DOLLAR) }
}
