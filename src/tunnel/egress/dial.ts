/**
 * Egress: the only place where an exit opens a connection for a guest.
 *
 * The rule it keeps: resolve once, check every address, connect to exactly a checked address. No name is ever resolved twice, so an answer
 * that changes between check and connect (DNS rebinding) changes nothing. Ports are judged by policy.ts, addresses by address.ts.
 *
 * Start reading at {@link createEgress}.
 */
import { connect as netConnect, type Socket } from 'node:net'
import type { Hex } from '../../protocol/bytes.ts'
import { type Destination, isReserved } from '../../protocol/destination.ts'
import { BywayError, type ErrorCode } from '../../protocol/errors.ts'
import { type Observer, silent } from '../../protocol/observe.ts'
import type { Tier } from '../../protocol/offer.ts'
import { blockedReason, type Cidr } from './address.ts'
import { policyHash, portAllowed } from './policy.ts'
import { dnsLookup, type Lookup } from './resolve.ts'

/** Resolving and connecting together. Browsers give up after 20 to 120 s; people and scrapers retry elsewhere long before. */
export const DIAL_TIMEOUT_MS = 10_000
/** How long the next address waits for the one before (RFC 8305, "Connection Attempt Delay"). */
const ATTEMPT_DELAY_MS = 250
/** A name with more addresses than this gains nothing from more attempts, and must not turn one request into a scan. */
const MAX_ADDRESSES = 8

/** Starts connecting to an address (never a name). */
export type Connect = (address: string, port: number) => Socket

export interface EgressNeeds {
  /** Addresses of this machine and its networks, asked anew for each flow: see own.ts. */
  ownAddresses: () => readonly Cidr[]
  /** Which ports guests may use. */
  tier: Tier
}

export interface EgressOptions {
  lookup?: Lookup
  connect?: Connect
  /** Ports this node listens on: not reachable at its own addresses even where `allowPrivate` opens those. */
  ownPorts?: () => readonly number[]
  /** Ranges a guest may reach although they are private. For tests and benchmarks. */
  allowPrivate?: readonly Cidr[]
  /** Ranges in which the next hop of a route may be although they are private: an exchange on one machine has no others. */
  allowPrivateNodes?: readonly Cidr[]
  observer?: Observer
  timeoutMs?: number
  attemptDelayMs?: number
}

export interface Egress {
  /** What an offer of this exit states. */
  readonly policyHash: Hex
  /**
   * A connected socket (half-open allowed, no delay), or a BywayError: DESTINATION_BLOCKED, PORT_BLOCKED, DNS_FAILED, or how connecting
   * failed. An aborted dial rejects with the signal's reason.
   */
  dial(destination: Destination, signal: AbortSignal): Promise<Socket>
  /** What `dial` would connect to, in the order it would try: resolved and checked. Whoever asks connects to exactly these, now. */
  addresses(destination: Destination, signal: AbortSignal): Promise<readonly string[]>
  /** The same for the next hop of a route: nodes listen on any port that the widest tier serves, whatever guests may use here. */
  dialNode(destination: Destination, signal: AbortSignal): Promise<Socket>
  /** Whether a node at this address could be dialled. */
  mayReachNode(address: string): boolean
}

/** What a connection is for: a guest's destination, or the next hop of a route. */
interface Purpose {
  tier: Tier
  allowPrivate: readonly Cidr[]
}

export function createEgress({ ownAddresses, tier }: EgressNeeds, options: EgressOptions = {}): Egress {
  const { ownPorts = () => [], allowPrivate = [], allowPrivateNodes = [], observer = silent } = options
  const { timeoutMs = DIAL_TIMEOUT_MS, attemptDelayMs = ATTEMPT_DELAY_MS } = options
  const { lookup = dnsLookup(() => performance.now()), connect = connectTo } = options
  if (allowPrivate.length > 0) observer.warn('PRIVATE_DESTINATIONS_ALLOWED', { ranges: allowPrivate.length })

  async function dial(destination: Destination, signal: AbortSignal, purpose: Purpose): Promise<Socket> {
    return within(signal, async (limit) => connectFirst(await check(destination, limit, purpose), destination.port, limit))
  }

  /** Policy and names: the addresses that may be connected to. */
  async function check(destination: Destination, limit: AbortSignal, purpose: Purpose): Promise<readonly string[]> {
    if (!portAllowed(purpose.tier, destination.port)) {
      throw refuse(
        'PORT_BLOCKED',
        `the exit does not serve port ${destination.port}`,
        'Port 25 is closed everywhere; others depend on the exit.',
      )
    }
    if (isReserved(destination)) throw refuse('DESTINATION_BLOCKED', 'the name is reserved and never resolved', NOT_PUBLIC)
    return allowed(await resolve(destination, limit), destination.port, purpose)
  }

  async function within<T>(signal: AbortSignal, work: (limit: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(TIMED_OUT), timeoutMs)
    try {
      return await work(AbortSignal.any([signal, deadline.signal]))
    } finally {
      clearTimeout(timer)
    }
  }

  async function resolve(destination: Destination, limit: AbortSignal): Promise<readonly string[]> {
    if (destination.kind === 'ip') return [destination.host]
    // RFC 6761: these names mean the machine itself and are never asked of a server.
    if (destination.host === 'localhost' || destination.host.endsWith('.localhost')) return ['127.0.0.1', '::1']
    const found = lookup(destination.host, limit).catch((error: unknown) => {
      throw error instanceof BywayError ? error : new BywayError('DNS_FAILED', 'the name was not resolved', { cause: error })
    })
    const aborted = Promise.withResolvers<never>()
    const onAbort = () =>
      aborted.reject(limit.reason === TIMED_OUT ? new BywayError('DNS_FAILED', 'the name was not resolved in time') : limit.reason)
    limit.addEventListener('abort', onAbort)
    try {
      return await Promise.race([found, aborted.promise])
    } finally {
      limit.removeEventListener('abort', onAbort)
    }
  }

  /** The addresses a flow may use, the families taking turns. A name with both public and private ones keeps its public ones. */
  function allowed(addresses: readonly string[], port: number, purpose: Purpose): readonly string[] {
    const rules = { own: ownAddresses(), allowPrivate: ownPorts().includes(port) ? [] : purpose.allowPrivate }
    const reasons = addresses.map((address) => blockedReason(address, rules))
    const usable = addresses.filter((_, i) => reasons[i] === undefined)
    if (usable.length === 0) {
      throw refuse('DESTINATION_BLOCKED', `the exit does not connect to such addresses (${reasons[0] ?? 'none given'})`, NOT_PUBLIC)
    }
    return alternate(usable).slice(0, MAX_ADDRESSES)
  }

  /** Starts with the first address and goes on to the next when it fails or hesitates; the first connection wins (RFC 8305). */
  function connectFirst(addresses: readonly string[], port: number, limit: AbortSignal): Promise<Socket> {
    const { promise, resolve: win, reject } = Promise.withResolvers<Socket>()
    const pending = new Set<Socket>()
    const failures: BywayError[] = []
    let tried = 0
    let timer: NodeJS.Timeout | undefined
    const finish = () => {
      clearTimeout(timer)
      limit.removeEventListener('abort', onAbort)
      tried = addresses.length
      for (const socket of pending) socket.destroy()
    }
    const onAbort = () => {
      finish()
      reject(limit.reason === TIMED_OUT ? new BywayError('CONNECTION_TIMEOUT', 'the destination did not answer in time') : limit.reason)
    }
    const tryNext = () => {
      clearTimeout(timer)
      const address = addresses[tried++]
      if (address === undefined) return
      const socket = connect(address, port)
      pending.add(socket)
      // Stays for the life of the socket: an error before the owner listens must not end the process, and `close` reports it as well.
      socket.on('error', (error) => {
        if (!pending.delete(socket)) return
        failures.push(connectError(error))
        if (tried < addresses.length) tryNext()
        else if (pending.size === 0) {
          finish()
          reject(mostTelling(failures))
        }
      })
      socket.once('connect', () => {
        if (!pending.delete(socket)) return
        finish()
        win(socket)
      })
      if (tried < addresses.length) timer = setTimeout(tryNext, attemptDelayMs)
    }
    if (limit.aborted) onAbort()
    else {
      limit.addEventListener('abort', onAbort)
      tryNext()
    }
    return promise
  }

  function refuse(code: 'DESTINATION_BLOCKED' | 'PORT_BLOCKED', message: string, hint: string): BywayError {
    observer.count('blocked', 1, { reason: code })
    return new BywayError(code, message, { hint })
  }

  return {
    policyHash: policyHash(tier),
    dial: (destination, signal) => dial(destination, signal, { tier, allowPrivate }),
    addresses: (destination, signal) => within(signal, (limit) => check(destination, limit, { tier, allowPrivate })),
    dialNode: (destination, signal) => dial(destination, signal, { tier: 'open', allowPrivate: allowPrivateNodes }),
    mayReachNode: (address) => blockedReason(address, { own: ownAddresses(), allowPrivate: allowPrivateNodes }) === undefined,
  }
}

const NOT_PUBLIC = 'Exits reach public addresses only.'

/** Reason of the dial's own deadline, told apart from the caller's abort. */
const TIMED_OUT = Symbol('timed out')

function connectTo(address: string, port: number): Socket {
  return netConnect({ host: address, port, allowHalfOpen: true, noDelay: true, autoSelectFamily: false })
}

/** IPv6 and IPv4 in turns, IPv6 first: a family that is broken here costs one attempt, not all of them. */
function alternate(addresses: readonly string[]): readonly string[] {
  const six = addresses.filter((address) => address.includes(':'))
  const four = addresses.filter((address) => !address.includes(':'))
  return Array.from({ length: Math.max(six.length, four.length) }, (_, i) => [six[i], four[i]])
    .flat()
    .filter((address) => address !== undefined)
}

const ERRNO: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'CONNECTION_REFUSED',
  ECONNRESET: 'CONNECTION_RESET',
  ETIMEDOUT: 'CONNECTION_TIMEOUT',
  EHOSTUNREACH: 'HOST_UNREACHABLE',
  EHOSTDOWN: 'HOST_UNREACHABLE',
  EACCES: 'HOST_UNREACHABLE', // a local firewall said no
  EPERM: 'HOST_UNREACHABLE',
  ENETUNREACH: 'NETWORK_UNREACHABLE',
  ENETDOWN: 'NETWORK_UNREACHABLE',
  EADDRNOTAVAIL: 'NETWORK_UNREACHABLE',
  EAFNOSUPPORT: 'NETWORK_UNREACHABLE',
  EMFILE: 'PROVIDER_BUSY', // out of descriptors, ports or memory: the exit's trouble, not the destination's
  ENFILE: 'PROVIDER_BUSY',
  ENOBUFS: 'PROVIDER_BUSY',
  ENOMEM: 'PROVIDER_BUSY',
}

const WORDS: Partial<Record<ErrorCode, string>> = {
  CONNECTION_REFUSED: 'the destination refused the connection',
  CONNECTION_RESET: 'the destination reset the connection',
  CONNECTION_TIMEOUT: 'the destination did not answer in time',
  NETWORK_UNREACHABLE: 'the exit has no route to the destination',
  PROVIDER_BUSY: 'the exit has no room for another connection',
}

/** What the system said about a failed connect, as an error code. The original is the cause; its text names the address, ours does not. */
export function connectError(error: Error): BywayError {
  const code = ERRNO[(error as NodeJS.ErrnoException).code ?? ''] ?? 'HOST_UNREACHABLE'
  return new BywayError(code, WORDS[code] ?? 'the destination cannot be reached', { cause: error })
}

/** Of several failed attempts the one that says most about the destination: an answer beats silence, silence beats a missing route. */
const TELLING: readonly ErrorCode[] = ['PROVIDER_BUSY', 'CONNECTION_REFUSED', 'CONNECTION_RESET', 'CONNECTION_TIMEOUT', 'HOST_UNREACHABLE']

export function mostTelling(failures: readonly BywayError[]): BywayError {
  const ranked = TELLING.flatMap((code) => failures.filter((failure) => failure.code === code))
  return ranked[0] ?? failures[0]!
}
