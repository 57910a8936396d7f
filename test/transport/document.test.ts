/** The offer document at a provider's own port: served to who knows the node, and a page that is not there to everybody else. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { get } from 'node:https'
import { test } from 'node:test'
import { fetchDocument } from '../../src/discovery/index.ts'
import { documentPath } from '../../src/protocol/document.ts'
import { encodeOffer } from '../../src/protocol/offer.ts'
import { offeringNode } from '../../src/protocol/testing.ts'
import { createCertificate, listenTls } from '../../src/tunnel/index.ts'

test('a node serves its newest offer to who knows its key, and strangers find its website', async (t) => {
  const node = offeringNode()
  const offer = encodeOffer(node.offer())
  let served: Uint8Array | undefined
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = await createCertificate(privateKey, new Date())
  const listener = await listenTls(
    { host: '127.0.0.1', port: 0, certificate, nodeKey: node.nodeKey, onFailure: () => {}, document: () => served },
    () => {},
  )
  t.after(() => listener.close())
  const endpoint = `127.0.0.1:${listener.port}`
  const here = (ip: string) => ip === '127.0.0.1'
  await assert.rejects(fetchDocument(endpoint, node.nodeKey, here), { code: 'PROVIDER_UNREACHABLE' }, 'nothing was announced yet')
  served = offer
  assert.deepEqual(Buffer.from(await fetchDocument(endpoint, node.nodeKey, here)), Buffer.from(offer))
  await assert.rejects(
    fetchDocument(endpoint, offeringNode().nodeKey, here),
    { code: 'PROVIDER_UNREACHABLE' },
    'of a node that is not here',
  )
  await assert.rejects(
    fetchDocument(endpoint, node.nodeKey, () => false),
    { code: 'PROVIDER_UNREACHABLE' },
    'private addresses are not dialled',
  )
  await assert.rejects(fetchDocument('localhost:1/../', node.nodeKey, here), { code: 'PROVIDER_UNREACHABLE' }, 'what is no endpoint')
  const status = async (path: string) => {
    const request = get({ host: '127.0.0.1', port: listener.port, path, rejectUnauthorized: false, agent: false })
    const [response] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }]
    response.resume()
    return response.statusCode
  }
  assert.deepEqual([await status('/'), await status(documentPath(offeringNode().nodeKey))], [200, 404])
})
