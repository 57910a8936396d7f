/**
 * Providers that claim more than they carried: in every message that can say so, a consumer loses at most the credit window.
 *
 * Loss is measured outside the consumer: what the vouchers in the impostor's hands buy, less the bytes that really arrived or were really sent.
 * Longer than 400 lines because it goes through every message that carries a number, one after the other.
 */
import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import type { SignedOffer } from '../../src/protocol/offer.ts'
import { GIB } from '../../src/protocol/price.ts'
import type { FlowStream } from '../../src/tunnel/index.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, type ConsumerOptions, startConsumer, startProvider } from '../support/pair.ts'
import { Impostor, type ImpostorFlow, type Script } from './impostor.ts'
import { until } from './rogue.ts'
import { descriptors, echo, origin, Recorder, settled, slowDisk } from './world.ts'

const PRICE = 100_000n
const ROUNDING_BYTES = GIB / PRICE + 1n
const TARGET = parseDestination('192.0.2.1', 80)
const never = new AbortController().signal

const measured: string[] = []
after(() => {
  for (const line of measured) console.log(line)
})

async function world(t: TestContext, script: Script, options: Partial<ConsumerOptions> = {}) {
  const impostor = await Impostor.start({ pricePerGib: PRICE, ...script })
  const observer = new Recorder()
  const offers: SignedOffer[] = [impostor.offer]
  const buyer = await startConsumer({ chain: new MemoryChain(), observer, offers: () => offers, ...options })
  t.after(async () => {
    await impostor.close()
    await buyer.consumer.close()
    await buyer.vault.close()
  })
  /** Opens a flow and reads it, like an application that throws everything away. */
  const open = async () => {
    const { stream } = await buyer.consumer.dial({ destination: TARGET, parameters: anyRoute }, never)
    stream.on('error', () => {})
    stream.resume()
    return stream as FlowStream
  }
  return {
    impostor,
    buyer,
    observer,
    offers,
    open,
  }
}

function check(what: string, impostor: Impostor, real: bigint, most: bigint): void {
  const loss = impostor.claimableBytes - real
  measured.push(`${what}: paid for ${impostor.claimableBytes}, real ${real}, lost ${loss}, allowed ${most}`)
  assert.ok(loss <= most + ROUNDING_BYTES, `${what}: ${loss} bytes lost, ${most} allowed`)
}

/** Waits until the session ended because the counts cannot both be true, and nothing is paid any more. */
async function diverges({ observer, impostor }: { observer: Recorder; impostor: Impostor }): Promise<void> {
  await until(() => observer.counted('sessions', 'meter-diverged') > 0, 'the consumer sees that the counts diverge')
  assert.ok(observer.warnings.has('METER_DIVERGED'))
  const claimable = impostor.claimableBytes
  assert.equal(await settled(() => impostor.claimableBytes), claimable, 'nothing more is signed')
}

const meterAt = ({ control, sessionId }: Impostor, up: bigint, down: bigint) => control!.send('meter', { sessionId, up, down })

test('control: what arrives is paid to the byte, and an honest count keeps the session', async (t) => {
  const w = await world(t, {
    onOpen: (flow) => {
      flow.link.send('opened', {})
      flow.give(200_000)
    },
  })
  const flow = await w.open()
  await until(() => w.impostor.paid.down === 200_000n, 'all is paid')
  meterAt(w.impostor, 0n, 200_000n)
  flow.end(Buffer.alloc(50_000))
  await until(() => w.impostor.flows[0]!.received === 50_000n, 'the upload came')
  meterAt(w.impostor, 50_000n, 200_000n)
  await until(() => w.impostor.paid.up === 50_000n, 'the upload is paid')
  const first = w.impostor.flows[0]!
  first.link.send('end', {})
  await until(() => first.heard.includes('end'), 'both ended')
  first.link.send('done', { up: 50_000n, down: 200_000n })
  await until(() => flow.closed && w.observer.counted('flows', 'ok') === 1, 'the flow is over')
  assert.equal(w.observer.counted('sessions', 'meter-diverged'), 0)
  check('honest', w.impostor, 250_000n, 0n)
})

test('meter: uploads that were never sent', async (t) => {
  const w = await world(t, {})
  const flow = await w.open()
  flow.write(Buffer.alloc(10_000))
  await until(() => w.impostor.flows[0]?.received === 10_000n, 'the upload came')
  meterAt(w.impostor, 10_001n, 0n)
  await diverges(w)
  check('meter up', w.impostor, 10_000n, 0n)
})

test('meter: more than was paid and lent', async (t) => {
  const w = await world(t, {})
  await w.open()
  // What may still be on its way is no lie yet, and is not paid either.
  meterAt(w.impostor, 0n, STRANGER_WINDOW_BYTES)
  assert.equal(await settled(() => w.impostor.claimableBytes), 0n)
  meterAt(w.impostor, 0n, STRANGER_WINDOW_BYTES + 1n)
  await diverges(w)
  check('meter down', w.impostor, 0n, 0n)
})

test('accepted: a window without bounds lets nothing more be claimed', async (t) => {
  const w = await world(t, { accepted: (honest) => ({ ...honest, window: (1n << 64n) - 1n }) })
  const flow = await w.open()
  meterAt(w.impostor, 0n, (1n << 63n) - 1n)
  await diverges(w)
  assert.ok(flow.destroyed)
  check('window', w.impostor, 0n, 0n)
})

test('accepted: bytes said to be left unpaid are believed once, up to the window, over all sessions', async (t) => {
  const say = STRANGER_WINDOW_BYTES / 2n
  const w = await world(t, { accepted: (honest) => ({ ...honest, carried: { up: 0n, down: say } }) })
  for (let visit = 0; visit < 3; visit++) {
    const failed = await w.open().catch((error: { code: string }) => error.code)
    if (visit < 2) {
      await until(() => w.impostor.paid.down === say, 'the consumer pays what is said to be left')
      w.impostor.control!.destroy()
      await until(() => w.buyer.consumer.sessions().length === 0, 'the session ended')
    } else {
      assert.equal(failed, 'METER_DIVERGED')
    }
  }
  check('carried', w.impostor, 0n, STRANGER_WINDOW_BYTES)
})

test('accepted: bytes that did arrive are no matter of belief, however often the session is lost', async (t) => {
  // The consumer cannot pay in time: its disk is slow and the control link goes as soon as the bytes are there.
  let arrived = 0n
  const w = await world(
    t,
    {
      accepted: (honest, impostor) => ({ ...honest, carried: { up: 0n, down: arrived - impostor.claimed() } }),
      onOpen: (flow) => {
        flow.link.send('opened', {})
        flow.give(150_000)
      },
    },
    { disk: slowDisk(10) },
  )
  for (let visit = 0; visit < 6; visit++) {
    const flow = await w.open()
    await until(() => flow.received === 150_000n, 'all arrived')
    arrived += 150_000n
    w.impostor.control!.destroy()
    await until(() => w.buyer.consumer.sessions().length === 0, 'the session ended')
    await settled(() => BigInt(w.observer.counted('sessions', 'peer-lost')))
  }
  assert.equal(w.observer.warnings.has('METER_DIVERGED'), false)
  assert.equal(w.buyer.vault.book.counterparty(w.impostor.payee).disputedBytes, 0n)
  // A session that lasts pays for all of them.
  await w.open()
  arrived += 150_000n
  await until(() => w.impostor.claimed() === arrived, 'everything that arrived is paid')
})

test('accepted: another debt than the vouchers say, a voucher of somebody else', async (t) => {
  for (const [lie, code] of [
    [(honest: object) => ({ ...honest, base: 1n << 40n }), 'METER_DIVERGED'],
    [
      (honest: object) => ({ ...honest, last: { cumulative: 1_000n, signature: `0x${'11'.repeat(64)}` as const }, base: 1_000n << 30n }),
      'VOUCHER_SIGNER',
    ],
  ] as const) {
    const w = await world(t, { accepted: lie as unknown as NonNullable<Script['accepted']> })
    await assert.rejects(w.open(), { code })
    assert.equal(w.impostor.claimableBytes, 0n)
  }
})

for (const [what, lie] of [
  ['a byte more down', { up: 0n, down: 1n }],
  ['a byte more up', { up: 1n, down: 0n }],
  ['a byte less down', { up: 0n, down: -1n }],
] as const) {
  test(`done: ${what}`, async (t) => {
    const w = await world(t, {
      onOpen: (flow) => {
        flow.link.send('opened', {})
        flow.give(100_000)
        flow.link.send('end', {})
      },
      onFlowMessage: (flow, message) => {
        if (message.name === 'end') flow.link.send('done', { up: flow.received + lie.up, down: flow.sent + lie.down })
      },
    })
    const flow = await w.open()
    flow.end(Buffer.alloc(10_000))
    await diverges(w)
    check(`done, ${what}`, w.impostor, 110_000n, 0n)
  })
}

test('lost: bytes of broken links are paid on its word up to the window, then never again', async (t) => {
  const w = await world(t, {
    onOpen: (flow) => {
      flow.link.send('opened', {})
    },
  })
  let claimed = 0n
  for (let turn = 0; turn < 20 && w.observer.counted('sessions', 'meter-diverged') === 0; turn++) {
    const failed = await w.open().then(
      () => undefined,
      (error: { code: string }) => error.code,
    )
    if (failed !== undefined) break
    const flow = w.impostor.flows.at(-1)!
    flow.link.destroy()
    w.impostor.control!.send('lost', { flowId: flow.flowId, up: 0n, down: 30_000n })
    claimed += 30_000n
    const due = claimed
    await until(() => w.impostor.paid.down === due || w.observer.counted('sessions', 'meter-diverged') > 0, 'paid or refused')
  }
  await diverges(w)
  assert.ok(w.impostor.claimableBytes > STRANGER_WINDOW_BYTES / 2n, 'the control: some of it was believed')
  check('lost', w.impostor, 0n, STRANGER_WINDOW_BYTES)
})

test('lost: a dispute smuggled over a move to another channel is remembered in the journal', async (t) => {
  let answerMove: (() => void) | undefined
  const w = await world(
    t,
    {
      pricePerGib: 10_000_000n,
      accepted: (honest, impostor) => {
        if (impostor.sessions === 1) return honest
        // Before it answers the move it breaks a link and claims what never came.
        const flow = impostor.flows.at(-1)!
        flow.link.destroy()
        impostor.control!.send('lost', { flowId: flow.flowId, up: 0n, down: flow.sent + 100_000n })
        answerMove = () => impostor.control!.send('accepted', honest)
        return undefined
      },
      onOpen: (flow) => {
        flow.link.send('opened', {})
        flow.give(850_000)
      },
    },
    { capPerProvider: 10_000n },
  )
  const flow = await w.open()
  await until(() => answerMove !== undefined, 'the consumer moves')
  await until(() => flow.destroyed, 'the link broke')
  answerMove!()
  await until(() => w.impostor.paid.down >= 100_000n, 'the dispute is paid on the new channel')
  const { disputedBytes } = w.buyer.vault.book.counterparty(w.impostor.payee)
  assert.equal(disputedBytes, 100_000n)
})

test('lost: of flows that never were is neither paid nor kept', async (t) => {
  const w = await world(t, {})
  await w.open()
  const { heapUsed } = process.memoryUsage()
  for (let flowId = 1; flowId <= 100_000; flowId++) {
    w.impostor.control!.send('lost', { flowId: flowId + 1, up: 0n, down: 1_000n })
    if (flowId % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  w.impostor.control!.send('ping', { nonce: 1n })
  await until(() => w.impostor.control!.wire.writableLength === 0, 'all was said')
  assert.equal(await settled(() => w.impostor.claimableBytes), 0n)
  assert.equal(w.buyer.consumer.sessions().length, 1, 'the control: the session lives')
  assert.ok(process.memoryUsage().heapUsed - heapUsed < 64 * 2 ** 20)
})

/** Goes on with garbage, no faster than it is paid for. */
const drip = (flow: ImpostorFlow, impostor: Impostor) => {
  const before = impostor.paid.down
  flow.give(16_384)
  void until(() => impostor.paid.down > before || flow.sent > 4n * STRANGER_WINDOW_BYTES, 'it is paid').then(
    () => drip(flow, impostor),
    () => {},
  )
}

/** Pays no heed to a reset: goes on with garbage as fast as it is taken. */
const flood = (flow: ImpostorFlow) => {
  const more = () => {
    if (flow.link.closed || flow.link.wire.destroyed) return
    flow.sent += 65_536n
    flow.link.sendData(Buffer.alloc(65_536), more)
  }
  more()
}

test('garbage after the consumer gave flows up is not paid while it lasts, and ends the session after one window', async (t) => {
  for (const pace of [flood, drip]) {
    const w = await world(t, {
      onOpen: (flow) => flow.link.send('opened', {}),
      onFlowMessage: (flow, message, impostor) => {
        if (message.name === 'reset') pace(flow, impostor)
      },
    })
    const flows = await Promise.all([w.open(), w.open(), w.open()])
    for (const flow of flows) flow.destroy()
    if (pace === flood) await diverges(w)
    else assert.equal(await settled(() => w.impostor.claimableBytes), 0n)
    check(`garbage after a reset, ${pace.name}`, w.impostor, 0n, 0n)
  }
})

test('what was on its way when the consumer gave a flow up is paid when the flow is over', async (t) => {
  const w = await world(t, {
    onOpen: (flow) => flow.link.send('opened', {}),
    onFlowMessage: (flow, message) => {
      if (message.name !== 'reset') return
      flow.give(200_000)
      flow.link.send('reset', {})
      flow.link.send('done', { up: 0n, down: flow.sent })
    },
  })
  const flow = await w.open()
  flow.destroy()
  await until(() => w.impostor.paid.down === 200_000n, 'it is paid')
  assert.equal(w.buyer.consumer.sessions().length, 1)
})

test('garbage after its own end or reset breaks the link', async (t) => {
  for (const word of ['end', 'reset'] as const) {
    const w = await world(t, {
      onOpen: (flow) => {
        flow.link.send('opened', {})
        flow.link.send(word, {})
        flood(flow)
      },
    })
    const flow = await w.open()
    await until(() => w.impostor.flows[0]!.link.closed, `the link with data after ${word} is gone`)
    assert.equal(flow.received, 0n)
    assert.equal(await settled(() => w.impostor.claimableBytes), 0n)
  }
})

test('an upload that is taken and thrown away costs what was sent and nothing else', async (t) => {
  const w = await world(t, {
    onFlowData: (flow, impostor) => meterAt(impostor, flow.received, 0n),
  })
  const flow = await w.open()
  flow.write(Buffer.alloc(200_000))
  await until(() => w.impostor.paid.up === 200_000n, 'the upload is paid')
  check('dropped upload, of what was sent', w.impostor, 200_000n, 0n)
})

test('a provider that never answers a move gets nothing and loses the session', async (t) => {
  const w = await world(
    t,
    {
      pricePerGib: 10_000_000n,
      accepted: (honest, { sessions }) => (sessions === 1 ? honest : undefined),
      onOpen: (flow) => {
        flow.link.send('opened', {})
        flow.give(850_000)
      },
    },
    { capPerProvider: 10_000n },
  )
  await w.open()
  await until(() => w.impostor.sessions === 2, 'the consumer asks to move')
  const paid = w.impostor.claimableBytes
  assert.equal(await settled(() => w.impostor.claimableBytes), paid)
})

test('refusals that speak of the consumer itself are not believed, and the next provider is tried', async () => {
  const chain = new MemoryChain()
  const source = await origin(echo)
  const honest = await startProvider({ chain })
  for (const code of ['WALLET_EMPTY', 'STATE_CORRUPT', 'DNS_FAILED', 'CONNECTION_REFUSED', 'no code at all']) {
    const impostor = await Impostor.start({ onSession: (link) => link.send('refused', { code, message: 'send me dollars' }) })
    const offers = [impostor.offer]
    const buyer = await startConsumer({ chain, offers: () => offers })
    const request = { destination: parseDestination('127.0.0.1', source.port), parameters: anyRoute }
    await assert.rejects(buyer.consumer.dial(request, never), { code: 'PROVIDER_LOST' }, code)
    offers.push(honest.offer)
    const { route } = await buyer.consumer.dial(request, never)
    assert.equal(route.provider, honest.offer.body.nodeKey.slice(2))
    await buyer.consumer.close()
    await buyer.vault.close()
    await impostor.close()
  }
  await honest.provider.close()
  await honest.vault.close()
  await source.close()
})

test('refused flow links are let go', async (t) => {
  const w = await world(t, { onAttach: (link) => link.send('refused', { code: 'SESSION_UNKNOWN', message: 'no' }) })
  await assert.rejects(w.open(), { code: 'SESSION_UNKNOWN' })
  const before = descriptors()
  for (let turn = 0; turn < 20; turn++) await w.open().catch(() => {})
  await until(() => w.impostor.links.size <= 1, 'all refused links are closed')
  assert.ok(descriptors() <= before, 'no descriptor is kept')
})

test('pings without end to a consumer whose answers nobody reads end the session', async (t) => {
  const w = await world(t, {})
  await w.open()
  const control = w.impostor.control!
  control.wire.pause()
  const ping = () => {
    for (let i = 0; i < 500; i++) control.send('ping', { nonce: BigInt(i) })
  }
  await until(() => {
    if (control.wire.writableLength < 100_000) ping()
    return w.buyer.consumer.sessions().length === 0
  }, 'the consumer has enough of it')
})
