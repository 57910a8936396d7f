import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { BywayError } from '../protocol/errors.ts'
import { apiApp, type Routes, standardRoutes } from './app.ts'
import { callDaemon } from './client.ts'
import { createMetrics } from './metrics.ts'
import { serveApi } from './server.ts'
import { socketPath } from './socket.ts'
import { createWarnings } from './warnings.ts'

async function tempHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'byway-api-'))
  t.after(() => rm(home, { recursive: true, force: true }))
  return home
}
async function served(t: TestContext, routes: Routes, home?: string) {
  const path = socketPath(home ?? (await tempHome(t)), {})
  const server = await serveApi(apiApp(routes), path)
  t.after(() => server.close())
  return { path, server }
}
const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

test('answers JSON with amounts as decimal strings, and errors as problem documents with our code', async () => {
  const app = apiApp({
    'GET /v1/status': () => ({ deposit: 5n }),
    'POST /v1/claim': ({ body }) => ({ got: body }),
    'GET /v1/broken': () => {
      throw new BywayError('CLAIM_NOTHING', 'nothing to claim', { facts: { channels: 0, least: 1n }, hint: 'wait' })
    },
  })
  const ok = await app.request('/v1/status')
  assert.deepEqual([ok.status, await ok.json()], [200, { deposit: '5' }])
  const posted = await app.request('/v1/claim', { method: 'POST', body: '{"fee":"1"}' })
  assert.deepEqual(await posted.json(), { got: { fee: '1' } })
  const broken = await app.request('/v1/broken')
  assert.equal(broken.status, 409)
  assert.equal(broken.headers.get('content-type'), 'application/problem+json')
  assert.deepEqual(await broken.json(), {
    type: 'urn:byway:error:CLAIM_NOTHING',
    title: 'CLAIM_NOTHING',
    status: 409,
    detail: 'nothing to claim',
    code: 'CLAIM_NOTHING',
    facts: { channels: 0, least: '1' },
    hint: 'wait',
    retry: true,
  })
})

test('refuses unknown routes, bodies that are not JSON and bodies that are too long', async () => {
  const app = apiApp({ 'POST /v1/claim': ({ body }) => body ?? {} })
  const ask = async (path: string, init?: RequestInit) => ((await (await app.request(path, init)).json()) as { code?: string }).code
  assert.equal(await ask('/v1/claim', { method: 'POST', body: '{}' }), undefined)
  assert.equal(await ask('/v1/claim', { method: 'POST' }), undefined)
  assert.equal(await ask('/v1/claims', { method: 'POST' }), 'ROUTE_UNKNOWN')
  assert.equal(await ask('/v1/claim'), 'ROUTE_UNKNOWN')
  assert.equal(await ask('/v1/claim', { method: 'POST', body: '{' }), 'ARGUMENT_INVALID')
  assert.equal(await ask('/v1/claim', { method: 'POST', body: `"${'x'.repeat(70_000)}"` }), 'MESSAGE_TOO_LARGE')
})

test('what a library threw leaves without the key in its address', async () => {
  const app = apiApp({
    'GET /v1/status': () => {
      throw new Error('request to https://rpc.example/v3/secret failed\nmore')
    },
  })
  const answer = await app.request('/v1/status')
  assert.equal(answer.status, 500)
  const text = await answer.text()
  assert.ok(text.includes('INTERNAL') && text.includes('https://rpc.example/***') && !text.includes('secret') && !text.includes('more'))
})

test('every daemon tells its health, metrics and warnings', async () => {
  const warnings = createWarnings(() => 7)
  const metrics = createMetrics({ version: '1', warnings, gauges: {} })
  warnings.set('DEPOSIT_LOW', { left: 1 })
  const app = apiApp(standardRoutes({ metrics, warnings, health: () => ({ ok: true }) }))
  assert.deepEqual(await (await app.request('/healthz')).json(), { ok: true })
  const listed = (await (await app.request('/v1/warnings')).json()) as { warnings: { code: string; sinceMs: number }[] }
  assert.deepEqual([listed.warnings[0]?.code, listed.warnings[0]?.sinceMs], ['DEPOSIT_LOW', 7])
  const page = await app.request('/metrics')
  assert.equal(page.headers.get('content-type'), metrics.contentType)
  assert.match(await page.text(), /byway_warning\{code="DEPOSIT_LOW"\} 1/)
})

test('the command reaches the daemon over a socket that only the owner can open', async (t) => {
  const { path } = await served(t, { 'GET /v1/status': ({ query }) => query, 'POST /v1/claim': ({ body }) => body })
  assert.deepEqual(await callDaemon(path, 'GET /v1/status?all=1'), { all: '1' })
  assert.deepEqual(await callDaemon(path, 'POST /v1/claim', { body: { fee: 2n } }), { fee: '2' })
  assert.equal(await mode(path), '600')
  assert.equal(await mode(dirname(path)), '700')
})

test("the daemon's error is thrown in the command with its code, facts and hint", async (t) => {
  const { path } = await served(t, {
    'POST /v1/claim': () => {
      throw new BywayError('CLAIM_FEE_TOO_HIGH', 'the fee eats the claim', { facts: { fee: 5 }, hint: 'lower it' })
    },
  })
  await assert.rejects(callDaemon(path, 'POST /v1/claim'), {
    name: 'BywayError',
    code: 'CLAIM_FEE_TOO_HIGH',
    facts: { fee: 5 },
    hint: 'lower it',
  })
  await assert.rejects(callDaemon(path, 'GET /v1/nothing'), { code: 'ROUTE_UNKNOWN' })
})

test('without a daemon, after one, and with one that hangs, the command says that none answers', async (t) => {
  const hang = Promise.withResolvers<never>()
  const { path, server } = await served(t, { 'GET /healthz': () => ({ ok: true }), 'GET /v1/status': () => hang.promise })
  assert.deepEqual(await callDaemon(path, 'GET /healthz'), { ok: true })
  await assert.rejects(callDaemon(path, 'GET /v1/status', { timeoutMs: 20 }), {
    code: 'DAEMON_UNREACHABLE',
    facts: { socket: path, why: 'no answer in time' },
  })
  await server.close()
  await assert.rejects(callDaemon(path, 'GET /healthz'), { code: 'DAEMON_UNREACHABLE' })
  await assert.rejects(callDaemon(join(await tempHome(t), 'api.sock'), 'GET /healthz'), { code: 'DAEMON_UNREACHABLE' })
})

test('a caller that gives up gets its own reason, not an error about the daemon', async (t) => {
  const hang = Promise.withResolvers<never>()
  const { path } = await served(t, { 'GET /v1/status': () => hang.promise })
  const giveUp = new AbortController()
  const asked = callDaemon(path, 'GET /v1/status', {}, giveUp.signal)
  giveUp.abort(new Error('enough'))
  await assert.rejects(asked, /enough/)
})

test('takes over the socket of a daemon that was killed, but nothing else that lies there', async (t) => {
  const home = await tempHome(t)
  const path = socketPath(home, {})
  await mkdir(dirname(path))
  // Ending without unlinking is what kill -9 leaves: listen on another name, then rename it into place.
  const dead = createServer().listen(join(home, 'dead.sock'))
  await new Promise((resolve) => dead.once('listening', resolve))
  await rename(join(home, 'dead.sock'), path)
  await new Promise((resolve) => dead.close(resolve))
  assert.ok((await stat(path)).isSocket())
  const server = await serveApi(apiApp({ 'GET /healthz': () => ({ ok: true }) }), path)
  assert.deepEqual(await callDaemon(path, 'GET /healthz'), { ok: true })
  await server.close()
  await writeFile(path, 'mine')
  await assert.rejects(serveApi(apiApp({}), path), { code: 'SOCKET_UNSAFE' })
})

test('closes its folder to others, and refuses one that is a link', async (t) => {
  const home = await tempHome(t)
  const path = socketPath(home, {})
  await mkdir(dirname(path))
  await chmod(dirname(path), 0o755)
  const server = await serveApi(apiApp({}), path)
  assert.equal(await mode(dirname(path)), '700')
  await server.close()
  await rm(dirname(path), { recursive: true })
  await mkdir(join(home, 'elsewhere'))
  await symlink(join(home, 'elsewhere'), dirname(path))
  await assert.rejects(serveApi(apiApp({}), path), { code: 'SOCKET_UNSAFE' })
})

test('a deep home gets a short path that follows from it, the same for daemon and command', () => {
  const deep = `/tmp/${'d'.repeat(120)}`
  assert.equal(socketPath('/home/x/byway', {}), '/home/x/byway/run/api.sock')
  assert.match(socketPath(deep, { XDG_RUNTIME_DIR: '/run/user/7' }), /^\/run\/user\/7\/byway\/[0-9a-f]{16}\.sock$/)
  assert.equal(socketPath(deep, {}), socketPath(`${deep}/x/..`, {}))
  assert.notEqual(socketPath(deep, {}), socketPath(`${deep}e`, {}))
  assert.ok(socketPath(deep, { XDG_RUNTIME_DIR: `/${'r'.repeat(120)}` }).length <= 100)
})

test('closing ends a request that would hang', async (t) => {
  const hang = Promise.withResolvers<never>()
  const reached = Promise.withResolvers<void>()
  const { path, server } = await served(t, {
    'GET /v1/status': () => {
      reached.resolve()
      return hang.promise
    },
  })
  const asked = assert.rejects(callDaemon(path, 'GET /v1/status'), { code: 'DAEMON_UNREACHABLE' })
  await reached.promise
  await server.close()
  await asked
})
