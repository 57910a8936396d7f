/** The hello of the dialling side, as an observer sees it. */
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'

/** What Chrome offers, as far as OpenSSL can say it. The order is also ours: AES-128 first, which every machine we run on is fastest at. */
export const HELLO: ConnectionOptions = {
  // An ordinary hello offers 1.2 too; what is agreed on is checked below.
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
    'ECDHE-RSA-AES128-SHA',
    'ECDHE-RSA-AES256-SHA',
    'AES128-GCM-SHA256',
    'AES256-GCM-SHA384',
    'AES128-SHA',
    'AES256-SHA',
  ].join(':'),
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
  sigalgs: [
    'ECDSA+SHA256',
    'RSA-PSS+SHA256',
    'RSA+SHA256',
    'ECDSA+SHA384',
    'RSA-PSS+SHA384',
    'RSA+SHA384',
    'RSA-PSS+SHA512',
    'RSA+SHA512',
  ].join(':'),
  // A browser that opens a WebSocket offers this alone.
  ALPNProtocols: ['http/1.1'],
}

/** The server name to send: none for an address, as browsers do. */
export const serverName = (host: string): { servername?: string } => (isIP(host) === 0 ? { servername: host } : {})

/** As a browser writes it. */
export function hostField(host: string, port: number): string {
  const name = isIP(host) === 6 ? `[${host}]` : host
  return port === 443 ? name : `${name}:${port}`
}
