/** How plain HTTP requests end, from the application through a paid flow to the origin. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { createProxy } from '../../src/consumer/index.ts'
import { type Observer, silent } from '../../src/protocol/observe.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startConsumer, startProvider } from '../support/pair.ts'

test('an upload that is answered ends in order at the origin, and one that is given up is reset there', async (t) => {
  const chain = new MemoryChain()
  const results: string[] = []
  const count: Observer['count'] = (name, _by, labels) => {
    if (name === 'flows') results.push(labels!.result!)
  }
  const seller = await startProvider({ chain, observer: { ...silent, count } })
  const buyer = await startConsumer({ chain, offers: () => [seller.offer] })
  const proxy = createProxy({ dialer: { dial: (wanted, signal) => buyer.consumer.dial(wanted, signal) } })
  const address = await proxy.listen('127.0.0.1', 0)
  /** Of each connection of the origin, whether it ended with an error. */
  const ends: Promise<boolean>[] = []
  // Answers when the upload is whole, and says its own end only after it heard ours.
  const origin = createServer({ allowHalfOpen: true }, (socket) => {
    ends.push(new Promise((resolve) => socket.once('close', resolve)))
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('payload')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone')
      origin.emit('data')
    })
    socket.once('end', () => socket.end())
  })
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  t.after(async () => {
    await proxy.close(0)
    await buyer.consumer.close()
    await seller.provider.close()
    origin.close()
  })
  const { port } = origin.address() as AddressInfo
  const upload = () => {
    const headers = { host: `127.0.0.1:${port}` }
    return request({ ...address, method: 'POST', path: `http://127.0.0.1:${port}/`, headers, agent: false }).on('error', () => {})
  }

  const answered = upload()
  answered.end('payload')
  const [response] = (await once(answered, 'response')) as [NodeJS.ReadableStream]
  response.resume()
  assert.equal(await ends[0], false)

  const left = upload()
  left.write('half of it')
  await once(origin, 'data')
  left.destroy()
  assert.equal(await ends[1], true)
  assert.deepEqual(results, ['ok', 'CONNECTION_RESET'])
})
