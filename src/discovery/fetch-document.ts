/** Fetches a node's offer document over HTTPS. What the chain says about where is anybody's word: only public addresses are dialled, and little is read. */
import { lookup } from 'node:dns'
import { Agent, get } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { Hex } from '../protocol/bytes.ts'
import { documentPath } from '../protocol/document.ts'
import { BywayError } from '../protocol/errors.ts'
import { MAX_OFFER_BYTES } from '../protocol/offer.ts'
import { parseEndpoint } from './libp2p/addresses.ts'

/** Four round trips on the worst line, and a lost packet. */
const TIMEOUT_MS = 6_000

/** `mayDial`: whether an address is one of the public internet, or allowed. Throws PROVIDER_UNREACHABLE. */
export function fetchDocument(endpoint: string, nodeKey: Hex, mayDial: (ip: string) => boolean): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const refuse = (why: string, cause?: unknown) =>
    reject(new BywayError('PROVIDER_UNREACHABLE', `no offer document: ${why}`, { cause, facts: { nodeKey } }))
  const at = parseEndpoint(endpoint)
  if (at === undefined) {
    refuse('what the chain says is no host and port')
    return promise
  }
  if (isIP(at.host) !== 0 && !mayDial(at.host)) {
    refuse('the address is not public')
    return promise
  }
  // The address that was checked is the one that is dialled.
  const checkedLookup: LookupFunction = (name, options, done) =>
    lookup(name, { ...options, all: true }, (error, found) => {
      const public_ = (error === null ? found : []).filter(({ address }) => mayDial(address))
      const [first] = public_
      if (first === undefined) done(error ?? new Error('no public address'), [])
      else if (options.all === true) done(null, public_)
      else done(null, first.address, first.family)
    })
  const request = get({
    host: at.host,
    port: at.port,
    path: documentPath(nodeKey),
    lookup: checkedLookup,
    // Who serves it proves nothing by a certificate; the document is signed.
    rejectUnauthorized: false,
    agent: new Agent({ maxCachedSessions: 0 }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      'User-Agent': 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    },
  })
  request.on('error', (cause) => refuse(cause.message, cause))
  request.on('response', (response) => {
    const parts: Buffer[] = []
    let size = 0
    if (response.statusCode !== 200) {
      request.destroy()
      refuse(`HTTP ${response.statusCode}`)
      return
    }
    response.on('data', (part: Buffer) => {
      size += part.length
      if (size > MAX_OFFER_BYTES) {
        request.destroy()
        refuse('it is larger than an offer may be')
      } else parts.push(part)
    })
    response.on('end', () => resolve(Buffer.concat(parts)))
    response.on('error', (cause) => refuse(cause.message, cause))
  })
  return promise
}
