/** Measurements of the network and of this machine. Each has a limit in time and never throws for what it finds. */
import { generateKeyPairSync } from 'node:crypto'
import { promises as dns } from 'node:dns'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { MAX_DATA_BYTES } from '../../protocol/messages.ts'
import { createCertificate } from '../certificate.ts'
import { connectLink } from '../connect.ts'
import type { Link } from '../link.ts'
import { listenTls } from '../listen.ts'
import type { NodeSeen } from './judge.ts'

/** Three round trips on the worst line, and a lost packet each. */
const VISIT_LIMIT_MS = 5_000
const NAMES_LIMIT_MS = 2_000
/** Long enough for the code to be compiled and the rate to settle. */
const THROUGHPUT_MS = 400
const ANY_KEY = `0x${'00'.repeat(32)}` as const

/**
 * Visits a node like a browser: connects, shakes hands, asks for its page and reads the date of the answer. The hello is larger than one packet,
 * and so is the answer to it: a line that loses full packets shows here.
 */
export async function visitNode(
  name: string,
  { host, port }: { host: string; port: number },
  nowMs: () => number,
  limitMs = VISIT_LIMIT_MS,
): Promise<NodeSeen> {
  const limit = AbortSignal.timeout(limitMs)
  const started = performance.now()
  const socket = connectTcp({ host, port })
  try {
    await once(socket, 'connect', { signal: limit })
  } catch (thrown) {
    socket.destroy()
    return { name, outcome: (thrown as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'silent' }
  }
  const roundTripMs = performance.now() - started
  const { localAddress = '' } = socket
  const tls = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  try {
    await once(tls, 'secureConnect', { signal: limit })
    tls.write(`HEAD / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    const [head] = (await once(tls, 'data', { signal: limit })) as [Buffer]
    const date = Date.parse(/^date: (.*)$/im.exec(head.toString('latin1'))?.[1] ?? '')
    const aheadS = Number.isNaN(date) ? undefined : Math.round((date - nowMs()) / 1_000)
    return { name, outcome: 'answered', roundTripMs, localAddress, ...(aheadS === undefined ? {} : { aheadS }) }
  } catch {
    // Whatever was said, the connection was there; a limit that ran out means that nothing came back.
    return { name, outcome: limit.aborted ? 'stalled' : 'refused', roundTripMs }
  } finally {
    tls.on('error', () => {}).destroy()
  }
}

/** Asks the system's name servers for the root's: any answer will do. */
export async function answersNames(servers?: readonly string[]): Promise<{ answered: boolean; ms: number }> {
  const resolver = new dns.Resolver({ timeout: NAMES_LIMIT_MS, tries: 1 })
  if (servers !== undefined) resolver.setServers(servers)
  const started = performance.now()
  const answered = await resolver.resolveNs('.').then(
    () => true,
    // A server that says no has answered.
    ({ code }: NodeJS.ErrnoException) => code !== 'ETIMEOUT' && code !== 'ECONNREFUSED' && code !== 'ECANCELLED',
  )
  return { answered, ms: performance.now() - started }
}

/** Largest packet of the interface that has this address; Linux only. */
export function interfaceMtu(address: string): { name: string; bytes: number } | undefined {
  const found = Object.entries(networkInterfaces()).find(([, addresses]) => addresses?.some((entry) => entry.address === address))
  if (found === undefined) return undefined
  try {
    return { name: found[0], bytes: Number(readFileSync(`/sys/class/net/${found[0]}/mtu`, 'utf8')) }
  } catch {
    return undefined // another system: the other checks still tell
  }
}

/** Bits per second that a link from this machine to itself carries: both ends of the cryptography, none of the network. */
export async function pathThroughput(): Promise<number | undefined> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = await createCertificate(privateKey, new Date())
  // As this machine has it: one of the families may be missing.
  const host = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '127.0.0.1'))
    ? '127.0.0.1'
    : '::1'
  let received = 0
  const incoming = Promise.withResolvers<Link>()
  const listener = await listenTls({ host, port: 0, certificate, nodeKey: ANY_KEY, onFailure: () => {} }, incoming.resolve)
  try {
    const link = await connectLink({ kind: 'tls', host: listener.host, port: listener.port, pin: certificate.pin }, ANY_KEY)
    ;(await incoming.promise).listen({ onData: (chunk) => (received += chunk.length), onMessage: () => {}, onClose: () => {} })
    const over = delay(THROUGHPUT_MS).then(() => true)
    const started = performance.now()
    const chunk = Buffer.alloc(MAX_DATA_BYTES)
    let done = false
    void over.then(() => (done = true))
    while (!done) await new Promise<void>((resolve) => link.sendData(chunk, () => setImmediate(resolve)))
    const seconds = (performance.now() - started) / 1_000
    link.destroy()
    return (received * 8) / seconds
  } catch {
    return undefined // no loopback, or no descriptor left: the other checks say so
  } finally {
    await listener.close()
  }
}
