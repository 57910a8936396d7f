/** `byway doctor`: checks what a node needs and says, for each fault, its code and the fix. */
import { constants } from 'node:fs'
import { access, mkdir, statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Command } from 'commander'
import { folderDiscovery } from '../discovery/index.ts'
import { systemClock } from '../protocol/clock.ts'
import { asBywayError, BywayError, type ErrorCode } from '../protocol/errors.ts'
import { silent } from '../protocol/observe.ts'
import { type NodeHome, readHomes } from './homes.ts'
import { clientFor, networkFor } from './network.ts'
import type { Output } from './output.ts'
import { type Env, loadSettings, type Settings } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'

type DoctorSettings = Settings<KeysOf<'doctor'>>['values']

interface Finding {
  check: string
  ok: boolean
  detail: string
  code?: ErrorCode
  fix?: string
}

/** Vouchers live off the chain's clock only at expiry; an hour apart is a fault somewhere. */
const CLOCK_SLACK_S = 3_600
/** The journal grows by about 400 bytes a voucher before it is compacted. */
const LEAST_FREE_BYTES = 100 * 1024 * 1024
const DIAL_TIMEOUT_MS = 3_000

export async function doctor(command: Command, env: Env, output: Output): Promise<void> {
  const { values: settings } = await loadSettings(command, keysOf('doctor'), env)
  const homes = await readHomes(command, keysOf('doctor'), env).catch(() => [] as NodeHome<KeysOf<'doctor'>>[]) // none yet: the settings alone are checked
  const findings: Finding[] = [await checkDisk(settings.home)]
  const worlds = homes.length === 0 ? [settings] : [...new Map(homes.map((home) => [home.settings.rpc.join(), home.settings])).values()]
  for (const world of worlds) {
    findings.push(await checkChain(world, homes[0]))
    findings.push(...(await checkOffers(world)))
  }
  output.result({ healthy: findings.every(({ ok }) => ok), findings }, () => {
    for (const { ok, check, detail, code, fix } of findings) {
      output.line(`${ok ? output.style('green', 'ok  ') : output.style('red', 'FAIL')}  ${check.padEnd(10)}  ${detail}`)
      if (!ok) output.line(`      ${code}: ${fix}`)
    }
  })
  const fault = findings.find(({ ok }) => !ok)
  if (fault !== undefined) throw new BywayError(fault.code ?? 'INTERNAL', `${fault.check}: ${fault.detail}`, { hint: fault.fix ?? '' })
}

async function checkDisk(home: string): Promise<Finding> {
  try {
    await mkdir(home, { recursive: true, mode: 0o700 })
    await access(home, constants.R_OK | constants.W_OK)
    const { bavail, bsize } = await statfs(home)
    const free = bavail * bsize
    const detail = `${home} is writable, ${Math.floor(free / 1024 / 1024)} MiB free`
    if (free >= LEAST_FREE_BYTES) return { check: 'disk', ok: true, detail }
    return {
      check: 'disk',
      ok: false,
      detail,
      code: 'DISK_FAILED',
      fix: 'Free some space: vouchers that cannot be written are not accepted.',
    }
  } catch (thrown) {
    return {
      check: 'disk',
      ok: false,
      detail: (thrown as Error).message,
      code: 'DISK_FAILED',
      fix: `Make ${home} writable, or name another --home.`,
    }
  }
}

async function checkChain(settings: DoctorSettings, home: NodeHome<KeysOf<'doctor'>> | undefined): Promise<Finding> {
  try {
    const network = networkFor(settings, home?.genesis)
    const client = clientFor(settings, network)
    await client.check()
    const ahead = (await client.blockTime()) - Math.floor(systemClock.nowMs() / 1000)
    const detail = `chain ${network.chainId} answers, Channels at ${network.channels}`
    if (ahead <= CLOCK_SLACK_S) return { check: 'chain', ok: true, detail }
    const fix = 'Set this machine’s clock: the newest block is from its future, and channels would be used past their expiry.'
    return { check: 'clock', ok: false, detail: `this clock is ${ahead} s behind the chain`, code: 'ROOT_EXPIRED', fix }
  } catch (thrown) {
    const error = asBywayError(thrown)
    return { check: 'chain', ok: false, detail: error.message, code: error.code, fix: error.hint ?? 'Check --rpc.' }
  }
}

async function checkOffers(settings: DoctorSettings): Promise<Finding[]> {
  const discovery = folderDiscovery(settings.offers, { clock: systemClock, observer: silent })
  const offers = await discovery.offers()
  if (offers.length === 0) {
    const fix = 'Name the folder of the exchange with --offers, or start a provider with `byway share`.'
    return [{ check: 'offers', ok: false, detail: `no valid offer in ${settings.offers}`, code: 'NO_PROVIDER', fix }]
  }
  const reached = await Promise.all(offers.map(({ body }) => reachable(body.transports[0]!)))
  const open = reached.filter((ok) => ok).length
  const detail = `${offers.length} valid offers, ${open} reachable`
  if (open > 0) return [{ check: 'offers', ok: true, detail }]
  return [
    { check: 'offers', ok: false, detail, code: 'PROVIDER_UNREACHABLE', fix: 'No provider accepts a connection: is the exchange running?' },
  ]
}

function reachable({ host, port }: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: DIAL_TIMEOUT_MS })
    const end = (ok: boolean) => () => {
      socket.destroy()
      resolve(ok)
    }
    socket.once('connect', end(true))
    socket.once('error', end(false))
    socket.once('timeout', end(false))
  })
}
