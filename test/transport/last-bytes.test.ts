import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { FlowStream } from '../../src/tunnel/index.ts'
import { resetAtAnyMoment } from '../support/reset.ts'
import { booksAgree, endOf, originOf, startPair, until } from './pair.ts'

/** More than a flow holds for a reader that has stopped, less than a stranger may owe beside what it paid for. */
const CONTENT = randomBytes(380_000)

/** How the flow ends, and how much came before. */
async function readOut(flow: FlowStream): Promise<{ how: string; bytes: number }> {
  let bytes = 0
  flow.on('data', (chunk: Buffer) => {
    assert.ok(chunk.equals(CONTENT.subarray(bytes, bytes + chunk.length)))
    bytes += chunk.length
  })
  const how = await endOf(flow)
  return { how, bytes }
}

for (const broken of [true, false]) {
  const name = broken
    ? 'a link that breaks after the provider said its last word, before it was heard'
    : 'control: the same with a link that lives'
  test(`${name}: the flow ends, whole or with an error`, async (t) => {
    const pair = await startPair(t)
    const source = await originOf(t, (socket) => socket.resume().end(CONTENT))
    const flow = await pair.dial(source.port)
    flow.end()
    // Nobody reads: the rest is on its way, and for the provider the flow is over.
    await until(() => source.sockets.size === 0, 'connections to the origin')
    for (let turns = 0; turns < 50; turns++) await turn()
    if (broken) resetAtAnyMoment(pair.connections[1]!)
    const { how, bytes } = await readOut(flow)
    if (how === 'end') assert.equal(bytes, CONTENT.length)
    else assert.ok(broken, how)
    await pair.rest()
    await pair.close()
    const { reasons } = booksAgree(pair)
    assert.deepEqual(reasons, ['shutdown'], 'nobody is called a liar for what a line lost')
  })
}
