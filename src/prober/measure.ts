/**
 * One window: all members ask one provider at once for bytes that only their own challenge makes, and count what they verified by its end. Before
 * it each asks a few times for nothing, and notes how long the answer takes to begin.
 *
 * Together they ask for what the provider claims, and for as much more as trimming will take away (economics 1.3): so the window shows whether the
 * claim holds, and costs no more than that. It begins before the first asks; opening the flows, and what is still on its way at its end,
 * count against the line and never for it.
 */
import { randomBytes } from 'node:crypto'
import { type IncomingMessage, request } from 'node:http'
import { shareOf } from '../economy/bandwidth.ts'
import type { Hex } from '../protocol/bytes.ts'
import { CHALLENGE_KEY_BYTES, challengeBytes, MEASURE_NAME } from '../protocol/challenge.ts'
import { BywayError } from '../protocol/errors.ts'

export interface Window {
  /** Bytes each member verified. */
  counts: bigint[]
  windowMs: bigint
  /** 95th percentile of the looks of each member; undefined where one was not answered. */
  latenciesMs: (bigint | undefined)[]
}

export interface MeasureOptions {
  /** The proxy of the consumer that carries the probes, and pays for them. */
  proxy: { host: string; port: number }
  /** Node key of the provider. */
  provider: Hex
  claimedMbps: bigint
  members: number
  signal?: AbortSignal
}

/** Long enough that opening a flow is small beside it, also on a slow and busy machine. */
const WINDOW_MS = 2_000
/** Until a session is open, which may take a transaction. */
const OPENING_LIMIT_MS = 20_000
/** How often each member notes how soon an answer begins: the slowest of so few is their 95th percentile. */
const LATENCY_LOOKS = 3
/** Whoever takes longer than this is not called near by anybody. */
const LOOK_LIMIT_MS = 2_000

type Asking = Pick<MeasureOptions, 'proxy' | 'provider' | 'signal'>

/** Asks the provider for so many bytes of a challenge. */
function ask({ proxy, provider, signal }: Asking, bytes: number, key: Buffer, limitMs: number): Promise<IncomingMessage> {
  const url = `http://${MEASURE_NAME}/${key.toString('hex')}/${bytes}`
  const username = `probe-provider-${provider.slice(2)}-strict-1`
  const headers = { host: MEASURE_NAME, 'proxy-authorization': `Basic ${Buffer.from(`${username}:`).toString('base64')}` }
  const until = AbortSignal.any([AbortSignal.timeout(limitMs), ...(signal === undefined ? [] : [signal])])
  return new Promise((resolve, reject) => {
    request({ ...proxy, path: url, headers, agent: false, signal: until }, resolve)
      .on('error', reject)
      .end()
  })
}

/** Looks whether the provider is there: milliseconds until an answer of no bytes began. Rejects when none does in time. */
export async function lookAt(asking: Asking, limitMs = LOOK_LIMIT_MS): Promise<number> {
  const key = randomBytes(CHALLENGE_KEY_BYTES)
  const startedMs = performance.now()
  const response = await ask(asking, 0, key, limitMs)
  const tookMs = performance.now() - startedMs
  await verify(response, key, () => {})
  return tookMs
}

/** Milliseconds, rounded up. Rejects at the first look that is not answered: the others would only wait as long. */
async function slowestLook(asking: Asking): Promise<bigint> {
  let slowestMs = 0
  for (let i = 0; i < LATENCY_LOOKS; i++) slowestMs = Math.max(slowestMs, await lookAt(asking))
  return BigInt(Math.ceil(slowestMs))
}

/** Measures once. Rejects when the provider cannot be reached: then nothing was measured. */
export async function measureTogether({ claimedMbps, members, ...asking }: MeasureOptions): Promise<Window> {
  // Opens the session, which says nothing about the line.
  await lookAt(asking, OPENING_LIMIT_MS)

  // One after the other: they would wait for each other, and not for the line.
  const latenciesMs: Window['latenciesMs'] = []
  for (let member = 0; member < members; member++) latenciesMs.push(await slowestLook(asking).catch(() => undefined))

  const share = Number(shareOf(claimedMbps, BigInt(WINDOW_MS), members))
  const counts = Array.from({ length: members }, () => 0n)
  await Promise.all(
    counts.map(async (_, i) => {
      const key = randomBytes(CHALLENGE_KEY_BYTES)
      try {
        await verify(await ask(asking, share, key, WINDOW_MS), key, (bytes) => {
          counts[i]! += BigInt(bytes)
        })
      } catch {
        // The window ended, or this member is not served: it has counted what it has counted.
      }
    }),
  )
  asking.signal?.throwIfAborted()
  return { counts, windowMs: BigInt(WINDOW_MS), latenciesMs }
}

/** Counts the bytes that are those of the challenge, until the first that is not. */
async function verify(response: IncomingMessage, key: Buffer, counted: (bytes: number) => void): Promise<void> {
  if (response.statusCode !== 200) {
    response.resume()
    throw new BywayError('PROVIDER_UNREACHABLE', `the challenge was answered with ${response.statusCode}`, {
      facts: { said: response.headers['proxy-status']?.toString().slice(0, 200) ?? 'nothing' },
    })
  }
  const next = challengeBytes(key)
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (!next(chunk.length).equals(chunk)) {
      throw new BywayError('MESSAGE_MALFORMED', 'the bytes are not those of the challenge')
    }
    counted(chunk.length)
  }
}
