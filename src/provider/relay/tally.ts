/** Counts by key, for limits: nothing is kept of a key whose count is back at zero. */
export class Tally<K> {
  readonly #counts = new Map<K, number>()
  total = 0

  of(key: K): number {
    return this.#counts.get(key) ?? 0
  }

  add(key: K, by: 1 | -1): void {
    const count = this.of(key) + by
    this.total += by
    if (count === 0) this.#counts.delete(key)
    else this.#counts.set(key, count)
  }
}

/** What limits by address count as one: an IPv4 address, or the /64 that one household has of IPv6. */
export function household(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address.replace(/^::ffff:/, '')
  const [head = '', tail = ''] = address.split('::')
  const left = head.split(':')
  const missing = address.includes('::') ? 8 - left.length - (tail === '' ? 0 : tail.split(':').length) : 0
  return [...left, ...Array<string>(Math.max(missing, 0)).fill('0')].slice(0, 4).join(':')
}
