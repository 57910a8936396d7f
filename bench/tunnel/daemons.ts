/** What our daemons say about themselves while they are measured. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { socketPath } from '../../src/api/socket.ts'

/** Of the thread that talks and pays, and of the one that carries bytes, where there is one. */
export const THREADS = ['main', 'carrying'] as const
/** Of each of them, in milliseconds. */
export type Delays = Partial<Record<(typeof THREADS)[number], number>>

/** How late each thread of a daemon was, p99 since it was last asked: asking starts anew. */
export async function loopDelayMs(home: string): Promise<Delays> {
  const ask = request({ socketPath: socketPath(home, {}), path: '/metrics', agent: false }).end()
  const [answer] = (await once(ask, 'response')) as [IncomingMessage]
  const metrics = await text(answer)
  const delays = THREADS.flatMap((thread) => {
    const seconds = new RegExp(`^byway_${thread}_thread_delay_p99_seconds (\\S+)$`, 'm').exec(metrics)?.[1]
    return seconds === undefined ? [] : [[thread, Number(seconds) * 1_000] as const]
  })
  if (delays.length === 0) throw new Error('the daemon does not tell how late its threads are')
  return Object.fromEntries(delays)
}
