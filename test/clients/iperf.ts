/** iperf3 through proxychains4: a program that knows no proxy, with its sockets redirected, in both directions. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../support/ports.ts'
import { find } from '../support/programs.ts'
import { type Check, MB } from './check.ts'
import { mustRun } from './programs.ts'

const BYTES = 100 * MB
/**
 * The server stops counting when the client says that it is done, on another connection; what is on its way then lies in the kernel's
 * buffers of three connections. 16 MB were seen, this is twice that.
 */
const ON_ITS_WAY_BYTES = 32 * MB
const START_LIMIT_MS = 15_000

interface Report {
  end: { sum_sent: { bytes: number }; sum_received: { bytes: number; bits_per_second: number } }
}

const check = (what: string, flags: readonly string[]): Check => ({
  client: 'iperf3',
  what: `through proxychains4, ${what}`,
  needs: ['iperf3', 'proxychains4'],
  run: async ({ exchange, folder }) => {
    const server = await startServer()
    try {
      const config = join(folder, 'proxychains.conf')
      const { host, port } = exchange.ready.proxy
      await writeFile(config, `strict_chain\nquiet_mode\n[ProxyList]\nsocks5 ${host} ${port}\n`)
      const client = ['iperf3', '-c', '127.0.0.1', '-p', `${server.port}`, '-n', `${BYTES}`, '-J', ...flags]
      const { out } = await mustRun('proxychains4', ['-q', '-f', config, ...client])
      const { sum_sent: sent, sum_received: received } = (JSON.parse(out) as Report).end
      assert.ok(sent.bytes >= BYTES)
      assert.ok(
        received.bytes <= sent.bytes && received.bytes >= sent.bytes - ON_ITS_WAY_BYTES,
        `${received.bytes} of ${sent.bytes} received`,
      )
      return { result: `${Math.round(received.bits_per_second / MB)} Mbit/s at the receiver`, bytes: received.bytes }
    } finally {
      await server.stop()
    }
  },
})

export const iperfChecks: readonly Check[] = [check('upload', []), check('download (-R)', ['-R'])]

async function startServer() {
  const port = await freePort()
  const server = spawn(find('iperf3')!, ['-s', '-B', '127.0.0.1', '-p', `${port}`, '--forceflush'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('iperf3 -s does not listen')), START_LIMIT_MS)
    server.stdout.on('data', (chunk: Buffer) => {
      if (!chunk.includes('listening')) return
      clearTimeout(timer)
      resolve()
    })
    void ended.then(() => reject(new Error('iperf3 -s ended')))
  })
  return {
    port,
    async stop() {
      server.kill()
      await ended
    },
  }
}
