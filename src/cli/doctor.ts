/** `byway doctor`: checks what a node needs and says, for each fault, its code and the fix. */
import { constants } from 'node:fs'
import { access, mkdir, statfs } from 'node:fs/promises'
import type { Command } from 'commander'
import { absentContracts, createRpc, type Network } from '../chain/index.ts'
import { folderDiscovery } from '../discovery/index.ts'
import { systemClock } from '../protocol/clock.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import { silent } from '../protocol/observe.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { type Finding, judge } from '../tunnel/netcheck/index.ts'
import { economyContracts } from './earnings.ts'
import { type NodeHome, readHomes } from './homes.ts'
import { measureNetwork } from './netcheck.ts'
import { clientFor, networkFor } from './network.ts'
import type { Output } from './output.ts'
import { type Env, loadSettings, type Settings } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'

type DoctorSettings = Settings<KeysOf<'doctor'>>['values']

/** The journal grows by about 400 bytes a voucher before it is compacted. */
const LEAST_FREE_BYTES = 100 * 1024 * 1024
/** Visited at once; more nodes than this say nothing new about this machine's own line. */
const MAX_VISITED = 8

export async function doctor(command: Command, env: Env, output: Output): Promise<void> {
  const { values: settings } = await loadSettings(command, keysOf('doctor'), env)
  const homes = await readHomes(command, keysOf('doctor'), env).catch(() => [] as NodeHome<KeysOf<'doctor'>>[]) // none yet: the settings alone are checked
  const findings: Finding[] = [await checkDisk(settings.home)]
  const worlds = homes.length === 0 ? [settings] : [...new Map(homes.map((home) => [home.settings.rpc.join(), home.settings])).values()]
  const offers = new Map<string, SignedOffer>()
  let chainAheadS: number | undefined
  for (const world of worlds) {
    const chain = await checkChain(world, homes[0])
    findings.push(chain.finding)
    chainAheadS ??= chain.aheadS
    const found = await folderDiscovery(world.offers, { clock: systemClock, observer: silent }).offers()
    findings.push(checkOffers(found.length, world.offers))
    for (const offer of found) offers.set(offer.body.nodeKey, offer)
  }
  const visited = [...offers.values()].toSorted(() => Math.random() - 0.5).slice(0, MAX_VISITED)
  findings.push(...judge({ ...(await measureNetwork(visited, homes, env)), chainAheadS }))
  output.result({ healthy: findings.every(({ level }) => level !== 'fault'), findings }, () => {
    for (const { level, check, detail, code, fix } of findings) {
      output.line(`${MARKS[level](output)}  ${check.padEnd(10)}  ${detail}`)
      if (code !== undefined) output.line(`      ${code}: ${fix}`)
    }
  })
  const fault = findings.find(({ level }) => level === 'fault')
  if (fault !== undefined) throw new BywayError(fault.code ?? 'INTERNAL', `${fault.check}: ${fault.detail}`, { hint: fault.fix ?? '' })
}

const MARKS: Readonly<Record<Finding['level'], (output: Output) => string>> = {
  ok: ({ style }) => style('green', 'ok  '),
  note: ({ style }) => style('yellow', 'note'),
  fault: ({ style }) => style('red', 'FAIL'),
}

async function checkDisk(home: string): Promise<Finding> {
  try {
    await mkdir(home, { recursive: true, mode: 0o700 })
    await access(home, constants.R_OK | constants.W_OK)
    const { bavail, bsize } = await statfs(home)
    const free = bavail * bsize
    const detail = `${home} is writable, ${Math.floor(free / 1024 / 1024)} MiB free`
    if (free >= LEAST_FREE_BYTES) return { check: 'disk', level: 'ok', detail }
    return {
      check: 'disk',
      level: 'fault',
      detail,
      code: 'DISK_FAILED',
      fix: 'Free some space: vouchers that cannot be written are not accepted.',
    }
  } catch (thrown) {
    return {
      check: 'disk',
      level: 'fault',
      detail: (thrown as Error).message,
      code: 'DISK_FAILED',
      fix: `Make ${home} writable, or name another --home.`,
    }
  }
}

async function checkChain(
  settings: DoctorSettings,
  home: NodeHome<KeysOf<'doctor'>> | undefined,
): Promise<{ finding: Finding; aheadS?: number }> {
  try {
    const network = networkFor(settings, home?.genesis)
    const client = clientFor(settings, network)
    await client.check()
    const aheadS = (await client.blockTime()) - Math.floor(systemClock.nowMs() / 1000)
    const detail = `chain ${network.chainId} answers, Channels at ${network.channels}`
    const absent = await absentOn(settings, network)
    if (absent.length > 0) {
      const fix = 'Name the file of this chain with --contracts.'
      return {
        finding: { check: 'chain', level: 'fault', detail: `not there: ${absent.join(', ')}`, code: 'CONTRACT_MISSING', fix },
        aheadS,
      }
    }
    return { finding: { check: 'chain', level: 'ok', detail }, aheadS }
  } catch (thrown) {
    const { message, code, hint = 'Check --rpc.' } = asBywayError(thrown)
    return { finding: { check: 'chain', level: 'fault', detail: message, code, fix: hint } }
  }
}

/** Contracts of the economy that are named and not there. A node that only buys or sells for dollars may do without naming any. */
async function absentOn(settings: DoctorSettings, network: Network): Promise<string[]> {
  const contracts = economyContracts(settings, network)
  return contracts === undefined ? [] : absentContracts(createRpc({ urls: settings.rpc, chainId: network.chainId }), contracts)
}

function checkOffers(count: number, folder: string): Finding {
  if (count > 0) return { check: 'offers', level: 'ok', detail: `${count} valid offers` }
  const fix = 'Name the folder of the exchange with --offers, or start a provider with `byway share`.'
  return { check: 'offers', level: 'fault', detail: `no valid offer in ${folder}`, code: 'NO_PROVIDER', fix }
}
