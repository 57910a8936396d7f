/** Resolves after a while, or at once when it is over. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    if (signal.aborted) done()
  })
}

/** What the work comes to, or undefined when that takes longer, or when `signal` says that nobody waits any more. */
export async function within<T>(work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T | undefined> {
  const done = new AbortController()
  const over = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal])
  return Promise.race([work, pause(ms, over).then(() => undefined)]).finally(() => done.abort())
}
