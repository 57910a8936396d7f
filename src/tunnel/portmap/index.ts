/**
 * Port mapping: asks the home's router to forward one port, by PCP (RFC 6887), NAT-PMP (RFC 6886) or UPnP IGD, whichever it speaks.
 *
 * The rule it keeps: a router is a stranger. What it sends is bounded, read once, and believed only about itself; a mapping counts only if the
 * router's own outer address is public. What was mapped is renewed at half its life and taken away when we leave.
 *
 * Start reading at {@link keepMapped}; then mappers.ts (the three ways), pcp.ts and natpmp.ts (packets), ssdp.ts and igd.ts (UPnP).
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Observer } from '../../protocol/observe.ts'
import { MAPPERS, mapAnyWay } from './mappers.ts'
import type { Mapper, Mapping, MappingFailure, MappingRequest } from './mapping.ts'

export { defaultGateway } from './gateway.ts'
export { routerAddress } from './mappers.ts'
export type { Mapper, Mapping } from './mapping.ts'

/** A router that restarts forgets us; so long we are then unreachable at most, and a packet every ten minutes is nothing. */
const LIFETIME_S = 1_200
/** A router may grant less, but must not make us ask without end. */
const LEAST_WAIT_MS = 30_000
/** Nothing mapped: routers change rarely, but somebody may just have switched the feature on, or moved the laptop. */
const FIRST_RETRY_MS = 60_000
const LAST_RETRY_MS = 1_800_000
/** Leaving must not hang on a router that is gone. */
const REMOVE_TIMEOUT_MS = 2_000

export interface PortMapNeeds {
  /** The port that is listened on. */
  port: number
  /** Address of the default gateway now, or undefined without one. */
  gateway(): Promise<string | undefined>
  /** Whether the internet can reach this address. */
  isPublic(address: string): boolean
  /** Called when there is a mapping, another one, or none any more. */
  onChange(mapping: Mapping | undefined): void
  observer: Observer
  map?: Mapper
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>
  nowMs?: () => number
}

export interface PortMap {
  current(): Mapping | undefined
  /** Takes the mapping away. */
  close(): Promise<void>
}

/** Keeps `port` mapped from now on. Never throws: a home without such a router is the usual case, and a warning says what to do. */
export function keepMapped(needs: PortMapNeeds): PortMap {
  const { map = mapAnyWay, sleep = pause, nowMs = () => performance.now() } = needs
  const leaving = new AbortController()
  const nonce = randomBytes(12)
  let held: { mapping: Mapping; gateway: string; untilMs: number } | undefined
  let retryMs = FIRST_RETRY_MS

  const requestOf = (gateway: string, lifetimeS: number): MappingRequest => ({
    gateway,
    internalPort: needs.port,
    externalPort: held?.mapping.externalPort ?? needs.port,
    lifetimeS,
    nonce,
  })

  function hold(next: typeof held): void {
    const before = held?.mapping
    held = next
    const after = next?.mapping
    const same = before?.externalAddress === after?.externalAddress && before?.externalPort === after?.externalPort
    if (!same) needs.onChange(after)
  }

  /** Asks once; returns how long to wait before the next time. */
  async function renew(): Promise<number> {
    const gateway = await needs.gateway()
    if (gateway === undefined) return without('no-gateway')
    const askedAtMs = nowMs()
    const result = await map(requestOf(gateway, LIFETIME_S), leaving.signal)
    if (leaving.signal.aborted && !result.ok) return 0
    if (!result.ok) return without(result.reason)
    const lifetimeS = Math.min(result.mapping.lifetimeS, LIFETIME_S)
    const next = { mapping: { ...result.mapping, lifetimeS }, gateway, untilMs: askedAtMs + lifetimeS * 1000 }
    if (!needs.isPublic(next.mapping.externalAddress)) {
      await remove(next.mapping, gateway)
      return without('not-public')
    }
    retryMs = FIRST_RETRY_MS
    hold(next)
    needs.observer.warn('PORT_NOT_MAPPED', undefined)
    needs.observer.warn('ROUTER_NOT_PUBLIC', undefined)
    return Math.max((lifetimeS * 1000) / 2, LEAST_WAIT_MS)
  }

  function without(reason: MappingFailure): number {
    // A renewal that failed takes nothing away yet: the router keeps the mapping until its time is over.
    const leftMs = held === undefined || reason === 'not-public' ? 0 : held.untilMs - nowMs()
    if (leftMs > LEAST_WAIT_MS) return Math.max(leftMs / 2, LEAST_WAIT_MS)
    hold(undefined)
    needs.observer.warn('ROUTER_NOT_PUBLIC', reason === 'not-public' ? {} : undefined)
    needs.observer.warn('PORT_NOT_MAPPED', reason === 'not-public' ? undefined : { reason })
    const waitMs = retryMs
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)
    return waitMs
  }

  async function remove({ protocol, externalPort }: Mapping, gateway: string): Promise<void> {
    const remover = needs.map ?? MAPPERS[protocol]
    await remover({ ...requestOf(gateway, 0), externalPort }, AbortSignal.timeout(REMOVE_TIMEOUT_MS))
  }

  const running = (async () => {
    while (!leaving.signal.aborted) await sleep(await renew(), leaving.signal)
  })()

  return {
    current: () => held?.mapping,
    async close() {
      leaving.abort()
      await running
      if (held !== undefined) await remove(held.mapping, held.gateway)
      held = undefined
      needs.observer.warn('PORT_NOT_MAPPED', undefined)
      needs.observer.warn('ROUTER_NOT_PUBLIC', undefined)
    },
  }
}

/** Waits, and simply returns when it is given up. */
const pause = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal, ref: false }).catch(() => {})
