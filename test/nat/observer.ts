/** A program for the internet: two ports that answer with the port they see. Says which ports they are; ends with stdin. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

const servers = [0, 1].map(() =>
  createServer((socket) => {
    socket.on('error', () => {})
    socket.write(String(socket.remotePort))
  }).listen(0, '0.0.0.0'),
)
await Promise.all(servers.map((server) => once(server, 'listening')))
process.stdout.write(`${JSON.stringify({ event: 'ready', ports: servers.map((server) => (server.address() as AddressInfo).port) })}\n`)
process.stdin.resume()
await once(process.stdin, 'end')
for (const server of servers) server.close()
