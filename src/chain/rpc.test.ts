import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { createRpc, EndpointFault, RpcRefusal, readAnswer } from './rpc.ts'
import { quantitySchema } from './schemas.ts'

interface Reply {
  status?: number
  headers?: Record<string, string>
  body: string
}
type Handler = (method: string, request: IncomingMessage) => Reply | undefined

const CHAIN = 7
const result = (value: unknown): Reply => ({ body: JSON.stringify({ jsonrpc: '2.0', id: 1, result: value }) })
const refusal = (code: number, message: string, data?: unknown): Reply => ({
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message, data } }),
})

/** An endpoint that answers as told; undefined = never. `asked` lists the methods in order. */
async function endpoint(t: TestContext, handler: Handler): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => {
      body += part
    })
    request.on('end', () => {
      const { method } = JSON.parse(body)
      asked.push(method)
      const reply = handler(method, request)
      if (reply) response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers }).end(reply.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const healthy: Handler = (method) => result(method === 'eth_chainId' ? `0x${CHAIN.toString(16)}` : '0x2a')
const ask = (urls: readonly string[], signal?: AbortSignal, timeoutMs = 5_000) =>
  createRpc({ urls, chainId: CHAIN, timeoutMs }).request(quantitySchema, 'eth_blockNumber', [], signal)

test('asks the chain id once, then the question', async (t) => {
  const one = await endpoint(t, healthy)
  const rpc = createRpc({ urls: [one.url], chainId: CHAIN })
  assert.equal(await rpc.request(quantitySchema, 'eth_blockNumber', []), 42n)
  assert.equal(await rpc.request(quantitySchema, 'eth_blockNumber', []), 42n)
  assert.deepEqual(one.asked, ['eth_chainId', 'eth_blockNumber', 'eth_blockNumber'])
})

test('refuses an endpoint of another chain, and does not hide it behind a right one', async (t) => {
  const wrong = await endpoint(t, () => result('0x1'))
  const right = await endpoint(t, healthy)
  await assert.rejects(ask([wrong.url, right.url]), {
    code: 'RPC_WRONG_CHAIN',
    facts: { host: new URL(wrong.url).host, expected: 7, actual: 1 },
  })
  assert.deepEqual(wrong.asked, ['eth_chainId'])
  assert.equal(await ask([right.url]), 42n)
})

test('uses the second endpoint when the first is down, busy, broken, slow or talks nonsense, and stays with it', async (t) => {
  const right = await endpoint(t, healthy)
  const faults: Record<string, Handler> = {
    busy: () => ({ status: 429, body: '{}' }),
    limited: () => refusal(-32005, 'limit exceeded'),
    broken: () => ({ status: 502, body: '<html>bad gateway</html>' }),
    silent: () => undefined,
    prose: () => ({ body: 'hello' }),
    'no result': () => ({ body: '{}' }),
    'other type': () => result(['0x7']),
    redirect: () => ({ status: 307, headers: { location: right.url }, body: '' }),
  }
  const urls = [(await closed()).url]
  for (const handler of Object.values(faults)) urls.push((await endpoint(t, handler)).url)
  for (const url of urls) {
    const before = right.asked.length
    const rpc = createRpc({ urls: [url, right.url], chainId: CHAIN, timeoutMs: 2_000 })
    assert.equal(await rpc.request(quantitySchema, 'eth_blockNumber', []), 42n)
    assert.equal(await rpc.request(quantitySchema, 'eth_blockNumber', []), 42n)
    assert.equal(right.asked.length - before, 3, 'one chain id, two questions')
  }
})

async function closed(): Promise<{ url: string }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return { url: `http://127.0.0.1:${port}` }
}

test('tries again when all endpoints fail, then says so without showing a key', async (t) => {
  let failures = 2
  const flaky = await endpoint(t, (method, request) => (failures-- > 0 ? { status: 503, body: '' } : healthy(method, request)))
  assert.equal(await ask([flaky.url]), 42n, 'the control: the third round succeeds')

  const { port } = new URL((await closed()).url)
  const secret = 'k3y'
  await assert.rejects(
    ask([`http://user:${secret}@127.0.0.1:${port}/${secret}?a=${secret}`]),
    (error: Error & { code?: string; facts?: object }) => {
      assert.equal(error.code, 'RPC_UNREACHABLE')
      assert.match(error.message, /ECONNREFUSED/)
      assert.deepEqual(error.facts, { hosts: `127.0.0.1:${port}`, method: 'eth_blockNumber' })
      for (let at: unknown = error; at instanceof Error; at = at.cause) assert.ok(!`${at.stack}${JSON.stringify(at)}`.includes(secret))
      return true
    },
  )
})

test('sends the credentials of a URL as a header', async (t) => {
  let seen: string | undefined
  const one = await endpoint(t, (method, request) => {
    seen = request.headers.authorization
    return healthy(method, request)
  })
  await ask([one.url.replace('http://', 'http://us%40er:pa%3Ass@')])
  assert.equal(seen, `Basic ${Buffer.from('us@er:pa:ss').toString('base64')}`)
})

test('a refusal is an answer: thrown at once with its revert data, not asked elsewhere', async (t) => {
  const refusing = await endpoint(t, (method, request) =>
    method === 'eth_chainId' ? healthy(method, request) : refusal(3, 'execution reverted', '0xdeadbeef'),
  )
  const other = await endpoint(t, healthy)
  await assert.rejects(ask([refusing.url, other.url]), (error) => {
    assert.ok(error instanceof RpcRefusal)
    assert.deepEqual([error.rpcCode, error.message, error.data], [3, 'execution reverted', '0xdeadbeef'])
    return true
  })
  assert.deepEqual(refusing.asked, ['eth_chainId', 'eth_blockNumber'])
  assert.deepEqual(other.asked, [])
})

test('refuses an answer that is too large', async (t) => {
  const large = await endpoint(t, (method, request) =>
    method === 'eth_chainId' ? healthy(method, request) : { body: ' '.repeat(17 * 1024 * 1024) },
  )
  await assert.rejects(ask([large.url]), { code: 'RPC_UNREACHABLE', message: /exceeds/ })
  const fitting = await endpoint(t, (method, request) => {
    const reply = healthy(method, request)!
    return method === 'eth_chainId' ? reply : { body: ' '.repeat(1024) + reply.body }
  })
  assert.equal(await ask([fitting.url]), 42n)
})

test('stops waiting when the signal says so', async (t) => {
  const silent = await endpoint(t, () => undefined)
  const stop = new AbortController()
  const asking = ask([silent.url], stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(asking, { message: 'enough' })
})

test('refuses what is no http URL without repeating it', () => {
  for (const text of ['', 'localhost:8545', 'ws://k3y@h', 'file:///etc/passwd', 'k3y']) {
    assert.throws(
      () => createRpc({ urls: [text], chainId: CHAIN }),
      (error: Error & { code?: string }) => error.code === 'SETTING_INVALID' && !error.message.includes('k3y'),
      text,
    )
  }
  assert.throws(() => createRpc({ urls: [], chainId: CHAIN }), { code: 'SETTING_INVALID' })
  assert.deepEqual(createRpc({ urls: ['https://k:k@a.example/k', 'http://b.example:1'], chainId: CHAIN }).hosts, [
    'a.example',
    'b.example:1',
  ])
})

test('whatever an endpoint answers, it is a result, a refusal or a fault', () => {
  const odd = fc.oneof(
    fc.string(),
    fc.json({ maxDepth: 3 }),
    fc.record({ result: fc.anything(), error: fc.anything() }, { requiredKeys: [] }).map((value) => fc.stringify(value)),
    fc
      .record({ error: fc.record({ code: fc.anything(), message: fc.anything(), data: fc.anything() }) })
      .map((value) => JSON.stringify(value, plain) ?? ''),
  )
  const seen = { result: 0, refusal: 0, fault: 0 }
  fc.assert(
    fc.property(odd, (text) => {
      try {
        readAnswer(text)
        seen.result++
      } catch (error) {
        if (error instanceof RpcRefusal) seen.refusal++
        else if (error instanceof EndpointFault) seen.fault++
        else throw error
      }
    }),
    { numRuns: 20_000 },
  )
  assert.equal(readAnswer('{"jsonrpc":"2.0","id":1,"result":"0x2a"}'), '0x2a')
  assert.throws(() => readAnswer('{"error":{"code":-32000,"message":"no"}}'), RpcRefusal)
  assert.ok(seen.fault > 0)
})

const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)
