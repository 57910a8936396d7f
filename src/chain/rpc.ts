/**
 * JSON-RPC over HTTP to one or more endpoints of one chain.
 *
 * Three kinds of failure stay apart: no endpoint answers (RPC_UNREACHABLE: try again later), an endpoint serves another chain
 * (RPC_WRONG_CHAIN: the settings are wrong), and a node answers "no" ({@link RpcRefusal}: asking again or elsewhere changes nothing).
 * An endpoint's chain id is asked before its first use and again after each outage, so nothing is ever read from a stranger's chain.
 * Keys of RPC services live in URLs: only the host of a URL is ever put into an error.
 */
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { pause } from './pause.ts'

// --- Our choices. Safe to change. ---
/** One request. Public endpoints answer in under a second; a claim of a hundred vouchers is simulated in under three. */
const TIMEOUT_MS = 10_000
/** Rounds over all endpoints before giving up: a restart of a node behind a load balancer takes about a second. */
const ROUNDS = 3
/** Before the second round, doubled before each further one. */
const ROUND_PAUSE_MS = 200
/** An answer beyond this is refused unread. The largest we ask for is the state of a devnet, compressed. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
/** "Too many requests" of JSON-RPC (EIP-1474); the same as HTTP 429. */
const LIMIT_EXCEEDED = -32_005
/** Words of an endpoint that may be repeated in an error. */
const MAX_REASON_CHARS = 300

export interface RpcOptions {
  /** Tried in order; the one that answered last is asked first. */
  urls: readonly string[]
  chainId: number
  timeoutMs?: number
}

export interface Rpc {
  readonly chainId: number
  /** Hosts of the endpoints: what may be shown of them. */
  readonly hosts: readonly string[]
  /** One call; the result is parsed with `schema`. */
  request<S extends z.ZodType>(schema: S, method: string, params: readonly unknown[], signal?: AbortSignal): Promise<z.output<S>>
}

/** A node understood the request and refused it. `data` is what a contract returned when it reverted. */
export class RpcRefusal extends Error {
  readonly rpcCode: number
  readonly data: Hex | undefined

  constructor(rpcCode: number, message: string, data: Hex | undefined) {
    super(message)
    this.name = 'RpcRefusal'
    this.rpcCode = rpcCode
    this.data = data
  }
}

const hexData = z.string().regex(/^0x([0-9a-fA-F]{2})*$/)

const answerSchema = z.union([
  z.object({
    error: z.object({
      code: z.number(),
      message: z.string(),
      // Nodes put revert data here, or an object of their own, or prose: only hex is of use.
      data: hexData
        .transform((data) => data as Hex)
        .optional()
        .catch(undefined),
    }),
  }),
  z.object({ result: z.unknown() }).refine((answer) => answer.result !== undefined),
])

const quantity = z
  .string()
  .regex(/^0x[0-9a-f]{1,64}$/)
  .transform(BigInt)
const chainIdSchema = quantity.transform(Number)

/** A fault of the endpoint, not an answer: another endpoint, or the same one later, may do better. */
export class EndpointFault extends Error {}

interface Endpoint {
  url: URL
  /** Serves our chain, as far as we know: asked before first use and after each fault. */
  verified: boolean
}

/** Nothing is sent before the first request, so a daemon can start while its chain is down. */
export function createRpc(options: RpcOptions): Rpc {
  const { chainId, timeoutMs = TIMEOUT_MS } = options
  if (options.urls.length === 0) throw new BywayError('SETTING_INVALID', 'no RPC URL was given')
  const endpoints = options.urls.map((text): Endpoint => ({ url: parseUrl(text), verified: false }))
  const hosts = endpoints.map(({ url }) => url.host)
  let first = 0

  const verify = async (endpoint: Endpoint, signal?: AbortSignal): Promise<void> => {
    if (endpoint.verified) return
    const actual = parse(chainIdSchema, 'eth_chainId', await post(endpoint.url, 'eth_chainId', [], timeoutMs, signal))
    if (actual !== chainId) {
      throw new BywayError('RPC_WRONG_CHAIN', `the RPC endpoint ${endpoint.url.host} serves chain ${actual}, not ${chainId}`, {
        facts: { host: endpoint.url.host, expected: chainId, actual },
        hint: 'check the RPC URL and the network',
      })
    }
    endpoint.verified = true
  }

  return {
    chainId,
    hosts,
    async request(schema, method, params, signal) {
      let fault = ''
      for (let round = 0; round < ROUNDS; round++) {
        if (round > 0) await pause(ROUND_PAUSE_MS * 2 ** (round - 1), signal)
        for (let turn = 0; turn < endpoints.length; turn++) {
          const at = (first + turn) % endpoints.length
          const endpoint = endpoints[at]!
          try {
            await verify(endpoint, signal)
            const result = parse(schema, method, await post(endpoint.url, method, params, timeoutMs, signal))
            first = at
            return result
          } catch (error) {
            if (!(error instanceof EndpointFault)) throw error
            endpoint.verified = false
            fault = `${endpoint.url.host}: ${error.message}`
          }
        }
      }
      throw new BywayError('RPC_UNREACHABLE', `no RPC endpoint answers (${fault})`, {
        facts: { hosts: hosts.join(' '), method },
        hint: 'is the chain running (`npm start` runs the local one), and is the URL right? A second URL is used when the first fails',
      })
    },
  }
}

/** One request to one endpoint. Throws EndpointFault, RpcRefusal, or the reason of `signal`. */
async function post(url: URL, method: string, params: readonly unknown[], timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
  const limit = AbortSignal.timeout(timeoutMs)
  let text: string
  try {
    const response = await fetch(withoutCredentials(url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization(url) },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      redirect: 'error', // a redirect would carry signed transactions to a host nobody named
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    })
    text = await readBounded(response)
    // A node that refuses a request may say so with any status; a gateway's own troubles carry no JSON-RPC error.
    if (response.status === 429 || (!response.ok && !text.includes('"error"'))) throw new EndpointFault(`HTTP ${response.status}`)
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    if (error instanceof EndpointFault) throw error
    throw new EndpointFault(limit.aborted ? `no answer in ${timeoutMs} ms` : connectionReason(error))
  }
  return readAnswer(text)
}

/** The result in a JSON-RPC answer. Throws RpcRefusal when the node said no, EndpointFault when this is no answer. */
export function readAnswer(text: string): unknown {
  const answer = answerSchema.safeParse(parseJson(text))
  if (!answer.success) throw new EndpointFault('the answer is no JSON-RPC')
  if ('error' in answer.data) {
    const { code, message, data } = answer.data.error
    if (code === LIMIT_EXCEEDED) throw new EndpointFault('too many requests')
    throw new RpcRefusal(code, message.slice(0, MAX_REASON_CHARS), data)
  }
  return answer.data.result
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body ?? []) {
    size += part.byteLength
    if (size > MAX_ANSWER_BYTES) throw new EndpointFault(`the answer exceeds ${MAX_ANSWER_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

function parse<S extends z.ZodType>(schema: S, method: string, result: unknown): z.output<S> {
  const parsed = schema.safeParse(result)
  if (!parsed.success) throw new EndpointFault(`${method} answered something else than expected`)
  return parsed.data
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // fails the schema, which says what is wrong
  }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  // The text itself stays out of the error: it may hold a key.
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new BywayError('SETTING_INVALID', 'an RPC URL must start with http:// or https://', { hint: 'for example http://127.0.0.1:8545' })
  }
  return url
}

function withoutCredentials(url: URL): URL {
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  return bare
}

function authorization(url: URL): Record<string, string> {
  if (url.username === '') return {}
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
}

/** `fetch failed` hides the reason in its cause; the code names it without repeating the URL. */
function connectionReason(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code
  }
  return 'the connection failed'
}
