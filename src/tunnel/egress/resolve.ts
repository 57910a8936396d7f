/**
 * Names to addresses, asked of the exit's own name servers.
 *
 * Node's `dns.lookup` would be wrong here three times: it runs in the four threads that also write vouchers to disk, so slow names would
 * hold up payment; it reads the owner's hosts file; and it tries the owner's search domains. This one only sends DNS queries.
 */
import { promises as dns } from 'node:dns'
import { BywayError } from '../../protocol/errors.ts'

/** Every address a name has, in any order. Throws DNS_FAILED. */
export type Lookup = (host: string, signal: AbortSignal) => Promise<readonly string[]>

/** One try of one server; a healthy resolver answers in tens of milliseconds. */
const TRY_MS = 2_000
/** With two tries a lost packet costs two seconds and the whole look-up stays well inside the dial's ten. */
const TRIES = 2
/** The servers are read from the system again after this time, so that a laptop that changed networks keeps resolving. */
const SERVERS_AGE_MS = 30_000

/** `servers` overrides the system's, for tests: `127.0.0.1:5353`. */
export function dnsLookup(nowMs: () => number, servers?: readonly string[]): Lookup {
  let resolver: dns.Resolver | undefined
  let madeAtMs = 0
  return async (host) => {
    if (resolver === undefined || nowMs() - madeAtMs > SERVERS_AGE_MS) {
      resolver = new dns.Resolver({ timeout: TRY_MS, tries: TRIES })
      if (servers !== undefined) resolver.setServers(servers)
      madeAtMs = nowMs()
    }
    const [six, four] = await Promise.allSettled([resolver.resolve6(host), resolver.resolve4(host)])
    const addresses = [six, four].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (addresses.length > 0) return addresses
    const cause: unknown = four.status === 'rejected' ? four.reason : undefined
    throw new BywayError('DNS_FAILED', 'the name has no address', { cause, hint: 'Check the spelling of the host name.' })
  }
}
