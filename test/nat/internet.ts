/**
 * A program for the namespace that is the internet: the chain at 45.0.0.1 port 8545, and an origin at port 80 that sends bytes anyone can
 * compute.
 *
 * It says where things are in a line of JSON, then takes lines: `fund ADDRESS` gives a wallet gas and dollars, `go` lets go of held downloads, `cut` takes
 * the chain away;
 * each is answered by a line. The end of stdin is its own end. Paths: `/BYTES/SEED`, and `/BYTES/SEED/hold` to stop in the middle until `go`.
 */
import { once } from 'node:events'
import { createServer as createHttp, type ServerResponse } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { DOLLAR, deployDevnet, ETHER, fundDevnet, startAnvil } from '../../src/chain/index.ts'
import type { Hex } from '../../src/protocol/bytes.ts'
import { stream } from './stream.ts'
import { INTERNET } from './world.ts'

const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`)
const anvil = await startAnvil()
const contracts = await deployDevnet(anvil.rpc)

const local = new URL(anvil.url)
const rpc = createServer((socket) => {
  const inner = connect(Number(local.port), local.hostname)
  // Whichever is gone takes the other along: a connection kept for later must not look alive when it is not.
  socket.on('error', () => {}).once('close', () => inner.destroy())
  inner.on('error', () => {}).once('close', () => socket.destroy())
  socket.pipe(inner).pipe(socket)
})
rpc.listen(8545, INTERNET)

/** Connections to the chain, for when it is cut off. */
const toChain = new Set<Socket>()
rpc.on('connection', (socket) => void toChain.add(socket.once('close', () => toChain.delete(socket))))

let held: (() => void)[] = []
let onHeld = () => {}
async function send(path: string, response: ServerResponse): Promise<void> {
  const [, bytes, seed, hold] = path.split('/')
  const length = Number(bytes)
  response.writeHead(200, { 'content-length': length })
  let sent = 0
  for (const part of stream(seed ?? '', length)) {
    if (hold === 'hold' && sent >= length / 2 && sent - part.length < length / 2) {
      await new Promise<void>((resolve) => {
        held.push(resolve)
        onHeld()
      })
    }
    sent += part.length
    if (!response.write(part)) await once(response, 'drain')
  }
  response.end()
}
const origin = createHttp((request, response) => void send(request.url ?? '', response))
origin.listen(80, INTERNET)
await Promise.all([once(rpc, 'listening'), once(origin, 'listening')])
say({ event: 'ready', rpc: `http://${INTERNET}:8545`, channels: contracts.channels, token: contracts.dollar })

const lines = createInterface({ input: process.stdin })
async function obey(line: string): Promise<void> {
  const [word, address] = line.split(' ')
  if (word === 'fund') {
    await fundDevnet(anvil.rpc, contracts, address as Hex, { ether: ETHER, dollars: 1_000n * DOLLAR })
    say({ event: 'funded', address })
  } else if (word === 'held') {
    if (held.length === 0) await new Promise<void>((resolve) => (onHeld = resolve))
    say({ event: 'held' })
  } else if (word === 'cut') {
    rpc.close()
    for (const socket of toChain) socket.destroy()
    say({ event: 'cut' })
  } else if (word === 'go') {
    for (const go of held) go()
    held = []
    say({ event: 'went' })
  }
}
lines.on('line', (line) => void obey(line))
await once(lines, 'close')
await anvil.stop()
process.exit(0)
