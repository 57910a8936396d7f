/** Puts the page at the root of the API's address, compressed, and made once for all who ask in the same moment. */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { z } from 'zod'
import type { Clock } from '../../protocol/clock.ts'
import type { PublicApi } from '../api/app.ts'
import { answerCache } from '../api/cache.ts'
import { CONTENT_SECURITY_POLICY, type Health, page, RANGES, type Range } from './index.ts'

const range = z.enum(Object.keys(RANGES) as [Range, ...Range[]]).catch('day')
const compress = promisify(gzip)

export function servePage(api: PublicApi, health: () => Health, clock: Clock): void {
  const pages = answerCache(clock)
  api.app.get('/', async (context) => {
    const chosen = range.parse(context.req.query('range'))
    const text = await pages.get(chosen, () => page(api, health(), chosen, Math.floor(clock.nowMs() / 1_000)))
    const headers = {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'referrer-policy': 'no-referrer',
      'cache-control': 'public, max-age=5',
      vary: 'accept-encoding',
    }
    if (!/\bgzip\b/.test(context.req.header('accept-encoding') ?? '')) return context.body(text, 200, headers)
    return context.body(new Uint8Array(await compress(text)), 200, { ...headers, 'content-encoding': 'gzip' })
  })
}
