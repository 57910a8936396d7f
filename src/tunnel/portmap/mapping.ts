/** What is asked of a router and what it may answer: the words all three protocols share. */

/** A port the router forwards to us. */
export interface Mapping {
  protocol: 'pcp' | 'nat-pmp' | 'upnp'
  /** The router's address on its outer side, as it says; IPv4. */
  externalAddress: string
  externalPort: number
  /** How long the router keeps it without hearing from us. */
  lifetimeS: number
}

export interface MappingRequest {
  /** Address of the router. */
  gateway: string
  /** Our port, TCP. */
  internalPort: number
  /** The port we would like outside: our own the first time, then the one we were given. */
  externalPort: number
  /** 0 takes the mapping away. */
  lifetimeS: number
  /** 12 bytes that make a mapping ours in PCP: only who knows them may renew or remove it. */
  nonce: Buffer
}

/**
 * `silent`: nothing there speaks the protocol. `refused`: the router does but will not map. `not-public`: it mapped, but its own outer
 * address is private, so the port still cannot be reached. `no-gateway`: this machine has no default route.
 */
export type MappingFailure = 'silent' | 'refused' | 'not-public' | 'no-gateway'

export type MappingResult = { ok: true; mapping: Mapping } | { ok: false; reason: MappingFailure }

export const failed = (reason: MappingFailure): MappingResult => ({ ok: false, reason })

/** A mapper sends one request and waits for what comes of it. It never throws for what a router does. */
export type Mapper = (request: MappingRequest, signal: AbortSignal) => Promise<MappingResult>
