/** The fast data path of a daemon: started where the machine can, started again when it died, told of by a warning where there is none. */
import { asBywayError } from '../protocol/errors.ts'
import type { Observer } from '../protocol/observe.ts'
import { type Plane, startPlane } from '../tunnel/fast/plane.ts'

/** A thread that dies at once, again and again, is not worth more tries than this. */
const MAX_RESTARTS = 5

export interface FastPath {
  /** Undefined while there is none. */
  plane(): Plane | undefined
  close(): Promise<void>
}

/** `wanted` false: the owner chose the portable path. `worker`: what its thread runs, if more than carrying. */
export async function startFastPath(wanted: boolean, observer: Observer, worker?: URL): Promise<FastPath> {
  let plane: Plane | undefined
  let restarts = 0
  let closed = false
  const start = async () => {
    try {
      const started = await startPlane((error) => {
        plane = undefined
        observer.log('carrying thread died', { why: error.cause instanceof Error ? error.cause.message : error.message })
        if (!closed && ++restarts <= MAX_RESTARTS) void start()
        else observer.warn('FAST_PATH_OFF', { why: 'its thread died too often' })
      }, worker)
      if (closed) await started.close()
      else plane = started
      observer.warn('FAST_PATH_OFF', undefined)
    } catch (thrown) {
      observer.warn('FAST_PATH_OFF', { why: asBywayError(thrown).message })
    }
  }
  if (wanted) await start()
  return {
    plane: () => plane,
    async close() {
      closed = true
      await plane?.close()
    },
  }
}

/** For its metric: seconds, or undefined while there is no such thread. */
export function carryingDelay(path: FastPath | undefined): number | undefined {
  const ms = path?.plane()?.delayP99Ms()
  return ms === undefined ? undefined : ms / 1_000
}
