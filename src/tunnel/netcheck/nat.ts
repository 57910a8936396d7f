/** How a NAT maps one local port towards several destinations. */
import { once } from 'node:events'
import { connect, isIPv6, type Socket } from 'node:net'
import type { Measured } from './judge.ts'

const CONNECT_LIMIT_MS = 5_000

/** Asks the observer at the other end of this connection how it sees it. Rejects if it does not say. */
export type AskSeen = (carrier: Socket, signal: AbortSignal) => Promise<{ address: string; port: number }>

/**
 * Connects to each observer from one local port and asks how it is seen there. The ports are equal if the NAT's mapping does not depend on the
 * destination. Undefined when nobody could be asked.
 */
export async function observeMapping(
  observers: readonly { host: string; port: number; ask: AskSeen }[],
): Promise<NonNullable<Measured['mapping']> | undefined> {
  let local: { address: string; port: number } | undefined
  const seen: { address: string; port: number }[] = []
  const open: Socket[] = []
  for (const { host, port, ask } of observers) {
    const signal = AbortSignal.timeout(CONNECT_LIMIT_MS)
    // Bound before it connects, also the first time: only then may another socket have the same port.
    const socket = connect({ host, port, localAddress: isIPv6(host) ? '::' : '0.0.0.0', localPort: local?.port ?? 0 })
    socket.on('error', () => {})
    open.push(socket)
    try {
      await once(socket, 'connect', { signal })
      const here = { address: unmapped(socket.localAddress!), port: socket.localPort! }
      seen.push(await ask(socket, signal))
      local ??= here
    } catch {
      // One that is away tells nothing; the next is asked.
    }
  }
  for (const socket of open) socket.destroy()
  return local === undefined ? undefined : { local, seen }
}

const unmapped = (address: string) => address.replace(/^::ffff:(?=\d+\.)/, '')
