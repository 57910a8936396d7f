import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Gate, splice } from './splice.ts'

/** Two ends of a connection on loopback. */
async function pair(t: TestContext): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true })
  const [far] = (await once(server, 'connection')) as [Socket]
  t.after(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return [near, far]
}

async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (part: Buffer) => (text += part.toString()))
  await once(socket, 'end')
  return text
}

test('the last piece is not cut off when it waits at the gate while its source closes', async (t) => {
  for (const waits of [true, false]) {
    const [origin, nearOrigin] = await pair(t)
    const [application, nearApplication] = await pair(t)
    const asked = Promise.withResolvers<void>()
    const granted = Promise.withResolvers<void>()
    const gate: Gate = () => {
      asked.resolve()
      return waits ? granted.promise : true
    }
    // The application has said all it will say, the origin answers and is gone.
    application.end('question')
    origin.end('answer')
    await once(nearOrigin, 'readable')
    void splice(nearApplication, nearOrigin, { bToA: gate })
    const answer = readAll(application)
    await asked.promise
    origin.resume()
    await once(nearOrigin, 'close')
    granted.resolve()
    assert.equal(await answer, 'answer', `waits at the gate: ${waits}`)
  }
})
