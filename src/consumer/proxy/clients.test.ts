/** Clients nobody here wrote. Skipped where curl is not installed. */
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { BywayError } from '../../protocol/errors.ts'
import { createCertificate } from '../../tunnel/certificate.ts'
import { failingDialer, loopbackDialer, startOrigin, startProxy } from './testing.ts'

const hasCurl = spawnSync('curl', ['--version']).status === 0
const options = { skip: hasCurl ? false : 'curl is not installed' }
const run = promisify(execFile)
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024

/** A proxy set in the environment must not decide the test. */
const CLEAN = { PATH: process.env.PATH }
const curl = async (...args: string[]) => {
  const { stdout } = await run('curl', ['-sS', '--max-time', '30', ...args], {
    env: CLEAN,
    maxBuffer: MOST_OUTPUT_BYTES,
    encoding: 'buffer',
  })
  return stdout
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const BODY = randomBytes(5_000_000)

function serve(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'GET') {
    response.end(request.url === '/big' ? BODY : `${request.headers.host} ${request.url}`)
    return
  }
  const hash = createHash('sha256')
  request.on('data', (chunk: Buffer) => hash.update(chunk))
  request.on('end', () => response.end(hash.digest('hex')))
}

test('curl fetches and uploads over every kind of proxy', options, async (t) => {
  const plain = await startOrigin(t, createServer(serve))
  const { key, cert } = await createCertificate(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, new Date())
  const secure = await startOrigin(t, createTlsServer({ key, cert }, serve))
  const dialer = loopbackDialer()
  const { port } = await startProxy(t, dialer)
  const kinds: [name: string, args: string[]][] = [
    ['absolute form', ['-x', `http://any-country-de@127.0.0.1:${port}`]],
    ['CONNECT', ['-p', '-x', `http://any-country-de@127.0.0.1:${port}`]],
    ['socks5h', ['-x', `socks5h://any-country-de@127.0.0.1:${port}`]],
    ['socks5 with the name at the exit', ['--socks5-hostname', `any-country-de:pw@127.0.0.1:${port}`]],
  ]
  for (const [name, args] of kinds) {
    dialer.requests.length = 0
    const url = `http://origin.test:${plain}`
    assert.equal(String(await curl(...args, `${url}/path?q`)), `origin.test:${plain} /path?q`, name)
    assert.equal(sha256(await curl(...args, `${url}/big`)), sha256(BODY), name)
    const upload = spawn(
      'curl',
      ['-sS', '--max-time', '30', ...args, '-T', '-', '-H', 'Content-Length: 5000000', '-H', 'Transfer-Encoding:', `${url}/up`],
      { env: CLEAN },
    )
    upload.stdin.end(BODY)
    const [answer] = (await once(upload.stdout, 'data')) as Buffer[]
    await once(upload, 'close')
    assert.equal(String(answer), sha256(BODY), name)
    assert.equal(String(await curl(...args, '-k', `https://origin.test:${secure}/s`)), `origin.test:${secure} /s`, name)
    for (const { destination, parameters } of dialer.requests) {
      assert.equal(destination.host, 'origin.test')
      assert.equal(parameters.country, 'de')
    }
  }
})

test('curl sees a stream as it comes', options, async (t) => {
  const origin = await startOrigin(
    t,
    createServer((_request, response) => {
      response.write('first\n')
      responses.push(response)
    }),
  )
  const responses: ServerResponse[] = []
  const { port } = await startProxy(t, loopbackDialer())
  for (const scheme of ['http', 'socks5h']) {
    const client = spawn('curl', ['-sSN', '--max-time', '30', '-x', `${scheme}://127.0.0.1:${port}`, `http://origin.test:${origin}/`], {
      env: CLEAN,
    })
    const [first] = (await once(client.stdout, 'data')) as Buffer[]
    assert.equal(String(first), 'first\n', 'before the origin said more')
    responses.pop()!.end('second\n')
    const [second] = (await once(client.stdout, 'data')) as Buffer[]
    assert.equal(String(second), 'second\n')
    await once(client, 'close')
  }
})

test('curl learns why there is no exit', options, async (t) => {
  const { port } = await startProxy(t, failingDialer(new BywayError('NO_PROVIDER', 'no exit matches country xx')))
  const text = String(await curl('-i', '-x', `http://127.0.0.1:${port}`, 'http://origin.test/'))
  assert.match(
    text,
    /^HTTP\/1\.1 503 [\s\S]*Proxy-Status: byway; error=destination_unavailable; details="NO_PROVIDER: [\s\S]*no exit matches country xx\.\n$/,
  )
  await assert.rejects(curl('-x', `http://127.0.0.1:${port}`, 'https://origin.test/'), /503/)
  await assert.rejects(curl('-x', `socks5h://127.0.0.1:${port}`, 'http://origin.test/'), /\(3\)|network unreachable/i)
  await assert.rejects(curl('-x', `socks5h://any-colour-red@127.0.0.1:${port}`, 'http://origin.test/'), /rejected|auth/i)
})

test('no file of the proxy can open a connection or resolve a name itself', () => {
  const files = readdirSync(import.meta.dirname).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'testing.ts',
  )
  assert.ok(files.includes('index.ts') && files.includes('forward.ts'))
  const allowed = /^(\{[^}]*\}) from '(node:(events|stream|http|net)|\.{1,2}\/[^']*)'/
  const forbidden = /\b(connect|createConnection|Socket|fetch|globalAgent|get)\b/
  for (const file of files) {
    const source = readFileSync(join(import.meta.dirname, file), 'utf8')
    for (const [, imported] of source.matchAll(/^import (?:type )?([\s\S]*?from '[^']+')/gm)) {
      // One file sends datagrams: to applications alone, as checked below.
      if (file === 'udp.ts' && imported!.endsWith("'node:dgram'")) continue
      assert.match(imported!, allowed, file)
      if (/'node:(net|http)'/.test(imported!)) assert.doesNotMatch(imported!, forbidden, `${file}: ${imported}`)
    }
    assert.doesNotMatch(source, /\bfetch\(|import\(|getBuiltinModule|insecureHTTPParser: true/, file)
    for (const [call] of source.matchAll(/(socket|server)\w*\.(send|connect|addMembership)\([\s\S]*?\)\n/gi)) {
      assert.match(call, /^socket\.send\(formatSocksDatagram\(datagram\), port, from\.address\)/, file)
    }
    // The only HTTP client in use gets its streams from the dialer.
    for (const [call] of source.matchAll(/httpRequest\([\s\S]*?\)/g)) assert.match(call, /agent/, file)
  }
  assert.match("{ connect } from 'node:net'", forbidden, 'control')
})
