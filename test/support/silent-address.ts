/** An address at which nothing answers, as where a machine is switched off: a server whose queue is full, in a process that accepts nobody. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** Far above what a connection on this machine takes. */
const UNANSWERED_MS = 500

const PROGRAM = `
const server = require('node:net').createServer()
server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  require('node:fs').writeSync(1, String(server.address().port))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})`

/** Its port on loopback. */
export async function silentPort(t: TestContext): Promise<number> {
  const child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] })
  const fillers: Socket[] = []
  t.after(() => {
    for (const socket of fillers) socket.destroy()
    child.kill('SIGKILL')
  })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(String(said))
  // The system answers until the queue is full.
  for (let answered = true; answered; ) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    fillers.push(socket)
    answered = await Promise.race([
      once(socket, 'connect').then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, UNANSWERED_MS, false)),
    ])
  }
  return port
}
