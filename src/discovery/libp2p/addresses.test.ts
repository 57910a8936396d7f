import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointOf, multiaddrOf, parseEndpoint, reachableBy } from './addresses.ts'

test('public addresses of both families are dialled, private ones only where they are allowed', () => {
  // Of both families, as the table of the egress is: `::/3` would take every IPv4 address for its form in IPv6.
  const blocked = ['10.0.0.0/8', '127.0.0.0/8', 'fc00::/7', '::1/128', '::/3']
  const mayDial = reachableBy({ blocked, allowed: ['10.1.0.0/16', 'fd00:1::/32'] })
  const asked = ['45.1.0.2', '2a01:4f8::1', '10.1.2.3', 'fd00:1::5', '10.2.0.1', '127.0.0.1', 'fd00:2::1', '::1', 'example.net', '']
  assert.deepEqual(asked.map(mayDial), [true, true, true, true, false, false, false, false, false, false])
})

test('of all multiaddrs those of an IP address and a TCP port are read', () => {
  const at = { host: '45.1.0.2', port: 4434 }
  assert.deepEqual(endpointOf(multiaddrOf(at)), at)
  assert.deepEqual(endpointOf(multiaddrOf({ host: '2a01:4f8::1', port: 1 }, '12D3KooWPeer')), { host: '2a01:4f8::1', port: 1 })
  for (const other of [
    '/dns4/a.example/tcp/1',
    '/ip4/45.1.0.2/udp/1/quic-v1',
    '/ip4/45.1.0.2/tcp/0',
    '/ip4/45.1.0.2/tcp/1/p2p-circuit',
    '/ip4/::1/tcp/1',
  ]) {
    assert.equal(endpointOf(other), undefined, other)
  }
})

test('an endpoint is a host and a port, and nothing that could mean more', () => {
  assert.deepEqual(parseEndpoint('node.example:443'), { host: 'node.example', port: 443 })
  assert.deepEqual(parseEndpoint('[2a01::1]:443'), { host: '2a01::1', port: 443 })
  for (const other of ['node.example', 'a@b:1', 'a/b:1', '2a01::1:443', ':1', 'a:0', 'a:65536', 'a:1\r\nX: y'])
    assert.equal(parseEndpoint(other), undefined, other)
})
