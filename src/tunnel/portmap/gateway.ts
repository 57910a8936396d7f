/** The default gateway, as Linux tells it in /proc/net/route. Pure: the text is passed in. */

/** RTF_UP and RTF_GATEWAY: the route works, and leads through a router. */
const UP_THROUGH_GATEWAY = 0x3
/** A machine with more routes than this has its default among the first all the same. */
const MAX_LINES = 4_096

/** IPv4 address of the default gateway with the lowest metric, or undefined. */
export function defaultGateway(routes: string): string | undefined {
  let best: { gateway: string; metric: number } | undefined
  for (const line of routes.split('\n', MAX_LINES).slice(1)) {
    const [, destination, gateway, flags, , , metric, mask] = line.trim().split(/\s+/, 8)
    if (destination !== '00000000' || mask !== '00000000' || gateway === undefined || !/^[0-9a-f]{8}$/i.test(gateway)) continue
    if ((Number.parseInt(flags ?? '', 16) & UP_THROUGH_GATEWAY) !== UP_THROUGH_GATEWAY) continue
    const cost = Number(metric)
    // The kernel writes the address as the machine keeps it in memory: the last byte first on every machine Node 26 runs on.
    const address = Buffer.from(gateway, 'hex').reverse().join('.')
    if (best === undefined || cost < best.metric) best = { gateway: address, metric: cost }
  }
  return best?.gateway
}
