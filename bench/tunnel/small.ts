/** The smallest machine Byway is meant for, and what the processor itself can encrypt. */
import { execFileSync } from 'node:child_process'
import { type Cage, cage } from './cage.ts'
import type { Path } from './jobs.ts'
import type { Load } from './load.ts'
import { programPath } from './processes.ts'

/** A Raspberry Pi 4, as seen from a core of a server: a quarter of it for each side, and the memory of the small model's half. */
const SHARE = { cores: 0.25, bytes: 512 * 1024 * 1024 }
/** A fast home line. */
export const SMALL_GOAL_MBPS = 100
const LOAD = { flows: 4, warmMs: 3_000, windowMs: 8_000 } as const

export interface Small {
  mbps_down: number
  mbps_up: number
  /** Of the side that had more. */
  peak_mb: number
  /** What held the daemons to their share. */
  how: string
}

/** Bulk through the daemons `sides`, each in a cage of its own. Throws where there are no control groups we may write. */
export async function runSmall(load: Load, path: Path, sides: readonly number[]): Promise<Small> {
  const cages: Cage[] = []
  try {
    for (const [i, pid] of sides.entries()) cages.push(cage(`side-${i}`, pid, SHARE))
    const rates: number[] = []
    for (const direction of ['down', 'up'] as const) {
      const { bytes, seconds } = await load.run({ kind: 'bulk', path, direction, ...LOAD })
      rates.push(Math.round((bytes * 8) / seconds / 1e6))
    }
    const held = cages.map((one) => one.throttled().times)
    const peak = Math.round(Math.max(...cages.map((one) => one.peakBytes())) / 1e6)
    const how = `${cages[0]!.how}: ${SHARE.cores} of a core and ${SHARE.bytes / 2 ** 20} MiB each, held back ${held.join(' and ')} times`
    return { mbps_down: rates[0]!, mbps_up: rates[1]!, peak_mb: peak, how }
  } finally {
    for (const one of cages) one.open()
  }
}

/** AES-256-GCM in records of TLS, one core, by `openssl speed`: the limit of whatever encrypts. Undefined where there is no openssl. */
export function gcmGigabytes(): number | undefined {
  const path = programPath('openssl')
  if (path === undefined) return undefined
  const args = ['speed', '-elapsed', '-seconds', '1', '-bytes', '16384', '-evp', 'aes-256-gcm']
  const text = execFileSync(path, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const thousands = /^AES-256-GCM\s+([\d.]+)k/m.exec(text)?.[1]
  return thousands === undefined ? undefined : Number((Number(thousands) / 1e6).toPrecision(3))
}
