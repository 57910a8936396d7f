/** Standing warnings: conditions a person should act on, from when they began until they are over. */
import { WARNINGS, type WarningCode } from '../protocol/observe.ts'

export type WarningFacts = Readonly<Record<string, string | number>>

export interface StandingWarning {
  readonly code: WarningCode
  readonly severity: 'low' | 'medium' | 'high'
  readonly text: string
  readonly sinceMs: number
  readonly facts: WarningFacts
}

export interface Warnings {
  /** Raises a condition (facts) or ends it (undefined), and says what that changed. */
  set(code: WarningCode, facts: WarningFacts | undefined): 'raised' | 'refreshed' | 'cleared' | 'unchanged'
  /** The most severe first, then the oldest. */
  list(): readonly StandingWarning[]
}

const ORDER = ['high', 'medium', 'low']

export function createWarnings(now: () => number): Warnings {
  const standing = new Map<WarningCode, StandingWarning>()
  return {
    set: (code, facts) => {
      const before = standing.get(code)
      if (facts === undefined) return standing.delete(code) ? 'cleared' : 'unchanged'
      standing.set(code, { code, ...WARNINGS[code], sinceMs: before?.sinceMs ?? now(), facts })
      return before === undefined ? 'raised' : 'refreshed'
    },
    list: () => [...standing.values()].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || a.sinceMs - b.sinceMs),
  }
}
