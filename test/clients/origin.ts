/**
 * The web server that clients reach through the proxy, over HTTP and over TLS with a certificate of its own. It keeps count of what arrives,
 * so that a check can compare both ends.
 */
import { createCipheriv, createHash, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createCertificate } from '../../src/tunnel/index.ts'
import { page, SUBRESOURCES, subresource } from './page.ts'

/** A head this long is rare and legal; Node refuses more than 16 KiB unless told. */
const LONGEST_HEAD_BYTES = 65_536
const CHUNK_BYTES = 65_536

export interface Origin {
  /** `http://127.0.0.1:PORT` */
  http: string
  /** `https://localhost:PORT`: the name in its certificate. */
  https: string
  /** PEM file of the certificate, for clients that check it. */
  certificate: string
  port: number
  /** Requests and TCP connections since the last {@link forget}. */
  seen: { requests: Seen[]; connections: number }
  forget(): void
  /** Lets `/stream` send its last part. */
  release(): void
  /** Resolves when a response was cut off by the client. */
  aborted(): Promise<void>
  close(): Promise<void>
}

export interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
  /** The client asked to be told before it sent its body. */
  continued: boolean
}

/** `bytes` bytes that look random and are the same each time. */
export function pattern(bytes: number): Readable {
  return Readable.from(chunks(bytes))
}

function* chunks(bytes: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16))
  const zeros = Buffer.alloc(CHUNK_BYTES)
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) yield cipher.update(zeros.subarray(0, Math.min(left, CHUNK_BYTES)))
}

export function patternSha256(bytes: number): string {
  const hash = createHash('sha256')
  for (const chunk of chunks(bytes)) hash.update(chunk)
  return hash.digest('hex')
}

export async function startOrigin(folder: string): Promise<Origin> {
  const { key, cert, path } = await makeCertificate(folder)
  const seen: Origin['seen'] = { requests: [], connections: 0 }
  let released = Promise.withResolvers<void>()
  let aborted = Promise.withResolvers<void>()

  const handle =
    (continued: boolean): RequestListener =>
    (request, response) => {
      seen.requests.push({ method: request.method!, url: request.url!, headers: request.headers, continued })
      response.once('close', () => {
        if (!response.writableFinished) aborted.resolve()
      })
      if (continued) response.writeContinue()
      answer(request, response, released.promise).catch(() => response.destroy()) // the client went away in the middle, as some checks do
    }
  const listen = async (server: Server, host: string, port: number): Promise<Server> => {
    server.on('request', handle(false)).on('checkContinue', handle(true))
    server.on('connection', () => seen.connections++)
    server.listen(port, host)
    await once(server, 'listening')
    return server
  }
  const portOf = (server: Server) => (server.address() as AddressInfo).port
  const options = { maxHeaderSize: LONGEST_HEAD_BYTES }
  const http = await listen(createServer(options), '127.0.0.1', 0)
  const http6 = await listen(createServer(options), '::1', portOf(http))
  const https = await listen(createTlsServer({ ...options, key, cert }), '127.0.0.1', 0)
  const https6 = await listen(createTlsServer({ ...options, key, cert }), '::1', portOf(https))

  return {
    http: `http://127.0.0.1:${portOf(http)}`,
    https: `https://localhost:${portOf(https)}`,
    port: portOf(http),
    certificate: path,
    seen,
    forget() {
      seen.requests.length = 0
      seen.connections = 0
      released = Promise.withResolvers()
      aborted = Promise.withResolvers()
    },
    release: () => released.resolve(),
    aborted: () => aborted.promise,
    async close() {
      for (const server of [http, http6, https, https6]) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, released: Promise<void>): Promise<void> {
  const { pathname, searchParams } = new URL(request.url!, 'http://origin')
  const [, first = '', second = ''] = pathname.split('/')
  switch (first) {
    case 'bytes': {
      const bytes = Number(second)
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes })
      if (request.method === 'HEAD') response.end()
      else await pipeline(pattern(bytes), response)
      return
    }
    case 'upload': {
      const hash = createHash('sha256')
      let bytes = 0
      for await (const chunk of request) {
        hash.update(chunk as Buffer)
        bytes += (chunk as Buffer).length
      }
      response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }))
      return
    }
    case 'status':
      response.writeHead(Number(second)).end()
      return
    case 'stream':
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.write('first\n')
      await released
      response.end('last\n')
      return
    case 'head':
      response.writeHead(200, { 'x-long': 'h'.repeat(Number(searchParams.get('bytes'))) }).end('ok')
      return
    case 'page':
      response.writeHead(200, { 'content-type': 'text/html' }).end(page())
      return
    case 'sub': {
      const { type, body } = subresource(Number(second))
      response.writeHead(Number(second) <= SUBRESOURCES ? 200 : 404, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
      return
    }
    default:
      response.end('hello\n')
  }
}

async function makeCertificate(folder: string): Promise<{ key: string; cert: string; path: string }> {
  const { key, cert } = await createCertificate(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, new Date())
  const path = join(folder, 'origin.pem')
  await writeFile(path, cert)
  return { key, cert, path }
}
