/**
 * Explorer: the public view of the exchange. It reads the chain and the offers into a database and answers questions about them.
 *
 * The rule it keeps: it holds no key and no secret, knows nothing that others could not find out, and nobody has to believe it: every number
 * comes with the events it was summed up from, and anybody can run another one.
 *
 *   chain, offers -> indexer -> store (PGlite or PostgreSQL) -> api -> page
 *
 * Start reading at {@link startExplorer}, then indexer/index.ts.
 */
import { createServer, type Server } from 'node:http'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import type { BlockSource, NamedContracts } from '../chain/index.ts'
import type { Clock } from '../protocol/clock.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import type { SignedOffer } from '../protocol/offer.ts'
import { publicApi } from './api/app.ts'
import { askerOfAddress, limiter } from './api/limit.ts'
import { startIndexer } from './indexer/index.ts'
import { servePage } from './page/serve.ts'
import type { Store } from './store/index.ts'

export { COUNTRIES } from './page/map.ts'
export { openPglite, openPostgres, type Store } from './store/index.ts'

/** Blocks it may be behind the chain and still say that all is well: a step reads 64 of them. */
const BEHIND_BLOCKS = 64
/** A chain that was not reached for so long is out of sight. */
const UNSEEN_MS = 60_000

export interface ExplorerNeeds {
  store: Store
  source: BlockSource
  contracts: NamedContracts
  offers: () => Promise<SignedOffer[]>
  clock: Clock
  observer: Observer
  version: string
}

export interface ExplorerHealth extends Record<string, unknown> {
  ok: boolean
  store: Store['kind']
  /** Whether this process is the one that indexes; others on the same database only answer. */
  indexes: boolean
  indexed: { block: number; hash: string; timeS: number } | null
  chainBlock: number | null
  lagBlocks: number | null
  /** Code of what keeps it from going on. */
  failure: string | null
}

export interface Explorer {
  health(): ExplorerHealth
  /** Begins to answer. PORT_BUSY when somebody else listens there. */
  listen(host: string, port: number): Promise<{ host: string; port: number }>
  close(): Promise<void>
}

/** Indexes and answers until it is closed. The store stays open: who opened it closes it. */
export function startExplorer(needs: ExplorerNeeds): Explorer {
  const { store, clock, version } = needs
  const indexer = startIndexer(needs)
  const health = (): ExplorerHealth => {
    const { leads, indexed, chainHeight, lookedAtMs, failure } = indexer.progress()
    const lag = indexed === undefined || chainHeight === undefined ? null : Math.max(0, chainHeight - indexed.number)
    const seen = lookedAtMs !== undefined && clock.nowMs() - lookedAtMs <= UNSEEN_MS
    return {
      ok: lag !== null && lag <= BEHIND_BLOCKS && seen,
      store: store.kind,
      indexes: leads,
      indexed: indexed === undefined ? null : { block: indexed.number, hash: indexed.hash, timeS: indexed.timeS },
      chainBlock: chainHeight ?? null,
      lagBlocks: lag,
      failure: failure?.code ?? null,
    }
  }
  const api = publicApi({
    store,
    clock,
    version,
    limiter: limiter(clock),
    health,
    askerOf: (context) => askerOfAddress((context.env as Partial<HttpBindings> | undefined)?.incoming?.socket.remoteAddress),
  })
  servePage(api, health, clock)
  let server: Server | undefined
  return {
    health,
    async listen(host, port) {
      const answer = getRequestListener(api.app.fetch)
      server = createServer((request, response) => void answer(request, response))
      return listening(server, host, port)
    },
    async close() {
      await indexer.close()
      if (server === undefined) return
      const closed = new Promise((resolve) => server!.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function listening(server: Server, host: string, port: number): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const busy = cause.code === 'EADDRINUSE'
      reject(
        new BywayError(busy ? 'PORT_BUSY' : 'ARGUMENT_INVALID', `cannot listen on ${host} port ${port}: ${cause.code}`, {
          cause,
          facts: { host, port },
          hint: busy ? 'choose another port, or 0 for any free one' : 'check the address',
        }),
      )
    })
    server.listen({ host, port }, () => {
      const address = server.address()
      resolve({ host, port: typeof address === 'object' && address !== null ? address.port : port })
    })
  })
}
