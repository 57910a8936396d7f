/** A prober: says some bytes to a port, in the clear or inside TLS, and notes what it hears, how it ends and how long it took. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface Heard {
  answer: Buffer
  /** How the connection stood when the prober stopped listening. */
  end: 'closed' | 'reset' | 'open'
  /** From the last byte said to the first heard, or to the end. */
  ms: number
}

/** Longer than any answer takes on loopback under load; who waits for more says nothing in it. */
const PATIENCE_MS = 6_000
/** After an answer the end follows at once or not at all. */
const AFTER_ANSWER_MS = 2_000

export interface ProbeOptions {
  /** What to say instead, once the connection stands. */
  onReady?: (socket: Socket) => Buffer
  /** How long the end is waited for after an answer. */
  afterAnswerMs?: number
}

export function probe(port: number, said: Buffer, how: 'tcp' | 'tls', options: ProbeOptions = {}): Promise<Heard> {
  const { promise, resolve } = Promise.withResolvers<Heard>()
  const socket: Socket =
    how === 'tcp'
      ? connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
      : connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  const parts: Buffer[] = []
  let saidAt = performance.now()
  let ms: number | undefined
  let timer = setTimeout(() => finish('open'), PATIENCE_MS)
  const finish = (end: Heard['end']) => {
    clearTimeout(timer)
    ms ??= performance.now() - saidAt
    resolve({ answer: Buffer.concat(parts), end, ms })
    socket.destroy()
  }
  socket.once(how === 'tcp' ? 'connect' : 'secureConnect', () => {
    if (how === 'tls') socket.setNoDelay(true)
    const bytes = options.onReady?.(socket) ?? said
    saidAt = performance.now()
    socket.write(bytes)
  })
  socket.on('data', (part: Buffer) => {
    ms ??= performance.now() - saidAt
    parts.push(part)
    clearTimeout(timer)
    timer = setTimeout(() => finish('open'), options.afterAnswerMs ?? AFTER_ANSWER_MS)
  })
  socket.once('end', () => finish('closed'))
  socket.once('error', () => finish('reset'))
  socket.once('close', () => finish('closed'))
  return promise
}

/** What a prober can compare: the answer without what differs from second to second. */
export const comparable = ({ answer, end }: Heard): string => `${end}\n${answer.toString('latin1').replace(/^Date: .*$/m, 'Date:')}`

/** Runs `work` for each item, `atOnce` at a time; results in order. */
export async function inParallel<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at]!)
    }),
  )
  return results
}

/** Two-sample Kolmogorov-Smirnov: the largest distance of the two distributions, and how likely that is if they are one. */
export function kolmogorovSmirnov(a: readonly number[], b: readonly number[]): { distance: number; p: number } {
  const [x, y] = [a.toSorted((m, n) => m - n), b.toSorted((m, n) => m - n)]
  let [i, j, distance] = [0, 0, 0]
  while (i < x.length && j < y.length) {
    const at = Math.min(x[i]!, y[j]!)
    while (i < x.length && x[i]! <= at) i++
    while (j < y.length && y[j]! <= at) j++
    distance = Math.max(distance, Math.abs(i / x.length - j / y.length))
  }
  const root = Math.sqrt((x.length * y.length) / (x.length + y.length))
  const lambda = (root + 0.12 + 0.11 / root) * distance
  let p = 0
  for (let k = 1; k <= 100; k++) p += 2 * (-1) ** (k - 1) * Math.exp(-2 * k * k * lambda * lambda)
  return { distance, p: lambda < 0.2 ? 1 : Math.min(1, Math.max(0, p)) }
}

export const median = (values: readonly number[]): number => values.toSorted((m, n) => m - n)[values.length >> 1] ?? Number.NaN
