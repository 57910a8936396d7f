/** UPnP Internet Gateway Device: which service maps ports, and the three actions asked of it by SOAP. */
import { isIPv4 } from 'node:net'
import { exchange } from './http.ts'
import { ownUrl } from './ssdp.ts'
import { elements, escaped, textOf } from './xml.ts'

/** Best first. All three know the actions below. */
const SERVICES = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
]

/** UPnP error codes that change what is asked next. */
export const CONFLICT = 718
export const ONLY_PERMANENT = 725

export interface Service {
  type: string
  control: URL
}

/** The mapping service of a description, or undefined. Its control address must be on the gateway too. */
export function readDescription(xml: string, location: URL): Service | undefined {
  const services = elements(xml, 'service')
  for (const type of SERVICES) {
    const found = services.find((service) => textOf(service, 'serviceType') === type)
    const path = found === undefined ? undefined : textOf(found, 'controlURL')
    const control = path === undefined ? undefined : ownUrl(path, location, location.hostname)
    if (control !== undefined) return { type, control }
  }
  return undefined
}

export type Outcome = { ok: true; xml: string } | { ok: false; error: number }

/** Undefined when the router does not answer; `error` is the UPnP code, or 0 when it gave none. */
async function act(
  service: Service,
  action: string,
  fields: Record<string, string | number>,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  const inner = Object.entries(fields).map(([name, value]) => `<${name}>${escaped(String(value))}</${name}>`)
  const body =
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action} xmlns:u="${service.type}">${inner.join('')}</u:${action}></s:Body></s:Envelope>`
  const headers = { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${service.type}#${action}"` }
  const answer = await exchange(service.control, { headers, body }, signal)
  if (answer === undefined) return undefined
  if (answer.status === 200) return { ok: true, xml: answer.body }
  return { ok: false, error: Number(textOf(answer.body, 'errorCode')) || 0 }
}

export interface Rule {
  externalPort: number
  internalPort: number
  /** The machine the router forwards to: we. */
  client: string
  /** 0 for as long as the router runs. */
  leaseS: number
}

export const addRule = (service: Service, { externalPort, internalPort, client, leaseS }: Rule, signal: AbortSignal) =>
  act(
    service,
    'AddPortMapping',
    {
      NewRemoteHost: '',
      NewExternalPort: externalPort,
      NewProtocol: 'TCP',
      NewInternalPort: internalPort,
      NewInternalClient: client,
      NewEnabled: 1,
      NewPortMappingDescription: 'byway',
      NewLeaseDuration: leaseS,
    },
    signal,
  )

export const deleteRule = (service: Service, externalPort: number, signal: AbortSignal) =>
  act(service, 'DeletePortMapping', { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: 'TCP' }, signal)

/** The router's outer address; undefined when it does not know it. */
export async function outerAddress(service: Service, signal: AbortSignal): Promise<string | undefined> {
  const answer = await act(service, 'GetExternalIPAddress', {}, signal)
  const address = answer?.ok === true ? textOf(answer.xml, 'NewExternalIPAddress') : undefined
  return address !== undefined && isIPv4(address) ? address : undefined
}
