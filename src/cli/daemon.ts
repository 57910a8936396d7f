/** How a daemon lives: it starts, says that it is ready, and ends in order on Ctrl-C, SIGTERM or the end of whoever started it. */

import type { Vault } from '../wallet/vault.ts'

/** Long enough for final vouchers and the journal; whoever waits longer presses Ctrl-C again. */
const SHUTDOWN_LIMIT_MS = 15_000

/** Resolves when the process is asked to end. A second request ends it at once. */
export function untilAsked(): Promise<string> {
  return new Promise((resolve) => {
    const ask = (why: string) => () => {
      resolve(why)
      // From here on the shutdown runs; asked again, or stuck, nothing is waited for: the journal is safe at any moment.
      process.once('SIGINT', () => process.exit(130))
      setTimeout(() => process.exit(1), SHUTDOWN_LIMIT_MS).unref()
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, ask(signal))
    if (process.connected) {
      // Started by the local exchange: its end is ours, however it ends.
      process.once('disconnect', ask('disconnect'))
      process.channel?.unref()
    }
  })
}

/** Why a running daemon stops: it was asked to, or its disk failed, which is thrown. It could neither acknowledge nor sign anything any more. */
export async function untilAskedOrFailed(asked: Promise<string>, vault: Pick<Vault, 'failed'>): Promise<string> {
  const why = await Promise.race([asked, vault.failed])
  if (typeof why !== 'string') throw why
  return why
}
