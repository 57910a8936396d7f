/** Malformed answers of a router: PCP, NAT-PMP, SSDP, UPnP's descriptions and SOAP, and the system's own table of routes. Targets of wire.ts. */
import { isIPv4 } from 'node:net'
import { defaultGateway } from '../../src/tunnel/portmap/gateway.ts'
import { readDescription } from '../../src/tunnel/portmap/igd.ts'
import { decodeAddress, decodeTcpMap, encodeTcpMap } from '../../src/tunnel/portmap/natpmp.ts'
import { decodeMap, encodeMap } from '../../src/tunnel/portmap/pcp.ts'
import { readAnswer } from '../../src/tunnel/portmap/ssdp.ts'
import { textOf } from '../../src/tunnel/portmap/xml.ts'
import { must, NOISE, type Outcome } from './recording.ts'
import type { Target } from './run.ts'

const GATEWAY = '192.168.1.1'
const REQUEST = { gateway: GATEWAY, internalPort: 4_433, externalPort: 4_433, lifetimeS: 1_200, nonce: Buffer.alloc(12, 7) }
/** From request to answer, in both protocols. */
const RESPONSE = 0x80

function pcpAnswer(result: number): Buffer {
  const packet = encodeMap(REQUEST, '192.168.1.2')
  packet[1]! |= RESPONSE
  packet.fill(0, 8, 24)
  packet[3] = result
  Buffer.from([45, 1, 0, 2]).copy(packet, 56)
  return packet
}

function pmpAnswer(result: number): Buffer {
  const packet = Buffer.alloc(16)
  encodeTcpMap(REQUEST).copy(packet, 0, 0, 2)
  packet[1]! |= RESPONSE
  packet.writeUInt16BE(result, 2)
  packet.writeUInt16BE(REQUEST.internalPort, 8)
  packet.writeUInt16BE(50_000, 10)
  packet.writeUInt32BE(600, 12)
  return packet
}

const LOCATION = new URL(`http://${GATEWAY}:5000/root.xml`)
const SSDP =
  'HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nUSN: uuid:00::urn\r\nEXT:\r\n' +
  `SERVER: Linux UPnP/1.1 MiniUPnPd/2.3.1\r\nLOCATION: ${LOCATION.href}\r\n\r\n`
const service = (type: string, control: string) =>
  `<service>\n<serviceType>urn:schemas-upnp-org:service:${type}</serviceType>\n<controlURL>${control}</controlURL>\n</service>`
const DESCRIPTION = [
  `<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0"><device><friendlyName>router &amp; co</friendlyName><serviceList>`,
  service('Layer3Forwarding:1', '/ctl/L3F'),
  service('WANIPConnection:1', '/ctl/IPConn'),
  service('WANPPPConnection:1', `http://${GATEWAY}:5000/ctl/PPP?a&amp;b`),
  '</serviceList></device></root>',
].join('\n')
const soap = (inner: string) =>
  `<?xml version="1.0"?>\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${inner}</s:Body></s:Envelope>`
const ADDRESS = soap(
  '<u:GetExternalIPAddressResponse xmlns:u="x"><NewExternalIPAddress>45.1.0.2</NewExternalIPAddress></u:GetExternalIPAddressResponse>',
)
const FAULT = soap('<s:Fault><detail><UPnPError><errorCode>718</errorCode></UPnPError></detail></s:Fault>')
const ROUTES = [
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
  'eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0',
  'wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0',
  'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
].join('\n')

const port = (value: number) => must(Number.isInteger(value) && value >= 0 && value <= 65_535, 'a port is none')

function asPcp(pieces: readonly Buffer[]): Outcome {
  const answer = decodeMap(Buffer.concat(pieces), REQUEST)
  if (answer?.kind !== 'mapped') return 'refused'
  must(isIPv4(answer.externalAddress), 'a mapping at no address')
  port(answer.externalPort)
  return 'accepted'
}

function asPmp(pieces: readonly Buffer[]): Outcome {
  const packet = Buffer.concat(pieces)
  const [mapped, address] = [decodeTcpMap(packet, REQUEST), decodeAddress(packet)]
  if (mapped?.ok === true) port(mapped.externalPort)
  if (address?.ok === true) must(isIPv4(address.address), 'an outer address that is none')
  return mapped?.ok === true || address?.ok === true ? 'accepted' : 'refused'
}

/** Whatever a neighbour says, we are led to the router by plain HTTP, or nowhere. */
function leadsHome(url: URL | undefined): Outcome {
  if (url === undefined) return 'refused'
  must(url.protocol === 'http:' && url.hostname === GATEWAY && url.username === '', 'somebody else is asked')
  return 'accepted'
}

function asSoap(pieces: readonly Buffer[]): Outcome {
  const text = Buffer.concat(pieces).toString('utf8')
  const found = ['NewExternalIPAddress', 'errorCode'].map((name) => textOf(text, name)).filter((inner) => inner !== undefined)
  for (const inner of found) must(inner.length <= text.length, 'more was read than was said')
  return found.length > 0 ? 'accepted' : 'refused'
}

function asRoutes(pieces: readonly Buffer[]): Outcome {
  const gateway = defaultGateway(Buffer.concat(pieces).toString('utf8'))
  if (gateway === undefined) return 'refused'
  must(isIPv4(gateway), 'a gateway at no address')
  return 'accepted'
}

export const ROUTER_TARGETS: readonly Target[] = [
  { name: 'pcp', corpus: [pcpAnswer(0), pcpAnswer(2), pmpAnswer(1), NOISE], take: asPcp },
  { name: 'nat-pmp', corpus: [pmpAnswer(0), pmpAnswer(3), Buffer.from('0080000000000001c0a80101', 'hex'), NOISE], take: asPmp },
  { name: 'ssdp', corpus: [Buffer.from(SSDP), NOISE], take: (pieces) => leadsHome(readAnswer(Buffer.concat(pieces), GATEWAY)) },
  {
    name: 'igd-description',
    corpus: [Buffer.from(DESCRIPTION)],
    take: (pieces) => leadsHome(readDescription(Buffer.concat(pieces).toString('utf8'), LOCATION)?.control),
  },
  { name: 'igd-answer', corpus: [ADDRESS, FAULT].map((text) => Buffer.from(text)), take: asSoap },
  { name: 'routes', corpus: [Buffer.from(ROUTES)], take: asRoutes },
]
