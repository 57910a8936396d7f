/**
 * Every message in every state, at both ends: where it has no place the link ends, it is counted, and the session and its other links go on.
 *
 * The tables below say what is allowed where; everything else must be refused. A message that is missing from a table is therefore tested too.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { parseDestination } from '../../src/protocol/destination.ts'
import {
  DATA_TYPE,
  encodeMessage,
  frameHeader,
  MAX_DATA_BYTES,
  MAX_MESSAGE_BYTES,
  MESSAGES,
  type Message,
  type MessageName,
  PROTOCOL_VERSION,
} from '../../src/protocol/messages.ts'
import type { FlowStream, Link } from '../../src/tunnel/index.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, dialLoopback, startConsumer, startProvider } from '../support/pair.ts'
import { Impostor } from './impostor.ts'
import { dial, openRoot, Rogue, type Seller, sessionOf, type Talk, until } from './rogue.ts'
import { descriptors, descriptorsAfterVisit, echo, type Origin, origin, Recorder } from './world.ts'

const zero = (bytes: number) => `0x${'00'.repeat(bytes)}` as const
const statement = { sessionId: zero(16), up: 0n, down: 0n, cumulative: 0n, signature: zero(64) }
const reason = { code: 'MESSAGE_UNEXPECTED', message: 'for a test' }

/** One well-formed message of each name, and a frame of payload. */
const BODIES: { [N in Exclude<MessageName, 'session'>]: Extract<Message, { name: N }>['body'] } = {
  attach: { version: PROTOCOL_VERSION, sessionId: zero(16), token: zero(32) },
  accepted: { sessionId: zero(16), token: zero(32), base: 0n, window: 0n, last: undefined, carried: { up: 0n, down: 0n } },
  refused: reason,
  pay: statement,
  paid: { cumulative: 0n, window: 0n },
  meter: { sessionId: zero(16), up: 0n, down: 0n },
  lost: { flowId: 77, up: 0n, down: 0n },
  bye: reason,
  ping: { nonce: 1n },
  pong: { nonce: 1n },
  attached: {},
  open: { flowId: 78, protocol: 0, host: '127.0.0.1', port: 1 },
  opened: {},
  rejoin: { version: PROTOCOL_VERSION, sessionId: zero(16), token: zero(32) },
  rejoined: { cumulative: 0n, window: 0n },
  ack: { received: 0n },
  ask: {},
  resume: { flowId: 79, received: 0n, over: 0 },
  resumed: { received: 0n, over: 0 },
  extend: { flowId: 80, offer: Buffer.from('no offer') },
  reserve: { version: PROTOCOL_VERSION, nodeKey: zero(32), signature: zero(64) },
  reserved: { token: zero(32), lifetimeS: 60, maxCalls: 1 },
  call: { callId: 1 },
  answer: { version: PROTOCOL_VERSION, token: zero(32), callId: 1 },
  answered: {},
  observe: { version: PROTOCOL_VERSION, nodeKey: zero(32), port: 0, pin: zero(32) },
  observed: { address: '127.0.0.1', port: 1, reached: 0 },
  failed: reason,
  end: {},
  reset: {},
  done: { up: 0n, down: 0n },
}
const NAMES = [...(Object.keys(MESSAGES) as MessageName[]), 'data'] as const
type Frame = (typeof NAMES)[number]

function say(link: Link, name: Frame, root?: { seller: Seller; chain: MemoryChain }): void {
  if (name === 'data') link.sendData(Buffer.from('payload'), () => {})
  else if (name === 'session') link.send('session', sessionOf(link, openRoot(root!.chain, root!.seller.payee), root!.seller))
  else link.send(name, BODIES[name])
}

test('the list of messages here is the list of messages there are', () => {
  assert.deepEqual(
    Object.keys(BODIES).sort(),
    Object.keys(MESSAGES)
      .filter((name) => name !== 'session')
      .sort(),
  )
})

interface World {
  chain: MemoryChain
  seller: Seller
  observer: Recorder
  source: Origin
}

async function world(t: TestContext): Promise<World> {
  const chain = new MemoryChain()
  const observer = new Recorder()
  const seller = await startProvider({ chain, observer })
  const source = await origin(echo)
  t.after(async () => {
    await seller.provider.close()
    await seller.vault.close()
    await source.close()
  })
  return { chain, seller, observer, source }
}

/** The witness of each test: a flow through the provider echoes what it is sent. */
async function echoes(rogue: Rogue, port: number): Promise<void> {
  const flow = await rogue.flow(port)
  flow.link.sendData(Buffer.from('still here'), () => {})
  await flow.bytes(10n)
  assert.equal(flow.received, 10n)
  flow.link.destroy()
}

const faults = (observer: Recorder) =>
  [...observer.counters].reduce(
    (sum, [key, count]) => (/^(malformed|handshakes_failed|vouchers_refused) /.test(key) ? sum + count : sum),
    0,
  )

/** States a link of a provider can be in: how it gets there, and what may be said to it then. */
const PROVIDER_STATES: {
  [state: string]: { reach: (w: World, rogue: Rogue) => Promise<Talk>; allowed: readonly Frame[] }
} = {
  'a link that said nothing yet': { reach: ({ seller }) => dial(seller), allowed: ['session'] },
  'an idle flow link': { reach: (_w, rogue) => rogue.attach(), allowed: ['open', 'extend', 'resume', 'reset', 'end', 'ack'] },
  'a flow that is being opened': {
    reach: async (_w, rogue) => {
      const link = await rogue.attach()
      link.send('open', { flowId: 1, protocol: 0, host: 'never.test', port: 80 })
      return link
    },
    allowed: ['reset', 'data'],
  },
  'an open flow': { reach: ({ source }, rogue) => rogue.flow(source.port), allowed: ['data', 'end', 'reset', 'ack', 'ask'] },
  'a flow after its end': {
    reach: async ({ source }, rogue) => {
      // An origin that says nothing keeps the flow open after our end.
      const link = await rogue.flow(source.port)
      link.send('end', {})
      return link
    },
    allowed: ['reset', 'open', 'ack'],
  },
}

for (const [state, { reach, allowed }] of Object.entries(PROVIDER_STATES)) {
  test(`provider, ${state}: what has no place there ends the link and nothing else`, async (t) => {
    const chain = new MemoryChain()
    const observer = new Recorder()
    // `never.test` is never connected; the silent origin never ends.
    const silent = await origin(() => {})
    const seller = await startProvider({
      chain,
      observer,
      dial: (host, port, signal) =>
        host === 'never.test'
          ? new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('given up'))))
          : dialLoopback(host, port),
    })
    const source = await origin(echo)
    t.after(async () => {
      await seller.provider.close()
      await seller.vault.close()
      await source.close()
      await silent.close()
    })
    const w = { chain, seller, observer, source: state === 'a flow after its end' ? silent : source }
    const rogue = await Rogue.open(seller, openRoot(chain, seller.payee))
    const refused: Frame[] = []
    for (const name of NAMES) {
      const link = await reach(w, rogue)
      const before = faults(observer)
      say(link.link, name, w)
      if (allowed.includes(name)) {
        link.link.destroy()
        await link.gone()
        continue
      }
      await link.gone()
      await until(() => faults(observer) === before + 1, `${name} is counted once`)
      refused.push(name)
      assert.ok(!rogue.control.closed, `${name} leaves the session alone`)
    }
    assert.equal(refused.length, NAMES.length - allowed.length)
    await echoes(rogue, source.port)
    rogue.leave()
  })
}

test('provider, an open control link: what has no place there ends that session alone', async (t) => {
  const w = await world(t)
  const witness = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const allowed: readonly Frame[] = ['pay', 'ping', 'bye', 'session']
  for (const name of NAMES) {
    const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
    const before = faults(w.observer)
    say(rogue.control.link, name, w)
    if (name === 'ping') await rogue.control.next('pong')
    // A statement for a session that is not this one crossed a move; a session of another payer ends this one.
    if (name === 'pay') assert.ok(!rogue.control.closed)
    if (allowed.includes(name)) rogue.leave()
    await rogue.control.gone()
    if (!allowed.includes(name)) await until(() => faults(w.observer) === before + 1, `${name} is counted once`)
  }
  await until(() => w.seller.provider.sessions().length === 1, 'all others ended')
  await echoes(witness, w.source.port)
  witness.leave()
})

/** Raw bytes on a link of its own, with or without TLS's blessing. */
const DAMAGE: [what: string, bytes: Buffer][] = [
  ['a message longer than any', Buffer.concat([frameHeader(0x01, MAX_MESSAGE_BYTES + 1), Buffer.alloc(64)])],
  ['the longest length there is', Buffer.from('01ffffff', 'hex')],
  ['payload longer than any', Buffer.concat([frameHeader(DATA_TYPE, MAX_DATA_BYTES + 1), Buffer.alloc(64)])],
  ['an unknown type', Buffer.concat([frameHeader(0x7f, 4), Buffer.alloc(4)])],
  ['type zero', Buffer.alloc(4)],
  ['an empty session', frameHeader(0x01, 0)],
  ['a session of noise', Buffer.concat([frameHeader(0x01, 400), Buffer.alloc(400, 0xa5)])],
  ['a message with bytes after its fields', Buffer.concat([frameHeader(0x0a, 9), Buffer.alloc(9)])],
  ['text that is not UTF-8', Buffer.concat([frameHeader(0x09, 6), Buffer.from('0002ffff0000', 'hex')])],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
]

test('provider, damaged frames: each ends its link, is counted, and keeps no descriptor', async (t) => {
  const w = await world(t)
  const witness = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
  const before = descriptors()
  for (const [what, bytes] of DAMAGE) {
    // On a fresh link, on a control link, on a flow link.
    const rogue = await Rogue.open(w.seller, openRoot(w.chain, w.seller.payee))
    for (const link of [await dial(w.seller), await rogue.attach(), rogue.control]) {
      const faulty = faults(w.observer)
      link.link.wire.write(bytes)
      await link.gone()
      await until(() => faults(w.observer) === faulty + 1, `${what} is counted`)
    }
  }
  await until(() => descriptors() <= before, 'no descriptor is kept')
  await echoes(witness, w.source.port)
  witness.leave()
})

test('provider, no TLS at all: noise, plain frames, an older TLS, a hello and nothing more', async (t) => {
  const w = await world(t)
  const before = await descriptorsAfterVisit(w.seller.port)
  const root = openRoot(w.chain, w.seller.payee)
  const plain = encodeMessage('ping', { nonce: 1n })
  for (const bytes of [Buffer.alloc(300, 0xa5), plain, Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from('16030100050100000100', 'hex')]) {
    const socket = connect(w.seller.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.end(bytes)
    await new Promise((resolve) => socket.resume().once('close', resolve))
  }
  const old = connectTls({ port: w.seller.port, host: '127.0.0.1', maxVersion: 'TLSv1.2', rejectUnauthorized: false })
  old.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const page = Buffer.concat(await old.toArray()).toString()
  assert.match(page, /^HTTP\/1.1 200 OK\r\n/, 'an older TLS is good enough for a visitor')
  await until(() => w.observer.counted('malformed', 'tls') === 4, 'all four are counted')
  await until(() => descriptors() <= before, 'no descriptor is kept')
  const witness = await Rogue.open(w.seller, root)
  await echoes(witness, w.source.port)
  witness.leave()
})

const TARGET = parseDestination('192.0.2.1', 80)
const never = new AbortController().signal

async function buyerOf(t: TestContext, impostor: Impostor) {
  const observer = new Recorder()
  const buyer = await startConsumer({ chain: new MemoryChain(), observer, offers: () => [impostor.offer] })
  t.after(async () => {
    await impostor.close()
    await buyer.consumer.close()
    await buyer.vault.close()
  })
  const open = async () => {
    const { stream } = await buyer.consumer.dial({ destination: TARGET, parameters: anyRoute }, never)
    stream.on('error', () => {})
    stream.resume()
    return stream as FlowStream
  }
  return { open, observer, buyer }
}

/** `session` is only ever said by consumers. */
const FROM_PROVIDER = NAMES.filter((name) => name !== 'session')

test('consumer, an open control link: what has no place there ends the session, and the next begins anew', async (t) => {
  const allowed: readonly Frame[] = ['paid', 'meter', 'lost', 'ping', 'pong']
  for (const name of FROM_PROVIDER) {
    const impostor = await Impostor.start()
    const { open, buyer } = await buyerOf(t, impostor)
    const flow = await open()
    say(impostor.control!, name)
    if (allowed.includes(name)) {
      impostor.control!.send('ping', { nonce: 9n })
      await until(() => impostor.flows.length === 1, 'the session goes on')
      assert.equal(flow.destroyed, false, name)
    } else {
      await until(() => buyer.consumer.sessions().length === 0, `${name} ends the session`)
      await until(() => flow.destroyed, 'and its flows')
    }
  }
})

test('consumer, a flow link: what has no place there ends the link, and the session goes on', async (t) => {
  for (const [state, allowed] of [
    ['opening', ['opened', 'failed']],
    ['open', ['data', 'end', 'reset', 'ack', 'ask']],
    ['idle', []],
  ] as const) {
    for (const name of FROM_PROVIDER) {
      const impostor = await Impostor.start({
        onOpen: (flow, self) => {
          if (self.flows.length > 1) flow.link.send('opened', {})
          else if (state === 'opening') say(flow.link, name)
          else {
            flow.link.send('opened', {})
            if (state === 'idle') flow.link.send('end', {})
            else say(flow.link, name)
          }
        },
        onFlowMessage: (flow, message) => {
          if (state !== 'idle' || message.name !== 'end') return
          flow.link.send('done', { up: 0n, down: 0n })
          say(flow.link, name)
        },
      })
      const { open, buyer } = await buyerOf(t, impostor)
      const opened = await open().then(
        (flow) => flow,
        () => undefined,
      )
      if (state === 'idle') opened?.end()
      const [first] = impostor.flows
      if (!(allowed as readonly Frame[]).includes(name)) await until(() => first!.link.closed, `${name} ends a link that is ${state}`)
      assert.equal(buyer.consumer.sessions().length, 1, `${name} leaves the session alone`)
      const next = await open()
      assert.ok(!next.destroyed)
      impostor.control!.destroy()
    }
  }
})
