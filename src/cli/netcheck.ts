/** What `byway doctor` measures: nodes that are on offer, the daemons of this machine, and the machine itself. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { z } from 'zod'
import { callDaemon } from '../api/client.ts'
import { socketPath } from '../api/socket.ts'
import { systemClock } from '../protocol/clock.ts'
import { isRelay, type SignedOffer, shortKey } from '../protocol/offer.ts'
import { askHowSeen } from '../provider/reach/ask.ts'
import { connectLink } from '../tunnel/index.ts'
import {
  answersNames,
  interfaceMtu,
  type Measured,
  type NodeSeen,
  observeMapping,
  pathThroughput,
  visitNode,
} from '../tunnel/netcheck/index.ts'
import { defaultGateway, routerAddress } from '../tunnel/portmap/index.ts'
import type { NodeHome } from './homes.ts'
import type { Env } from './resolve.ts'

/** Opening a session and an association through several hops takes a few round trips. */
const ASSOCIATION_LIMIT_MS = 10_000

/** Two tell how a NAT maps, a third whether one of them is wrong. */
const OBSERVERS = 3
/** A router that speaks NAT-PMP answers at once; UPnP devices take up to three seconds. */
const ROUTER_LIMIT_MS = 5_000

/** What is read of a daemon's status here; older daemons say less. */
const runningNode = z.object({
  proxy: z.object({ host: z.string(), port: z.number() }).optional(),
  reach: z.object({ kind: z.enum(['open', 'mapped', 'tucked', 'unknown']) }).optional(),
})

export async function measureNetwork(
  offers: readonly SignedOffer[],
  homes: readonly NodeHome<never>[],
  env: Env,
): Promise<Omit<Measured, 'chainAheadS'>> {
  const running = await Promise.all(homes.map(({ paths }) => statusOf(socketPath(paths.home, env))))
  const proxy = running.find((node) => node?.proxy !== undefined)?.proxy
  const [nodes, mapping, router, names, association] = await Promise.all([
    Promise.all(offers.flatMap(visit)),
    observeMapping(offers.filter(isRelay).slice(0, OBSERVERS).map(observer)),
    outerAddress(),
    answersNames(),
    proxy === undefined ? undefined : tryAssociation(proxy),
  ])
  // Last: it keeps a core busy, and what is measured beside it would look slow.
  const bitsPerSecond = await pathThroughput()
  const local = nodes.find(({ localAddress }) => localAddress !== undefined)?.localAddress
  return {
    nodes,
    names,
    association,
    bitsPerSecond,
    mapping,
    router,
    reach: running.find((node) => node?.reach !== undefined)?.reach?.kind,
    mtu: local === undefined ? undefined : interfaceMtu(local),
  }
}

function visit({ body }: SignedOffer): Promise<NodeSeen>[] {
  const direct = body.transports.find(({ kind }) => kind === 'tls')
  return direct === undefined ? [] : [visitNode(shortKey(body.nodeKey), direct, () => systemClock.nowMs())]
}

/** Asks a relay how it sees the connection it is asked over. */
function observer({ body }: SignedOffer): Parameters<typeof observeMapping>[0][number] {
  const transport = body.transports.find(({ kind }) => kind === 'tls')!
  return {
    ...transport,
    ask: async (carrier, signal) => {
      const link = await connectLink(transport, body.nodeKey, { carrier, signal })
      // Only the address is asked for: whether our port is reached a running provider finds out by itself.
      return askHowSeen(link, { nodeKey: body.nodeKey, port: 0, pin: transport.pin })
    },
  }
}

/** What the home's router says of itself. Linux only: elsewhere nobody says which router it is. */
async function outerAddress(): Promise<string | undefined> {
  const gateway = defaultGateway(await readFile('/proc/net/route', 'utf8').catch(() => ''))
  return gateway === undefined ? undefined : routerAddress(gateway, AbortSignal.timeout(ROUTER_LIMIT_MS))
}

async function statusOf(path: string) {
  try {
    return runningNode.parse(await callDaemon(path, 'GET /v1/status'))
  } catch {
    return undefined // not running, or of another version: the network is measured without it
  }
}

/** Asks the proxy for an association and gives it up again: no datagram is sent, so nothing is paid. */
async function tryAssociation({ host, port }: { host: string; port: number }): Promise<NonNullable<Measured['association']>> {
  const signal = AbortSignal.timeout(ASSOCIATION_LIMIT_MS)
  const started = performance.now()
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect', { signal })
    socket.write(Buffer.from([5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]))
    let answer = Buffer.alloc(0)
    while (answer.length < 4) answer = Buffer.concat([answer, ((await once(socket, 'data', { signal })) as [Buffer])[0]])
    const reply = answer[3]!
    if (reply === 0) return { ok: true, ms: performance.now() - started }
    return { ok: false, why: `the proxy refused an association (reply ${reply})` }
  } catch {
    return { ok: false, why: 'the proxy did not open an association in time' }
  } finally {
    socket.destroy()
  }
}
