/** wrk: 200 connections that ask as fast as they are answered. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Check } from './check.ts'
import { mustRun } from './programs.ts'

const CONNECTIONS = 200
const DURATION_S = 10
const BODY = 'hello\n'

interface Summary {
  requests: number
  wrong: number
  status: number
  connect: number
  read: number
  write: number
  timeout: number
  us: number
  p50us: number
  p99us: number
}

export const loadChecks: readonly Check[] = [
  {
    client: 'wrk',
    what: `${CONNECTIONS} connections for ${DURATION_S} s, every body compared`,
    needs: ['wrk'],
    run: async ({ exchange, origin }) => {
      const script = ['-s', join(import.meta.dirname, 'wrk.lua'), `http://${exchange.proxy}`, '--', `${origin.http}/hello`, BODY]
      const { out } = await mustRun('wrk', ['-t', '2', '-c', `${CONNECTIONS}`, '-d', `${DURATION_S}s`, '--timeout', '10s', ...script])
      const { requests, us, p50us, p99us, ...faults } = JSON.parse(out.trim().split('\n').at(-1)!) as Summary
      assert.deepEqual(faults, { wrong: 0, status: 0, connect: 0, read: 0, write: 0, timeout: 0 })
      assert.ok(requests > CONNECTIONS)
      const rate = Math.round((requests * 1e6) / us)
      return {
        result: `${requests} requests, ${rate}/s, p50 ${Math.round(p50us / 1000)} ms, p99 ${Math.round(p99us / 1000)} ms, 0 errors`,
        bytes: requests * BODY.length,
      }
    },
  },
]
