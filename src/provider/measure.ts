/**
 * The exit's own answer under the reserved name `measure.byway.internal`: as many bytes as a prober asks for, which only a challenge that the
 * prober chose makes.
 *
 * `GET /KEY/BYTES` (64 hexadecimal digits, a number) answers with the AES-256-CTR key stream of KEY. It goes through the same session, hops, till
 * and line as any destination and is paid like one, so that what is measured is what customers get; and it cannot be answered by anybody
 * who does not send the bytes.
 */
import { createServer } from 'node:http'
import { type Duplex, duplexPair, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { challengeBytes } from '../protocol/challenge.ts'

/** Half a second at a gigabit: more says nothing more, and would only cost the prober. */
const MAX_BYTES = 64 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024
const ASKED = /^\/([0-9a-f]{64})\/(\d{1,8})$/

/** Opens a stream to an HTTP server that answers challenges. */
export function connectMeasure(): Duplex {
  const [near, far] = duplexPair({ allowHalfOpen: true })
  createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    request.resume()
    const [, key, digits] = ASKED.exec(request.url ?? '') ?? []
    const length = Number(digits)
    if (key === undefined || length > MAX_BYTES) {
      response.writeHead(400).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': length, 'cache-control': 'no-store' })
    // A prober that goes away in between has measured enough.
    pipeline(Readable.from(chunks(Buffer.from(key, 'hex'), length)), response).catch(() => response.destroy())
  }).emit('connection', far)
  return near
}

function* chunks(key: Buffer, length: number): Generator<Buffer> {
  const next = challengeBytes(key)
  for (let left = length; left > 0; left -= CHUNK_BYTES) yield next(Math.min(left, CHUNK_BYTES))
}
