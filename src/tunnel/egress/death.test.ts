/** A process that is killed with uploads under way: what the origin hears. The child is a process of its own, because it has to die. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { resetOnDeath } from './death.ts'

/** Connects, says a few bytes, ends if it is told to, and waits to be killed. */
const CHILD = `
import { connect } from 'node:net'
import { resetOnDeath } from ${JSON.stringify(new URL('./death.ts', import.meta.url).href)}
const [port, guarded, ends] = process.argv.slice(1)
const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true }, () => {
  if (guarded === 'guarded') resetOnDeath(socket)
  socket.write('half of it')
  if (ends === 'ends') socket.end(() => setImmediate(() => process.send('said')))
  else process.send('said')
})
`

/** How the connection ends at the origin when the child is killed after it said its words. */
async function afterDeath(t: TestContext, ...how: readonly string[]): Promise<string> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', CHILD, String(port), ...how]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [socket] = (await once(server, 'connection')) as [Socket]
  t.after(() => socket.destroy())
  const ended = new Promise<string>((resolve) => {
    socket.once('end', () => resolve('end'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code!))
  })
  // Before the kill: a reset may throw away what was not read yet.
  const [[heard]] = await Promise.all([once(socket, 'data'), once(child, 'message')])
  assert.equal(String(heard), 'half of it')
  child.kill('SIGKILL')
  return await ended
}

test('an upload that its exit was killed over ends with a reset', async (t) => {
  assert.equal(await afterDeath(t, 'guarded', 'goes on'), 'ECONNRESET')
})

test('control: without it the system says an end', async (t) => {
  assert.equal(await afterDeath(t, 'bare', 'goes on'), 'end')
})

test('an upload that was whole when its exit was killed ends in order', async (t) => {
  assert.equal(await afterDeath(t, 'guarded', 'ends'), 'end')
})

test('a connection that does not exist any more is left alone', () => {
  resetOnDeath(new Socket())
})
