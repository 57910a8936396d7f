/**
 * A program for a namespace: listens, keeps its port mapped, and says on stdout what happens, one JSON line each. A line on stdin is half a
 * lifetime gone by; the end of stdin is its own end. `node map-port.ts pcp|nat-pmp|upnp|any`.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { silent, type WarningCode } from '../../src/protocol/observe.ts'
import { blockedReason } from '../../src/tunnel/egress/address.ts'
import { defaultGateway, keepMapped } from '../../src/tunnel/portmap/index.ts'
import { MAPPERS, mapAnyWay } from '../../src/tunnel/portmap/mappers.ts'

const way = process.argv[2] as keyof typeof MAPPERS | 'any'
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`)
const server = createServer((socket) => socket.end('reached'))
server.listen(0, '0.0.0.0')
await once(server, 'listening')
const { port } = server.address() as AddressInfo
const mapper = way === 'any' ? mapAnyWay : MAPPERS[way]

let wake = () => {}
const map = keepMapped({
  port,
  gateway: async () => defaultGateway(readFileSync('/proc/net/route', 'utf8')),
  isPublic: (address) => blockedReason(address, { own: [], allowPrivate: [] }) === undefined,
  onChange: (mapping) => say({ event: 'change', mapping, port }),
  observer: { ...silent, warn: (code: WarningCode, facts) => facts && say({ event: 'warning', code, ...facts }) },
  map: async (request, signal) => {
    const result = await mapper(request, signal)
    say({ event: 'asked', lifetimeS: request.lifetimeS, ok: result.ok })
    return result
  },
  sleep: (ms, signal) =>
    new Promise<void>((resolve) => {
      say({ event: 'waits', ms })
      wake = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
    }),
})
const lines = createInterface({ input: process.stdin })
lines.on('line', () => wake())
await once(lines, 'close')
await map.close()
say({ event: 'closed' })
server.close()
