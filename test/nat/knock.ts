/**
 * A program for a machine behind a NAT: connects twice from one port of its own to two ports of the internet, says which ports were seen there,
 * then listens on its own port until stdin ends. `node knock.ts PORT ADDRESS PORT1 PORT2`; the servers answer with the port they see.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const [localPort, host, ...ports] = process.argv.slice(2)
const seen: number[] = []
for (const port of ports) {
  const socket = connect({ host: host!, port: Number(port), localPort: Number(localPort) })
  const [answer] = (await once(socket, 'data')) as [Buffer]
  seen.push(Number(answer.toString()))
  // A reset leaves nothing behind, so that the port is free again at once.
  socket.resetAndDestroy()
  await once(socket, 'close')
}
const server = createServer((socket) => socket.end('reached'))
server.listen(Number(localPort), '0.0.0.0')
await once(server, 'listening')
process.stdout.write(`${JSON.stringify({ event: 'seen', ports: seen })}\n`)
process.stdin.resume()
await once(process.stdin, 'end')
server.close()
