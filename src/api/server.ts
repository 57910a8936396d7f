/**
 * The local API: what a daemon shows of itself to its owner, over a Unix socket, and the observability behind it.
 *
 * The rule it keeps: only the owner of the home can reach it (a 0600 socket in a 0700 folder), nothing it answers holds a secret or the
 * destination of a guest, and it can be taken away without a session noticing.
 *
 * Start reading here, then app.ts (routes), observer.ts (what the rooms report), client.ts (how the command asks).
 */
import { chmod } from 'node:fs/promises'
import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import type { Hono } from 'hono'
import { prepareSocketFolder, removeStaleSocket } from './socket.ts'

export interface ApiServer {
  readonly path: string
  /** Stops listening, lets running answers finish for a moment, then ends what is left. */
  close(): Promise<void>
}

/** A command, a scraper and a dashboard; more is a loop. */
const MAX_CONNECTIONS = 64
/** A status answer takes milliseconds; a claim that waits for the chain must not hold up a shutdown. */
const CLOSE_GRACE_MS = 1_000

/** Listens at `path` (see socketPath). Call it only while holding the home's lock: a socket that is there is taken for a dead daemon's. */
export async function serveApi(app: Hono, path: string): Promise<ApiServer> {
  await prepareSocketFolder(path)
  await removeStaleSocket(path)
  const server = createAdaptorServer({ fetch: app.fetch }) as Server
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  await chmod(path, 0o600)
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
        server.close(() => {
          clearTimeout(timer)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}
