/**
 * A table of autonomous systems, as the free ones come: a line for each range, with its first address, its last, and the number (tab-separated,
 * what follows is ignored; iptoasn.com's `ip2asn-v4.tsv` is one). IPv4: behind IPv6 addresses the /32 stands for the operator.
 *
 * Half a million ranges are held in six megabytes.
 */
import { isIPv4 } from 'node:net'

/** More lines are not read: the whole internet has half as many ranges. */
const MAX_RANGES = 1_000_000

export function asnTable(text: string): (ip: string) => number | undefined {
  const rows: [number, number, number][] = []
  for (const line of text.split('\n')) {
    const [first = '', last = '', asn = ''] = line.split('\t')
    // Number 0 is what such tables say of ranges nobody announces.
    if (!isIPv4(first) || !isIPv4(last) || !/^\d{1,10}$/.test(asn) || asn === '0') continue
    rows.push([numberOf(first), numberOf(last), Number(asn)])
    if (rows.length === MAX_RANGES) break
  }
  rows.sort((a, b) => a[0] - b[0])
  const [firsts, lasts, asns] = [0, 1, 2].map((column) => Uint32Array.from(rows, (row) => row[column]!)) as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ]
  return (ip) => {
    if (!isIPv4(ip)) return undefined
    const value = numberOf(ip)
    let [low, high] = [0, firsts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (firsts[middle]! <= value) low = middle + 1
      else high = middle
    }
    return low > 0 && value <= lasts[low - 1]! ? asns[low - 1] : undefined
  }
}

const numberOf = (ip: string) => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
