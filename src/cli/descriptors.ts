/**
 * Whether the system lets this process open enough files. Each flow takes two (its link and the application's or destination's connection), and a
 * process that has none left refuses connections, whoever they are from.
 */
import { readdir } from 'node:fs/promises'
import type { Observer } from '../protocol/observe.ts'

/** Below this a busy evening of one household does not fit: two thousand flows. */
const FEW = 4_096
/** From this share on there is a warning, so that there is time to act; below the other it is over. */
const NEARLY_ALL = 0.9
const ENOUGH_AGAIN = 0.8
/** Looking costs a few microseconds a descriptor. */
const LOOK_EVERY_MS = 10_000

/** What the system says of this process. Undefined where it does not say. */
export interface Descriptors {
  limit(): number | undefined
  open(): Promise<number | undefined>
}

/** Raises and ends DESCRIPTORS_LOW. Returns how to stop looking. */
export function watchDescriptors(observer: Pick<Observer, 'warn'>, descriptors: Descriptors = ofThisProcess): () => Promise<void> {
  const limit = descriptors.limit()
  if (limit === undefined) return async () => {}
  if (limit < FEW) observer.warn('DESCRIPTORS_LOW', { limit })
  const look = async () => {
    const open = await descriptors.open()
    if (open === undefined || limit < FEW) return
    if (open > limit * NEARLY_ALL) observer.warn('DESCRIPTORS_LOW', { limit, open })
    else if (open < limit * ENOUGH_AGAIN) observer.warn('DESCRIPTORS_LOW', undefined)
  }
  const looking = setInterval(() => void look(), LOOK_EVERY_MS)
  looking.unref()
  return async () => clearInterval(looking)
}

const ofThisProcess: Descriptors = {
  limit: () => {
    // Names of its connections may take seconds to look up, and are not asked for.
    const report = process.report as typeof process.report & { excludeNetwork: boolean }
    report.excludeNetwork = true
    const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft: number | 'unlimited' } } }
    const soft = userLimits?.open_files?.soft
    return typeof soft === 'number' ? soft : undefined
  },
  open: () =>
    readdir('/dev/fd').then(
      (names) => names.length,
      () => undefined,
    ),
}
