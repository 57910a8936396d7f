/**
 * Finding the router's UPnP description (UPnP Device Architecture, section 1.3): a question by multicast and to the gateway itself.
 *
 * Only an answer that comes from the gateway and names the gateway counts: any other device could point us anywhere.
 */
import { createSocket } from 'node:dgram'

// --- Fixed by UPnP. ---
const GROUP = '239.255.255.250'
const PORT = 1900
const TARGET = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1'

// --- Our choices. ---
/** Asked three times, as UPnP advises for UDP; devices answer within MX, one second. */
const ASK_AT_MS = [0, 400, 800]
const WAIT_MS = 2_000
const MAX_PACKETS = 256
const MAX_ANSWER_BYTES = 2_048

const SEARCH = Buffer.from(
  ['M-SEARCH * HTTP/1.1', `HOST: ${GROUP}:${PORT}`, 'MAN: "ssdp:discover"', 'MX: 1', `ST: ${TARGET}`, '', ''].join('\r\n'),
)

/** Address of the gateway's description, or undefined when it offers none. `own` is our address towards it. */
export function findDescription(gateway: string, own: string, signal: AbortSignal): Promise<URL | undefined> {
  const { promise, resolve } = Promise.withResolvers<URL | undefined>()
  if (signal.aborted) return Promise.resolve(undefined)
  const socket = createSocket('udp4')
  const timers: NodeJS.Timeout[] = []
  let arrived = 0
  let over = false
  const finish = (found: URL | undefined) => {
    if (over) return
    over = true
    for (const timer of timers) clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
    socket.close()
    resolve(found)
  }
  const giveUp = () => finish(undefined)
  signal.addEventListener('abort', giveUp)
  socket.on('error', giveUp)
  socket.on('message', (answer, from) => {
    const found = from.address === gateway ? readAnswer(answer, gateway) : undefined
    if (found !== undefined) finish(found)
    else if (++arrived >= MAX_PACKETS) giveUp()
  })
  socket.bind(0, own, () => {
    if (over) return
    socket.setMulticastInterface(own)
    const send = () => {
      // One of the two may have no way out; the other is enough. An error that matters comes as an event.
      for (const target of [GROUP, gateway]) socket.send(SEARCH, PORT, target, () => {})
    }
    for (const atMs of ASK_AT_MS) timers.push(setTimeout(send, atMs))
    timers.push(setTimeout(giveUp, WAIT_MS))
  })
  return promise
}

/** The LOCATION of an answer, if it leads to the gateway. */
export function readAnswer(packet: Buffer, gateway: string): URL | undefined {
  const text = packet.subarray(0, MAX_ANSWER_BYTES).toString('latin1')
  if (!/^HTTP\/1\.[01] 200\b/.test(text)) return undefined
  const header = text.split('\r\n').find((line) => /^location:/i.test(line))
  return header === undefined ? undefined : ownUrl(header.slice('location:'.length).trim(), undefined, gateway)
}

/** `text` as an address on the gateway itself, by plain HTTP; undefined for anything else. */
export function ownUrl(text: string, base: URL | undefined, gateway: string): URL | undefined {
  if (text.length > 512 || !URL.canParse(text, base)) return undefined
  const url = new URL(text, base)
  const plain = url.protocol === 'http:' && url.username === '' && url.password === ''
  return plain && url.hostname === gateway ? url : undefined
}
