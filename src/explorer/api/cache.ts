/** Answers kept for a moment: a page that many look at asks the database once. */
import type { Clock } from '../../protocol/clock.ts'

/** As long as nobody can tell: a fraction of a block time. */
const KEPT_MS = 2_000
/** Answers are 20 kB on average: a few megabytes. */
const MOST = 500

export interface AnswerCache {
  /** The answer kept under this key, or a new one. Whoever asks meanwhile waits for the same. */
  get(key: string, make: () => Promise<string>): Promise<string>
}

export function answerCache(clock: Clock): AnswerCache {
  const kept = new Map<string, { untilMs: number; answer: Promise<string> }>()
  return {
    get(key, make) {
      const nowMs = clock.nowMs()
      const there = kept.get(key)
      if (there !== undefined && there.untilMs > nowMs) return there.answer
      const answer = make()
      kept.delete(key)
      kept.set(key, { untilMs: nowMs + KEPT_MS, answer })
      // A failure is not an answer: the next one asks again.
      answer.catch(() => kept.delete(key))
      // The oldest leave first: a map keeps the order in which keys came.
      for (const oldest of kept.keys()) {
        if (kept.size <= MOST) break
        kept.delete(oldest)
      }
      return answer
    },
  }
}
