/** The three ways to ask a router for a port, in the order they are tried, and its outer address without any port. */
import { ask, ownAddressTowards } from './ask.ts'
import { exchange } from './http.ts'
import { addRule, CONFLICT, deleteRule, ONLY_PERMANENT, outerAddress, readDescription, type Service } from './igd.ts'
import { failed, type Mapper, type MappingFailure, type MappingRequest } from './mapping.ts'
import { ADDRESS_REQUEST, decodeAddress, decodeTcpMap, encodeTcpMap } from './natpmp.ts'
import { decodeMap, encodeMap } from './pcp.ts'
import { findDescription } from './ssdp.ts'

/** Where routers listen for PCP and NAT-PMP alike. */
const PORT = 5351
/** How a router says that it has no public address itself (RFC 6887 section 7.4, RFC 6886 section 3.5). */
const PCP_NETWORK_FAILURE = 7
const NAT_PMP_NETWORK_FAILURE = 3

export const mapByPcp: Mapper = async (request, signal) => {
  const question = { host: request.gateway, port: PORT }
  const answer = await ask({ ...question, packet: (own) => encodeMap(request, own), read: (packet) => decodeMap(packet, request) }, signal)
  if (answer === undefined || answer.kind === 'other-version') return failed('silent')
  if (answer.kind === 'refused') return failed(answer.result === PCP_NETWORK_FAILURE ? 'not-public' : 'refused')
  const { externalAddress, externalPort, lifetimeS } = answer
  return { ok: true, mapping: { protocol: 'pcp', externalAddress, externalPort, lifetimeS } }
}

export const mapByNatPmp: Mapper = async (request, signal) => {
  const question = { host: request.gateway, port: PORT }
  const outer = await ask({ ...question, packet: () => ADDRESS_REQUEST, read: decodeAddress }, signal)
  if (outer === undefined) return failed('silent')
  if (!outer.ok) return failed(outer.result === NAT_PMP_NETWORK_FAILURE ? 'not-public' : 'refused')
  const answer = await ask({ ...question, packet: () => encodeTcpMap(request), read: (packet) => decodeTcpMap(packet, request) }, signal)
  if (answer?.ok !== true) return failed('refused')
  const { externalPort, lifetimeS } = answer
  return { ok: true, mapping: { protocol: 'nat-pmp', externalAddress: outer.address, externalPort, lifetimeS } }
}

/** Others of the household may have our port already: so many others are tried. */
const PORTS_TRIED = 3

export const mapByUpnp: Mapper = async (request, signal) => {
  const client = await ownAddressTowards(request.gateway)
  const service = client === undefined ? undefined : await findService(request.gateway, client, signal)
  if (client === undefined || service === undefined) return failed('silent')
  if (request.lifetimeS === 0) {
    await deleteRule(service, request.externalPort, signal)
    return { ok: true, mapping: { protocol: 'upnp', externalAddress: '0.0.0.0', externalPort: request.externalPort, lifetimeS: 0 } }
  }
  const externalPort = await addSomewhere(service, request, client, signal)
  if (externalPort === undefined) return failed('refused')
  const externalAddress = await outerAddress(service, signal)
  if (externalAddress === undefined) {
    // Without its address the mapping is of no use, and a permanent one would stay behind.
    await deleteRule(service, externalPort, signal)
    return failed('refused')
  }
  return { ok: true, mapping: { protocol: 'upnp', externalAddress, externalPort, lifetimeS: request.lifetimeS } }
}

async function findService(gateway: string, client: string, signal: AbortSignal): Promise<Service | undefined> {
  const location = await findDescription(gateway, client, signal)
  const description = location === undefined ? undefined : await exchange(location, {}, signal)
  return location === undefined || description?.status !== 200 ? undefined : readDescription(description.body, location)
}

/** The outer port that was given, or undefined. */
async function addSomewhere(service: Service, request: MappingRequest, client: string, signal: AbortSignal): Promise<number | undefined> {
  const { internalPort } = request
  let leaseS = request.lifetimeS
  let externalPort = request.externalPort
  for (let tried = 0; tried < PORTS_TRIED; ) {
    const answer = await addRule(service, { externalPort, internalPort, client, leaseS }, signal)
    if (answer === undefined) return undefined
    if (answer.ok) return externalPort
    if (answer.error === ONLY_PERMANENT && leaseS > 0) leaseS = 0
    else if (answer.error === CONFLICT) {
      tried++
      externalPort = otherPort(request, tried)
    } else return undefined
  }
  return undefined
}

/** The next port to try: out of the mapping's own random bytes, among those that need no rights and are not handed out for outgoing connections. */
function otherPort({ nonce }: MappingRequest, tried: number): number {
  return 10_000 + (nonce.readUInt16BE((tried * 2) % 12) % 20_000)
}

/** Tries PCP, then NAT-PMP, then UPnP; a refusal is no reason not to ask another way. Of several failures the most telling is returned. */
export const mapAnyWay: Mapper = async (request, signal) => {
  const reasons: MappingFailure[] = []
  for (const mapper of [mapByPcp, mapByNatPmp, mapByUpnp]) {
    const result = await mapper(request, signal)
    if (result.ok || signal.aborted) return result
    reasons.push(result.reason)
  }
  return failed((['not-public', 'refused'] as const).find((reason) => reasons.includes(reason)) ?? 'silent')
}

export const MAPPERS = { pcp: mapByPcp, 'nat-pmp': mapByNatPmp, upnp: mapByUpnp } as const

/** The router's outer address, without asking it for a port; 'private' when it says that it has none. Undefined when it does not say. */
export async function routerAddress(gateway: string, signal: AbortSignal): Promise<string | undefined> {
  const outer = await ask({ host: gateway, port: PORT, packet: () => ADDRESS_REQUEST, read: decodeAddress }, signal)
  if (outer?.ok === true) return outer.address
  if (outer?.result === NAT_PMP_NETWORK_FAILURE) return 'private'
  const client = await ownAddressTowards(gateway)
  const service = client === undefined ? undefined : await findService(gateway, client, signal)
  return service === undefined ? undefined : outerAddress(service, signal)
}
