/** curl, the way most programs will reach the proxy: each thing HTTP and SOCKS can ask of it, seen from both ends. */
import assert from 'node:assert/strict'
import { type Check, MB, type World } from './check.ts'
import { pattern, patternSha256 } from './origin.ts'
import { mustRun, type Ran, type RunOptions, run } from './programs.ts'

const UPLOAD_BYTES = 50 * MB
const DOWNLOAD_BYTES = 20 * MB
const ABORT_AFTER_BYTES = 5 * MB
/** Under the proxy's own limit of 32 KiB for a whole head. */
const BIG_HEADER_BYTES = 24_000

const LINES = ['-sS', '--fail-with-body', '--noproxy', '']
const curl = ({ exchange }: World, args: readonly string[], options?: RunOptions): Promise<Ran> =>
  mustRun('curl', [...LINES, '-x', `http://any@${exchange.proxy}`, ...args], options)
const socks = ({ exchange }: World, flag: string, args: readonly string[]): Promise<Ran> =>
  mustRun('curl', [...LINES, flag, exchange.proxy, ...args])

const check = (what: string, test: Check['run']): Check => ({ client: 'curl', what, needs: ['curl'], run: test })

function hasPattern(ran: Ran, bytes: number): { result: string; bytes: number } {
  assert.equal(ran.bytes, bytes)
  assert.equal(ran.sha256, patternSha256(bytes))
  return { result: `${bytes / MB} MB, sha256 equal`, bytes }
}

export const curlChecks: readonly Check[] = [
  check('HTTP GET', async (world) => hasPattern(await curl(world, [`${world.origin.http}/bytes/${DOWNLOAD_BYTES}`]), DOWNLOAD_BYTES)),

  check('HTTPS through CONNECT, certificate checked', async (world) => {
    const { origin } = world
    return hasPattern(await curl(world, ['--cacert', origin.certificate, `${origin.https}/bytes/${DOWNLOAD_BYTES}`]), DOWNLOAD_BYTES)
  }),

  check('--socks5-hostname, name resolved by the exit', async (world) => {
    const found = await socks(world, '--socks5-hostname', [`http://localhost:${world.origin.port}/bytes/${MB}`])
    // Nobody but the exit knows this name at all.
    const { exit } = JSON.parse((await socks(world, '--socks5-hostname', [world.exchange.ready.whoami])).out) as { exit: string }
    assert.ok(world.exchange.ready.providers.some(({ nodeKey }) => nodeKey === `0x${exit}`))
    return hasPattern(found, MB)
  }),

  check('--socks5, IPv4 literal', async (world) => hasPattern(await socks(world, '--socks5', [`${world.origin.http}/bytes/${MB}`]), MB)),

  check('--socks5, IPv6 literal', async (world) =>
    hasPattern(await socks(world, '--socks5', [`http://[::1]:${world.origin.port}/bytes/${MB}`]), MB),
  ),

  check('HTTP/1.1 upload, 50 MB', async (world) => {
    const { origin } = world
    const { out } = await curl(world, ['--http1.1', '-T', '-', `${origin.http}/upload`], { input: pattern(UPLOAD_BYTES) })
    assert.deepEqual(JSON.parse(out), { bytes: UPLOAD_BYTES, sha256: patternSha256(UPLOAD_BYTES) })
    return { result: `${UPLOAD_BYTES / MB} MB, sha256 equal at the origin`, bytes: UPLOAD_BYTES }
  }),

  check('Expect: 100-continue', async (world) => {
    const { origin } = world
    const body = ['-X', 'POST', '-H', 'Expect: 100-continue', '-H', 'Content-Type: application/octet-stream', '--expect100-timeout', '30']
    const { out, ms } = await curl(world, [...body, '--data-binary', '@-', `${origin.http}/upload`], { input: pattern(MB) })
    assert.deepEqual(JSON.parse(out), { bytes: MB, sha256: patternSha256(MB) })
    assert.deepEqual(
      origin.seen.requests.map(({ continued }) => continued),
      [true],
    )
    // It would wait half a minute for a 100 that did not come.
    assert.ok(ms < 20_000)
    return { result: 'the origin was asked first and its 100 came back', bytes: MB }
  }),

  check('-N: streaming', async (world) => {
    const { origin } = world
    let firstMs: number | undefined
    const startedMs = performance.now()
    // The last part leaves the origin only when curl has printed the first: anything that collects would wait for ever.
    const { out } = await curl(world, ['-N', `${origin.http}/stream`], {
      onData: () => {
        firstMs ??= performance.now() - startedMs
        origin.release()
      },
    })
    assert.equal(out, 'first\nlast\n')
    return { result: `first part after ${Math.round(firstMs!)} ms, before the origin sent the last` }
  }),

  check('HEAD', async (world) => {
    const { out, ms } = await curl(world, ['-I', `${world.origin.http}/bytes/${DOWNLOAD_BYTES}`])
    assert.match(out, /^HTTP\/1\.1 200 /)
    assert.match(out, new RegExp(`^content-length: ${DOWNLOAD_BYTES}\r$`, 'im'))
    assert.equal(world.origin.seen.requests[0]?.method, 'HEAD')
    assert.ok(ms < 20_000)
    return { result: 'length without a body' }
  }),

  check('204 without a body', async (world) => {
    const { out } = await curl(world, ['-w', '%{http_code} %{size_download}', `${world.origin.http}/status/204`])
    assert.equal(out, '204 0')
    return { result: '204, 0 bytes' }
  }),

  check('keep-alive reused', async (world) => {
    const { origin } = world
    const url = `${origin.http}/hello`
    // A route of its own, so that no connection left over from before serves it.
    const fresh = ['-x', `http://any-session-reuse@${world.exchange.proxy}`]
    const { out } = await curl(world, [...fresh, '-w', '%{num_connects}\n', url, url, url])
    assert.equal(out, 'hello\n1\nhello\n0\nhello\n0\n')
    assert.deepEqual([origin.seen.requests.length, origin.seen.connections], [3, 1])
    return { result: '3 requests, 1 connection at both ends' }
  }),

  check('big headers both ways', async (world) => {
    const { origin } = world
    const long = 'q'.repeat(BIG_HEADER_BYTES)
    const { out } = await curl(world, ['-D', '-', '-H', `x-long: ${long}`, `${origin.http}/head?bytes=${BIG_HEADER_BYTES}`])
    assert.equal(origin.seen.requests[0]?.headers['x-long'], long)
    assert.equal(/^x-long: (h+)\r$/im.exec(out)?.[1]?.length, BIG_HEADER_BYTES)
    return { result: `${BIG_HEADER_BYTES} bytes each way` }
  }),

  check('an error of the exit has its own status', async (world) => {
    const closed = 'http://127.0.0.1:1/'
    const { code, out } = await run('curl', [
      '-sS',
      '--noproxy',
      '',
      '-o',
      '/dev/null',
      '-D',
      '-',
      '-x',
      `http://any@${world.exchange.proxy}`,
      closed,
    ])
    assert.equal(code, 0)
    assert.match(out, /^HTTP\/1\.1 502 /)
    assert.match(out, /^proxy-status: byway; error=connection_refused/im)
    return { result: '502, Proxy-Status: connection_refused' }
  }),

  check('an aborted download', async (world) => {
    const { origin } = world
    let got = 0
    const { signal } = await run('curl', [...LINES, '-x', `http://any@${world.exchange.proxy}`, `${origin.http}/bytes/${1_000 * MB}`], {
      onData: (chunk, end) => {
        got += chunk.length
        if (got > ABORT_AFTER_BYTES) end('SIGKILL')
      },
    })
    assert.equal(signal, 'SIGKILL')
    await origin.aborted()
    return { result: `killed after ${Math.floor(got / MB)} MB; the origin was told` }
  }),
]
