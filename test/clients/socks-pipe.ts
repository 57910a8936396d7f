/**
 * Joins standard input and output to a destination through a SOCKS5 proxy: a ProxyCommand for ssh that needs no other program.
 *
 *     node socks-pipe.ts PROXY-HOST PROXY-PORT DESTINATION-HOST DESTINATION-PORT
 */
import { connect } from 'node:net'

const [proxyHost = '', proxyPort = '', host = '', port = ''] = process.argv.slice(2)
const GREETING = Buffer.from([5, 1, 0])
const CHOSEN_BYTES = 2
const REPLY_BYTES = 10

const socket = connect({ host: proxyHost, port: Number(proxyPort), allowHalfOpen: true, noDelay: true })
const name = Buffer.from(host)
const portBytes = Buffer.alloc(2)
portBytes.writeUInt16BE(Number(port))
socket.write(Buffer.concat([GREETING, Buffer.from([5, 1, 0, 3, name.length]), name, portBytes]))

let said = Buffer.alloc(0)
const onAnswer = (chunk: Buffer) => {
  said = Buffer.concat([said, chunk])
  if (said.length < CHOSEN_BYTES + REPLY_BYTES) return
  const reply = said[CHOSEN_BYTES + 1]
  if (reply !== 0) {
    process.stderr.write(`the proxy answers ${reply}\n`)
    process.exit(1)
  }
  socket.off('data', onAnswer)
  process.stdout.write(said.subarray(CHOSEN_BYTES + REPLY_BYTES))
  socket.pipe(process.stdout)
  process.stdin.pipe(socket)
}
socket.on('data', onAnswer)
socket.once('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
// What was received may still be on its way to standard output: the process ends when that is done and nothing is read any more.
socket.once('close', () => process.stdin.destroy())
