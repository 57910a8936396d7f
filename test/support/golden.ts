/** The golden numbers of test/vectors/economy.json, and what it takes to compare with them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

interface Golden {
  VLT1: {
    months: number
    floor: string
    subsidised: string
    returned: string
    firstSelfFunding: number
    presentValue: number
    fees: string[]
  }
  V4626: { offset: number; donation: string; deposit: string; victim: string; attacker: string }[]
  RSV1: { p: number; cost: number }[]
  NEWS1: { ratio: number; quantity: number }[]
  SLA1: { indicator: number; percent: number }[]
  UMA1: { bond: string; winner: string; lost: string }
  GRT1: { stake: string; removed: string; reporter: string; burnt: string }
  REP1: { failures: number; score: number; unknown: number }
  HIP17: number[]
  DET: { p: number; q: number; penalty: number }[]
  EMI3: { burnt: string; first: string; half: number; pool: string }
  BME2: { pool: number; others: number; best: number; gain: number; poor: number }
  FEE1: {
    base: string
    target: string
    step8: [string, string][]
    step16: [string, string][]
    path: { start: string; used: number[]; fees: string[] }
  }
  FEE3: number[]
}

export const golden = JSON.parse(readFileSync(new URL('../vectors/economy.json', import.meta.url), 'utf8')) as Golden

/** Equal to so many decimal places. */
export const near = (actual: number, expected: number, places: number, what: string): void =>
  assert.ok(Math.abs(actual - expected) <= 0.5001 * 10 ** -places, `${what}: ${actual}, not ${expected}`)
