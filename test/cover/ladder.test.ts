/** Links through a website that passes WebSockets on: nginx from Debian, with its own certificate, in front of a node. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { connectLink, createCertificate, type Link, listenTls } from '../../src/tunnel/index.ts'
import { freePort } from '../support/ports.ts'
import { lacks } from '../support/programs.ts'
import { startNginx } from './nginx.ts'

const NODE_KEY = `0x${'4e'.repeat(32)}` as const

test('a link runs through a website that passes WebSockets on, over TLS and in the clear', { skip: lacks('nginx') }, async (t) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = await createCertificate(privateKey, new Date())
  const port = await freePort()
  const cdn = await startNginx(port)
  t.after(() => cdn.stop())
  const links: Link[] = []
  // A minute after its start, as far as tokens are concerned.
  let nowMs = Date.now() - 60_000
  const listener = await listenTls(
    { host: '127.0.0.1', port, certificate, nodeKey: NODE_KEY, nowMs: () => nowMs, onFailure: () => {} },
    (link) => {
      links.push(link)
      link.listen({
        onMessage: ({ name, body }) => name === 'ping' && link.send('pong', body),
        onData(chunk) {
          link.pause()
          link.sendData(chunk, () => link.resume())
        },
        onClose: () => {},
      })
    },
  )
  t.after(() => listener.close())
  const ways = [cdn.cdn!.encrypted, cdn.cdn!.plain].map((site) => ({ kind: 'ws', host: '127.0.0.1', port: site, pin: certificate.pin }))
  const authorities = cdn.certificate.cert
  await assert.rejects(
    connectLink(ways[0]!, NODE_KEY, { authorities }),
    { code: 'PROVIDER_UNREACHABLE' },
    'a token that may be older than the node',
  )
  nowMs = Date.now()
  for (const transport of ways) {
    const link = await connectLink(transport, NODE_KEY, { authorities })
    const sum = Promise.withResolvers<void>()
    let got = 0
    link.listen({
      onMessage: () => {},
      onData: (chunk) => {
        got += chunk.length
        if (got === 1_000_000) sum.resolve()
      },
      onClose: (error) => sum.reject(error ?? new Error('closed')),
    })
    link.sendData(Buffer.alloc(1_000_000, 7), () => {})
    await sum.promise
    link.close()
    await assert.rejects(connectLink(transport, `0x${'4f'.repeat(32)}`, { authorities }), { code: 'PROVIDER_UNREACHABLE' })
    await assert.rejects(connectLink(transport, NODE_KEY), { code: 'PROVIDER_UNREACHABLE' }, 'a website nobody vouches for')
  }
  assert.equal(links.length, 2)
  const seen = await fetchPage(cdn.cdn!.encrypted)
  assert.match(seen, /^HTTP\/1.1 200 OK\r\n/, 'others see the cover through it')
})

async function fetchPage(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  return Buffer.concat(await socket.toArray()).toString()
}
