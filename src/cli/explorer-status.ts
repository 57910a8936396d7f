/** What `byway status` says of explorers: where they listen, how far they are. */
import { basename } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { callDaemon } from '../api/client.ts'
import { socketPath } from '../api/socket.ts'
import { asBywayError } from '../protocol/errors.ts'
import { findHomes } from '../wallet/paths.ts'
import type { Output } from './output.ts'
import { type Env, resolveSettings } from './resolve.ts'

const statusAnswer = z.object({
  listen: z.object({ host: z.string(), port: z.number() }),
  store: z.string(),
  indexes: z.boolean(),
  indexed: z.object({ block: z.number() }).nullable(),
  lagBlocks: z.number().nullable(),
  failure: z.string().nullable(),
})

export interface ExplorerStatus {
  name: string
  home: string
  running: boolean
  /** As the daemon says it; absent when none runs. */
  status?: unknown
}

/** Explorers at or below --home, running or not. */
export async function explorersFor(command: Command, env: Env): Promise<ExplorerStatus[]> {
  const { home } = resolveSettings(command, ['home'], env, undefined).values
  return Promise.all(
    (await findHomes(home, 'explorer')).map(async (path) => {
      const explorer = { name: basename(path), home: path }
      try {
        return { ...explorer, running: true, status: await callDaemon(socketPath(path, env), 'GET /v1/status') }
      } catch (thrown) {
        const error = asBywayError(thrown)
        if (error.code !== 'DAEMON_UNREACHABLE') throw error
        return { ...explorer, running: false }
      }
    }),
  )
}

export function showExplorer({ name, running, status }: ExplorerStatus, output: Output): void {
  const parsed = statusAnswer.safeParse(status)
  if (!running || !parsed.success) {
    output.line(`${name} (explorer): not running`)
    return
  }
  const { listen, store, indexes, indexed, lagBlocks, failure } = parsed.data
  const at = indexed === null ? 'no block read yet' : `block ${indexed.block}`
  const lag =
    lagBlocks === null ? ', the chain is out of sight' : lagBlocks === 0 ? ', in step with the chain' : `, ${lagBlocks} blocks behind`
  output.line(output.style('bold', `${name} (explorer) on http://${listen.host}:${listen.port}/`))
  output.line(`  ${at}${lag}; ${store}${indexes ? '' : ', indexed by another explorer'}`)
  if (failure !== null) output.line(output.style('yellow', `  ${failure}: what keeps it from going on`))
}
