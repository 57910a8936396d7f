/**
 * Consumers that lie about what they have when they come back: another's session, offsets that cannot be, flows that are not theirs. Whatever
 * they say, an honest one beside them goes on, and what they hold is bounded.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { MAX_EARLY_BYTES, MAX_UNACKED_BYTES } from '../../src/protocol/flow.ts'
import { PROTOCOL_VERSION } from '../../src/protocol/messages.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { type ProviderOptions, startProvider } from '../support/pair.ts'
import { dial, openRoot, Rogue, type Talk, until } from './rogue.ts'
import { echo, firehose, type Origin, origin, Recorder, settled, sink } from './world.ts'

const QUICK = { limitMs: 500, againMs: 10 }

async function world(t: TestContext, onSocket: Parameters<typeof origin>[0] = echo, options: Partial<ProviderOptions> = {}) {
  const chain = new MemoryChain()
  const observer = new Recorder()
  const seller = await startProvider({ chain, observer, ...options })
  const source = await origin(onSocket)
  t.after(async () => {
    await seller.provider.close()
    await seller.vault.close()
    await source.close()
  })
  const rogue = await Rogue.open(seller, openRoot(chain, seller.payee, { caps: [10_000_000n] }))
  return { chain, seller, observer, source, rogue }
}

/** A flow that said something and heard it back; its id. */
async function talking(rogue: Rogue, { port }: Origin, words = 'hello'): Promise<Talk> {
  const flow = await rogue.flow(port)
  flow.link.sendData(Buffer.from(words))
  await flow.bytes(BigInt(words.length))
  return flow
}

/** The witness: on this link a flow can be opened, and echoes. */
async function works(rogue: Rogue, link: Talk, { port }: Origin): Promise<void> {
  const before = link.received
  await rogue.reopen(link, port)
  link.link.sendData(Buffer.from('still here'))
  await link.bytes(before + 10n)
}

test('a session is rejoined with its token only; the control link of before is closed then', async (t) => {
  const { seller, rogue, source } = await world(t)
  const { sessionId, token } = rogue.accepted
  const flip = (hex: `0x${string}`) => `${hex.slice(0, -1)}${hex.endsWith('0') ? '1' : '0'}` as `0x${string}`
  for (const [id, shown] of [
    [sessionId, flip(token)],
    [flip(sessionId), token],
  ] as const) {
    const thief = await dial(seller)
    thief.send('rejoin', { version: PROTOCOL_VERSION, sessionId: id, token: shown })
    assert.equal((await thief.next('refused')).body.code, 'SESSION_UNKNOWN')
  }
  assert.ok(!rogue.control.closed)
  const flow = await talking(rogue, source)
  const owner = await dial(seller)
  owner.send('rejoin', { version: PROTOCOL_VERSION, sessionId, token })
  assert.equal((await owner.next('rejoined')).body.cumulative, 0n)
  assert.deepEqual((await owner.next('meter')).body, { sessionId, up: 5n, down: 5n })
  await rogue.control.gone()
  // Its flows did not notice, and payments count on the new link.
  flow.link.sendData(Buffer.from('again'))
  await flow.bytes(10n)
  owner.send('pay', rogue.statement(10n, 10n))
  await owner.next('paid')
  owner.send('bye', { code: 'SESSION_UNKNOWN', message: 'done' })
  await until(() => seller.provider.sessions().length === 0, 'the session ended')
})

test('a flow that is not there cannot be resumed, and the link is free for another', async (t) => {
  const { rogue, seller, chain, source } = await world(t)
  const stranger = await Rogue.open(seller, openRoot(chain, seller.payee))
  await talking(stranger, source)
  const link = await rogue.attach()
  // Flow 1 is there, in another session.
  for (const flowId of [1, 4_000_000_000]) {
    link.send('resume', { flowId, received: 0n, over: 0 })
    assert.equal((await link.next('failed')).body.code, 'FLOW_UNKNOWN')
  }
  await works(rogue, link, source)
})

test('offsets that cannot be end the link, and the flow with it; true ones let it go on', async (t) => {
  const { rogue, observer, source } = await world(t)
  const lies = [
    { received: 6n, over: 0 },
    { received: 2n ** 64n - 1n, over: 0 },
    { received: 5n, over: 1 },
  ]
  let flowId = 0
  for (const lie of lies) {
    const old = await talking(rogue, source)
    flowId++
    const link = await rogue.attach()
    const before = observer.counted('malformed', 'link')
    link.send('resume', { flowId, ...lie })
    await link.gone()
    await old.gone()
    assert.deepEqual((await rogue.control.next('lost')).body, { flowId, up: 5n, down: 5n })
    assert.equal(observer.counted('malformed', 'link'), before + 1)
  }
  // And less than was acknowledged.
  const forgetful = await talking(rogue, source)
  flowId++
  forgetful.send('ack', { received: 4n })
  forgetful.link.sendData(Buffer.from('!'))
  await forgetful.bytes(6n)
  const link = await rogue.attach()
  link.send('resume', { flowId, received: 3n, over: 0 })
  await link.gone()
  await rogue.control.next('lost')
  // The truth, while the old link still lives: it goes on from there.
  const old = await talking(rogue, source)
  flowId++
  const honest = await rogue.attach()
  honest.send('resume', { flowId, received: 2n, over: 0 })
  assert.deepEqual((await honest.next('resumed')).body, { received: 5n, over: 0 })
  await honest.bytes(3n)
  await old.gone()
  honest.link.sendData(Buffer.from('more'))
  await honest.bytes(7n)
  const sent = [...observer.counters].filter(([key]) => key.startsWith('bytes')).reduce((sum, [, count]) => sum + count, 0)
  assert.equal(sent, 4 * 10 + 2 + 10 + 8, 'what was sent again counts once')
})

test('two resumes at once: the later link carries it, and nothing is lost', async (t) => {
  const { rogue, source } = await world(t)
  await talking(rogue, source)
  const links = await Promise.all([rogue.attach(), rogue.attach(), rogue.attach()])
  for (const link of links) link.send('resume', { flowId: 1, received: 0n, over: 0 })
  await until(() => links.filter(({ closed }) => closed).length === 2, 'two are closed')
  const last = links.find(({ closed }) => !closed)!
  await last.bytes(5n)
  last.link.sendData(Buffer.from('more'))
  await last.bytes(9n)
})

test('a flow whose done was lost is done again, with the same totals; whoever missed the last word hears it first', async (t) => {
  const { rogue, source } = await world(t)
  const flow = await talking(rogue, source)
  flow.send('end', {})
  const { body } = await flow.next('done')
  flow.link.destroy()
  const link = await rogue.attach()
  link.send('resume', { flowId: 1, received: 5n, over: 1 })
  assert.deepEqual((await link.next('done')).body, body)
  assert.deepEqual(body, { up: 5n, down: 5n })
  const other = await rogue.attach()
  other.send('resume', { flowId: 1, received: 5n, over: 0 })
  for (const name of ['resumed', 'end', 'done'] as const) await other.next(name)
  // A link that is used again heard it: then it is forgotten.
  await works(rogue, other, source)
  const late = await rogue.attach()
  late.send('resume', { flowId: 1, received: 5n, over: 1 })
  assert.equal((await late.next('failed')).body.code, 'FLOW_UNKNOWN')
})

test('a flow is not done before every byte arrived', async (t) => {
  const said = Buffer.alloc(100_000, 'w')
  const { rogue } = await world(t)
  const talker = await origin((socket) => socket.resume().end(said))
  t.after(() => talker.close())
  const link = await rogue.attach()
  link.acknowledges = false
  await rogue.reopen(link, talker.port)
  link.send('end', {})
  await link.bytes(100_000n)
  await link.next('end')
  await settled(() => BigInt(link.inbox.length))
  assert.ok(!link.inbox.some(({ name }) => name === 'done'))
  link.link.destroy()
  // All of it is still there.
  const again = await rogue.attach()
  again.acknowledges = false
  again.send('resume', { flowId: 1, received: 40_000n, over: 0 })
  await again.next('resumed')
  await again.bytes(60_000n)
  await again.next('end')
  again.send('ack', { received: 100_000n })
  assert.deepEqual((await again.next('done')).body, { up: 0n, down: 100_000n })
})

test('acknowledging more than was sent ends the flow', async (t) => {
  const { rogue, source } = await world(t)
  const flow = await talking(rogue, source)
  flow.send('ack', { received: 5n })
  flow.link.sendData(Buffer.from('fine'))
  await flow.bytes(9n)
  flow.send('ack', { received: 10n })
  await flow.gone()
  assert.deepEqual((await rogue.control.next('lost')).body, { flowId: 1, up: 9n, down: 9n })
})

test('one that never acknowledges, though it pays, gets what a flow may keep and no more', async (t) => {
  const { rogue, source } = await world(t, firehose())
  const flow = await rogue.attach()
  flow.acknowledges = false
  await rogue.reopen(flow, source.port)
  const paying = async () => {
    for (let paid = 0n; ; ) {
      const got = await settled(() => flow.received)
      if (got === paid) return got
      await rogue.pay(0n, got)
      paid = got
    }
  }
  // The last chunk that fitted may be a whole one.
  const most = BigInt(MAX_UNACKED_BYTES + 65_536)
  await rogue.pay(0n, 64n * 1024n * 1024n)
  const got = await paying().catch(() => flow.received)
  assert.ok(got <= most && got >= BigInt(MAX_UNACKED_BYTES), `${got} bytes`)
  flow.send('ack', { received: got })
  await flow.bytes(got + 1_000_000n)
})

test('first bytes beyond what may be early end the link; so does more of them after the flow failed', async (t) => {
  const dialling = Promise.withResolvers<never>()
  const { rogue, source, seller } = await world(t, sink, {
    dial: async (host, port) => {
      if (host === 'slow.test') return dialling.promise
      const { dialLoopback } = await import('../support/pair.ts')
      return dialLoopback(host, port)
    },
  })
  const open = (link: Talk, flowId: number) => link.send('open', { flowId, protocol: 0, host: 'slow.test', port: 80 })
  const greedy = await rogue.attach()
  open(greedy, 1_000)
  greedy.link.sendData(Buffer.alloc(MAX_EARLY_BYTES + 1))
  await greedy.gone()
  const [fits, floods] = [await rogue.attach(), await rogue.attach()]
  open(fits, 1_001)
  open(floods, 1_002)
  for (const link of [fits, floods]) link.link.sendData(Buffer.alloc(MAX_EARLY_BYTES))
  await settled(() => BigInt(seller.provider.sessions()[0]!.links))
  dialling.reject(new Error('no such host'))
  for (const link of [fits, floods]) assert.equal((await link.next('failed')).body.code, 'HOST_UNREACHABLE')
  floods.link.sendData(Buffer.alloc(1))
  await floods.gone()
  // The one that says `reset`, as it should, uses its link again; nothing of it was delivered or counted.
  fits.send('reset', {})
  await rogue.reopen(fits, source.port)
  fits.link.sendData(Buffer.from('counted'))
  await until(() => source.received === 7, 'it is delivered')
  assert.equal(seller.provider.sessions()[0]!.up, 7n)
})

test('a flow that finds no link in time is given up and told of; one that comes back hears of it again', async (t) => {
  const { rogue, seller, source } = await world(t, echo, { outage: QUICK })
  const flow = await talking(rogue, source)
  flow.link.destroy()
  assert.deepEqual((await rogue.control.next('lost')).body, { flowId: 1, up: 5n, down: 5n })
  await until(() => source.sockets.size === 0, 'the destination is let go')
  const { sessionId, token } = rogue.accepted
  const back = await dial(seller)
  back.send('rejoin', { version: PROTOCOL_VERSION, sessionId, token })
  await back.next('rejoined')
  assert.deepEqual((await back.next('lost')).body, { flowId: 1, up: 5n, down: 5n })
  const link = await rogue.attach()
  link.send('resume', { flowId: 1, received: 5n, over: 0 })
  assert.equal((await link.next('failed')).body.code, 'FLOW_UNKNOWN')
  await works(rogue, link, source)
})

test('a session that does not come back in time ends, and its row is closed', async (t) => {
  const { rogue, seller, observer } = await world(t, echo, { outage: QUICK })
  const { sessionId, token } = rogue.accepted
  rogue.control.link.destroy()
  await until(() => seller.provider.sessions().length === 0, 'it ended')
  assert.equal(observer.counted('sessions', 'peer-lost'), 1)
  const late = await dial(seller)
  late.send('rejoin', { version: PROTOCOL_VERSION, sessionId, token })
  assert.equal((await late.next('refused')).body.code, 'SESSION_UNKNOWN')
})
