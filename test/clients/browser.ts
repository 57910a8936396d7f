/** Chromium loads a page with 30 subresources, as a browser whose proxy setting names ours. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { find } from '../support/programs.ts'
import type { Check } from './check.ts'
import { PAGE_BYTES, SUBRESOURCES } from './page.ts'
import { cleanEnv } from './programs.ts'

const FLAGS = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic']

const check = (what: string, scheme: 'http' | 'socks5', origin: 'http' | 'https'): Check => ({
  client: 'chromium',
  what: `page with ${SUBRESOURCES} subresources, ${what}`,
  needs: ['chromium'],
  run: async (world) => {
    const browser = await chromium.launch({
      executablePath: find('chromium')!,
      args: FLAGS,
      // Chromium goes around every proxy for loopback, unless this says not to.
      proxy: { server: `${scheme}://${world.exchange.proxy}`, bypass: '<-loopback>' },
      env: cleanEnv() as Record<string, string>,
    })
    try {
      const page = await browser.newPage({ viewport: { width: 760, height: 380 }, ignoreHTTPSErrors: true })
      await page.goto(`${world.origin[origin]}/page`, { waitUntil: 'load' })
      await page.waitForFunction("document.title.startsWith('loaded')")
      assert.equal(await page.title(), `loaded ${SUBRESOURCES}`)
      const asked = new Set(world.origin.seen.requests.map(({ url }) => url).filter((url) => url.startsWith('/sub/')))
      assert.equal(asked.size, SUBRESOURCES)
      await page.screenshot({ path: join(world.folder, `chromium-${scheme}-${origin}.png`) })
      return { result: `the page counts ${SUBRESOURCES}, the origin ${asked.size}`, bytes: PAGE_BYTES }
    } finally {
      await browser.close()
    }
  },
})

export const browserChecks: readonly Check[] = [
  check('HTTP proxy', 'http', 'http'),
  check('HTTP proxy, https', 'http', 'https'),
  check('SOCKS5 proxy', 'socks5', 'http'),
]
