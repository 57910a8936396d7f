/** How much one asker may ask: a bucket that fills with time. */
import { isIPv6 } from 'node:net'
import type { Clock } from '../../protocol/clock.ts'

/** A page of ours takes eight requests, a script that walks through a list ten a second. */
const PER_SECOND = 20
const BURST = 100
/** Buckets at once; a full one is as good as none, so the oldest go. */
const MOST = 20_000

export interface Limiter {
  /** Takes one from the asker's bucket: 0, or the seconds until there is one again. */
  waitS(asker: string): number
}

export function limiter(clock: Clock): Limiter {
  const buckets = new Map<string, { left: number; atMs: number }>()
  return {
    waitS(asker) {
      const nowMs = clock.nowMs()
      const before = buckets.get(asker) ?? { left: BURST, atMs: nowMs }
      // A clock that was set back fills nothing.
      const left = Math.min(BURST, before.left + (Math.max(0, nowMs - before.atMs) / 1_000) * PER_SECOND)
      buckets.delete(asker)
      buckets.set(asker, { left: left >= 1 ? left - 1 : left, atMs: nowMs })
      for (const oldest of buckets.keys()) {
        if (buckets.size <= MOST) break
        buckets.delete(oldest)
      }
      return left >= 1 ? 0 : Math.ceil((1 - left) / PER_SECOND)
    },
  }
}

/**
 * Who asks, by the address of the connection: one household has one IPv4 address or one /64. Undefined for this machine itself, where a reverse
 * proxy stands that limits its own askers.
 */
export function askerOfAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  if (plain === '::1' || plain.startsWith('127.')) return undefined
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const left = head.split(':').filter((part) => part !== '')
  const right = (tail ?? '').split(':').filter((part) => part !== '')
  const groups = tail === undefined ? left : [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right]
  return groups.slice(0, 4).join(':')
}
