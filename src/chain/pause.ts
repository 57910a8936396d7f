import { setTimeout as delay } from 'node:timers/promises'

/** Waits; an abort throws the reason of the signal, as every other wait of this room does, not the timer's own AbortError. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    throw signal?.aborted ? signal.reason : error
  }
}
