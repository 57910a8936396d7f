/**
 * A listener in a process that may open few files; floods.test.ts starts it under `ulimit -n`. Prints its port and pin, then a line for each
 * link, which it answers with a pong.
 */
import { generateKeyPairSync } from 'node:crypto'
import { createCertificate, listenTls } from '../../src/tunnel/index.ts'

/** Of no node: both ends only have to agree on it. */
const NODE_KEY = `0x${'4e'.repeat(32)}` as const
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const certificate = await createCertificate(privateKey, new Date())
const onFailure = () => {}
const listener = await listenTls({ host: '127.0.0.1', port: 0, certificate, nodeKey: NODE_KEY, onFailure }, (link) => {
  link.listen({ onMessage: () => link.send('pong', { nonce: 0n }), onData: () => {}, onClose: () => {} })
})
console.log(JSON.stringify({ port: listener.port, pin: certificate.pin }))
// It ends with its parent.
process.stdin.resume().once('end', () => process.exit())
