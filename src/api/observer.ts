/** The Observer a daemon hands to its rooms: what they report becomes metrics, standing warnings and log lines. */
import type { Observer } from '../protocol/observe.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Warnings } from './warnings.ts'

export function createObserver({ metrics, warnings, log }: { metrics: Metrics; warnings: Warnings; log: Log }): Observer {
  return {
    count: (name, by, labels) => metrics.count(name, by, labels),
    warn: (code, facts) => {
      // Only the beginning and the end go to the log: a condition that lasts a day is two lines.
      const change = warnings.set(code, facts)
      if (change === 'raised') log.warn('warning-raised', { ...facts, code })
      if (change === 'cleared') log.info('warning-cleared', { code })
    },
    log: log.info,
  }
}
