/** Nodes that wait at a relay, and what a relay gives away: over real TLS on loopback. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { MemoryChain } from '../../../test/support/memory-chain.ts'
import { startProvider } from '../../../test/support/pair.ts'
import { toHex } from '../../protocol/bytes.ts'
import { PROTOCOL_VERSION } from '../../protocol/messages.ts'
import { encodeOffer, relaysOf, relayTransport, type SignedOffer, signOffer } from '../../protocol/offer.ts'
import { RESERVE_LABEL, signReservation } from '../../protocol/reserve.ts'
import { connectLink, type Link } from '../../tunnel/index.ts'
import { askHowSeen } from '../reach/ask.ts'
import { takeReservation } from '../reach/reservation.ts'
import { MAX_CALLS_PENDING, MAX_RESERVATIONS_PER_ADDRESS, SPARES } from './limits.ts'
import { household, Tally } from './tally.ts'

const soon = () => AbortSignal.timeout(60_000)
type Node = Awaited<ReturnType<typeof startProvider>>

async function nodes(t: TestContext, count: number, relay = true): Promise<Node[]> {
  const chain = new MemoryChain()
  const started = await Promise.all(Array.from({ length: count }, (_, i) => startProvider({ chain, relay: relay && i === 0 })))
  t.after(async () => {
    for (const { provider, vault } of started) {
      await provider.close()
      await vault.close()
    }
  })
  return started
}

const dialNode = (node: Node): Promise<Link> => connectLink(node.offer.body.transports[0]!, node.offer.body.nodeKey, { signal: soon() })
const sign = (link: Link, node: Node) =>
  signReservation(link.wire.exportKeyingMaterial(32, RESERVE_LABEL, Buffer.alloc(0)), node.keys.node.privateKey)

/** Keeps a reservation for `tucked` at `relay`; its calls reach its own listener. */
const reserveAt = (relay: Node, tucked: Node) =>
  takeReservation(
    {
      nodeKey: tucked.offer.body.nodeKey,
      sign: (link) => sign(link, tucked),
      connect: () => dialNode(relay),
      onCall: (carrier) => tucked.provider.listener.accept(carrier, 'relay'),
    },
    soon(),
  )

/** Its offer, as it would be announced while it waits at `relay`. */
function tuckedOffer(tucked: Node, relay: Node): SignedOffer {
  const { body } = tucked.offer
  const way = relayTransport(relay.offer.body.nodeKey, body.transports[0]!.pin)
  return signOffer({ ...body, transports: [way] }, tucked.keys.node.privateKey)
}

/** A link to the tucked node over a call, checked by its pin and its proof. */
async function linkThrough(relay: Node, tucked: Node): Promise<Link> {
  const offer = tuckedOffer(tucked, relay)
  const carrier = await relay.relay.extend(encodeOffer(offer), 'session', soon())
  return connectLink(offer.body.transports[0]!, offer.body.nodeKey, { carrier, signal: soon() })
}

/** The next message on a link, or how it ended. */
const next = (link: Link) =>
  new Promise<{ name: string; body?: unknown }>((resolve) =>
    link.listen({
      onMessage: (message) => {
        link.unlisten()
        resolve(message)
      },
      onData: () => resolve({ name: 'data' }),
      onClose: () => resolve({ name: 'closed' }),
    }),
  )

/** Sees the calls of a relay without answering them. */
async function silentReservation(relay: Node, tucked: Node) {
  const link = await dialNode(relay)
  const calls: number[] = []
  link.send('reserve', { version: PROTOCOL_VERSION, nodeKey: tucked.offer.body.nodeKey, signature: sign(link, tucked) })
  const reserved = (await next(link)) as { name: string; body: { token: `0x${string}` } }
  let onCall = () => {}
  link.listen({
    onMessage: (message) => {
      if (message.name === 'call') calls.push(message.body.callId)
      onCall()
    },
    onData: () => {},
    onClose: () => onCall(),
  })
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise<void>((resolve) => (onCall = resolve))
  }
  return { link, calls, reserved, until }
}

test('a node that cannot be dialled is reached through the relay it waits at, and its key is what answers', async (t) => {
  const [relay, tucked, other] = (await nodes(t, 3)) as [Node, Node, Node]
  assert.deepEqual(relaysOf(tuckedOffer(tucked, relay)), [relay.offer.body.nodeKey])
  await assert.rejects(linkThrough(relay, tucked), { code: 'HOST_UNREACHABLE' })
  const reservation = await reserveAt(relay, tucked)
  // More than the spares: the later ones are called for.
  const links = await Promise.all(Array.from({ length: SPARES + 6 }, () => linkThrough(relay, tucked)))
  for (const link of links) {
    // It is the provider itself that answers: a session it does not know is refused in its own words.
    link.send('attach', { version: PROTOCOL_VERSION, sessionId: `0x${'11'.repeat(16)}`, token: `0x${'22'.repeat(32)}` })
    const answer = await next(link)
    assert.equal((answer.body as { code: string }).code, 'SESSION_UNKNOWN')
    link.destroy()
  }
  // An offer of another key that leads to the same reservation is not answered by that key.
  await assert.rejects(linkThrough(relay, other), { code: 'HOST_UNREACHABLE' })
  reservation.close()
  await reservation.lost
})

test('a call in progress outlives the reservation it was made through', async (t) => {
  const [relay, tucked] = (await nodes(t, 2)) as [Node, Node]
  const reservation = await reserveAt(relay, tucked)
  const link = await linkThrough(relay, tucked)
  reservation.close()
  link.send('attach', { version: PROTOCOL_VERSION, sessionId: `0x${'11'.repeat(16)}`, token: `0x${'22'.repeat(32)}` })
  assert.equal((await next(link)).name, 'refused')
  link.destroy()
})

test('a reservation is given to who proves the node key on this connection, and to nobody else', async (t) => {
  const [relay, tucked, other] = (await nodes(t, 3)) as [Node, Node, Node]
  const ask = async (signature: (link: Link) => `0x${string}`, version = PROTOCOL_VERSION) => {
    const link = await dialNode(relay)
    link.send('reserve', { version, nodeKey: tucked.offer.body.nodeKey, signature: signature(link) })
    const answer = await next(link)
    link.destroy()
    return answer.name === 'refused' ? (answer.body as { code: string }).code : answer.name
  }
  const earlier = await dialNode(relay)
  const replayed = sign(earlier, tucked)
  assert.equal(await ask((link) => sign(link, tucked)), 'reserved')
  assert.equal(await ask((link) => sign(link, other)), 'RESERVATION_INVALID')
  assert.equal(await ask(() => replayed), 'RESERVATION_INVALID')
  assert.equal(await ask((link) => sign(link, tucked), 9), 'PROTOCOL_VERSION')
  earlier.destroy()
  const [plain] = (await nodes(t, 1, false)) as [Node]
  await assert.rejects(reserveAt(plain, tucked), { code: 'RELAY_OFF' })
})

test('a relay refuses connections it did not ask for, and spares that speak first are dropped', async (t) => {
  const [relay, tucked] = (await nodes(t, 2)) as [Node, Node]
  const { link, calls, reserved, until } = await silentReservation(relay, tucked)
  const { token } = reserved.body
  await until(() => calls.length === SPARES)
  const answer = async (callId: number, withToken = token) => {
    const fresh = await dialNode(relay)
    fresh.send('answer', { version: PROTOCOL_VERSION, token: withToken, callId })
    return { fresh, said: await next(fresh) }
  }
  for (const [callId, withToken] of [
    [9_999, token],
    [calls[0]!, toHex(Buffer.alloc(32, 1))],
  ] as const) {
    const { said } = await answer(callId, withToken)
    assert.equal((said.body as { code: string }).code, 'CALL_UNKNOWN')
  }
  const first = await answer(calls[0]!)
  assert.equal(first.said.name, 'answered')
  const again = await answer(calls[0]!)
  assert.equal((again.said.body as { code: string }).code, 'CALL_UNKNOWN', 'a call is answered once')
  const spare = first.fresh.detach()
  spare.on('error', () => {})
  spare.resume()
  const closed = once(spare, 'close')
  spare.write('I speak first')
  await closed
  link.destroy()
})

test('calls to a node that does not answer are bounded, and end', async (t) => {
  const [relay, tucked] = (await nodes(t, 2)) as [Node, Node]
  const { link, calls, until } = await silentReservation(relay, tucked)
  const offer = encodeOffer(tuckedOffer(tucked, relay))
  const giveUp = new AbortController()
  const waiting = Array.from({ length: MAX_CALLS_PENDING }, (_, i) => relay.relay.extend(offer, `session ${i}`, giveUp.signal))
  for (const call of waiting) call.catch(() => {})
  await until(() => calls.length === MAX_CALLS_PENDING + SPARES)
  await assert.rejects(relay.relay.extend(offer, 'one more', soon()), { code: 'PROVIDER_BUSY' })
  giveUp.abort(new Error('given up'))
  for (const call of waiting) await assert.rejects(call, /given up/)
  // Who waits when the node leaves hears of it at once.
  const last = relay.relay.extend(offer, 'last', soon())
  link.destroy()
  await assert.rejects(last, { code: 'PROVIDER_UNREACHABLE' })
  await assert.rejects(relay.relay.extend(offer, 'later', soon()), { code: 'HOST_UNREACHABLE' })
})

test('one address cannot fill the reservations of all', async (t) => {
  const started = await nodes(t, MAX_RESERVATIONS_PER_ADDRESS + 2)
  const [relay, ...tucked] = started as [Node, ...Node[]]
  const reservations = []
  for (const node of tucked.slice(0, -1)) reservations.push(await reserveAt(relay, node))
  await assert.rejects(reserveAt(relay, tucked.at(-1)!), { code: 'PROVIDER_BUSY' })
  // The same node again takes its own reservation, not another.
  const again = await reserveAt(relay, tucked[0]!)
  assert.equal((await reservations[0]!.lost).code, 'PROVIDER_LOST')
  assert.equal(relay.relay.reserved, MAX_RESERVATIONS_PER_ADDRESS)
  for (const reservation of [...reservations.slice(1), again]) reservation.close()
})

test('a relay tells how it sees a node, and whether its port leads to the key it names', async (t) => {
  const [relay, asker, other] = (await nodes(t, 3)) as [Node, Node, Node]
  const how = async (port: number, { offer }: Node) => {
    const { nodeKey, transports } = offer.body
    const { address, reached } = await askHowSeen(await dialNode(relay), { nodeKey, port, pin: transports[0]!.pin })
    assert.equal(address, '127.0.0.1')
    return reached
  }
  assert.equal(await how(asker.port, asker), 1)
  assert.equal(await how(asker.port, other), 2, 'another key answers there')
  assert.equal(await how(9, asker), 2)
  assert.equal(await how(0, asker), 0)
})

test('addresses are counted by household', () => {
  assert.equal(household('::ffff:45.1.0.2'), '45.1.0.2')
  assert.equal(household('2001:db8:1:2:3:4:5:6'), household('2001:db8:1:2::1'))
  assert.notEqual(household('2001:db8:1:2::1'), household('2001:db8:1:3::1'))
  const tally = new Tally<string>()
  tally.add('a', 1)
  tally.add('a', 1)
  tally.add('a', -1)
  assert.deepEqual([tally.of('a'), tally.of('b'), tally.total], [1, 0, 1])
})
