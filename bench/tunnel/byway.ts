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
import type { Running } from './systems.ts'

/** Dollars per GiB, as `npm start` asks. */
const PRICE = '0.10'
/** Dollars behind each provider: for ten thousand GiB, so that no run ends in the middle of a move to another channel. */
const CAP = 1_000n
/** Single bytes of connection tests are not counted as carried; this share is more than they ever make. */
const UNCOUNTED_SHARE = 0.001

export interface BywayOptions {
  /** Providers on the way, the exit included. */
  hops: 1
  /** For the daemons, beside what this process has. */
  env?: Readonly<Record<string, string>>
}

export interface Byway extends Running {
  provider: Child
  consumer: Child
}

export async function startByway(folder: string, { hops, env = {} }: BywayOptions): Promise<Byway> {
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
    const exit = { country: 'de', price: PRICE, host: '127.0.0.1', port: 0, policy: 'open', allowPrivate: ['127.0.0.0/8'] }
    const provider = await start('provider', 'share', exit)
    await fundDevnet(anvil.rpc, contracts.dollar, provider.ready.wallet, { ether: ETHER })
    const money = { deposit: `${CAP * BigInt(hops)}`, capPerProvider: `${CAP}` }
    const consumer = await start('consumer', 'connect', { proxyPort: 0, ...money })
    await fundDevnet(anvil.rpc, contracts.dollar, consumer.ready.wallet, { ether: ETHER, dollars: CAP * BigInt(hops) * DOLLAR })
    const sides = nodes.map(({ pid }) => pid)
    return {
      provider,
      consumer,
      proxy: { port: consumer.ready.proxy!.port },
      pids: [...sides, anvil.pid],
      sides,
      audit: (carried) => audit(provider.ready.home, carried),
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

/** What the load carried was paid for: the provider's journal holds vouchers for all of it but the last window. */
async function audit(home: string, carried: number): Promise<Record<string, string | number>> {
  const content = await readJournal(realDisk(), homePaths(home).journal)
  const { totals, identityHolds } = ledgerOf(content?.records ?? [])
  const paid = Number(totals.up + totals.down)
  if (!identityHolds) throw new Error('the ledger of the provider does not add up')
  if (paid < carried - Number(MAX_WINDOW_BYTES) || paid > carried * (1 + UNCOUNTED_SHARE)) {
    throw new Error(`${carried} bytes were carried, vouchers pay for ${paid}`)
  }
  return { carried_gb: carried / 1e9, paid_gb: paid / 1e9, earned_dollars: Number(totals.earned) / Number(DOLLAR) }
}
