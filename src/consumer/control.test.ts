import assert from 'node:assert/strict'
import { type MockTimers, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../protocol/clock.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Message, MessageBody } from '../protocol/messages.ts'
import type { Link } from '../tunnel/index.ts'
import { Budget } from './budget.ts'
import { Control, type ControlNeeds, patience } from './control.ts'

type OnClose = Parameters<Link['listen']>[0]['onClose']

/** A control link that breaks at once; resolves to the error with which its session is over. */
function lose(rejoin: ControlNeeds['rejoin']): Promise<BywayError> {
  let broken: OnClose = () => {}
  const link = { listen: (listener: { onClose: OnClose }) => (broken = listener.onClose), send() {}, close() {} } as unknown as Link
  const { promise, resolve } = Promise.withResolvers<BywayError>()
  const control = new Control(link, {
    clock: systemClock,
    budget: new Budget(systemClock),
    random: () => 0,
    onBack() {},
    outage: { limitMs: 20, againMs: 5 },
    connect: async () => link,
    rejoin,
    activity: () => ({ flows: true, quietMs: 0 }),
    onMessage() {},
    onAway() {},
    onRejoined() {},
    onGone: resolve,
  })
  broken(undefined)
  return promise.finally(() => control.close())
}

test('a session that is not found again in time counts as lost, not as given up by whoever waits', async () => {
  const hangs = (_link: Link, signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new BywayError('CONNECTION_RESET', 'given up')))
    })
  assert.equal((await lose(hangs)).code, 'PROVIDER_LOST')
  // Control: what a provider says itself is passed on.
  assert.equal((await lose(() => Promise.reject(new BywayError('SESSION_UNKNOWN', 'never heard of it')))).code, 'SESSION_UNKNOWN')
})

test('a session that carries bytes is asked twice a second, one that stands still ever more rarely', () => {
  // Asked and answered for an hour, as a session asks that carried its last byte at 0.
  const pingsOf = (flows: boolean, quietMs: (atMs: number) => number) => {
    let [pings, lastMs] = [0, 0]
    for (let atMs = 0; atMs < 3_600_000; atMs += 500) {
      if (atMs - lastMs < patience(flows, quietMs(atMs)).pingMs) continue
      pings++
      lastMs = atMs
    }
    return pings
  }
  const still = (atMs: number) => atMs
  assert.ok(pingsOf(true, still) < 150, `${pingsOf(true, still)} pings in an hour without a byte`)
  assert.ok(pingsOf(false, still) < 150)
  assert.equal(
    pingsOf(true, () => 0),
    7_199,
    'control: with bytes moving',
  )
})

test('under traffic silence is noticed within two seconds, and nobody is given up before an answer could come', () => {
  const { pingMs, silenceMs } = patience(true, 500)
  assert.ok(pingMs + silenceMs < 2_000)
  for (const quietMs of [0, 10_000, 60_000, 3_600_000]) {
    for (const flows of [false, true]) assert.ok(patience(flows, quietMs).silenceMs >= 1_250)
  }
})

test('a way that dies under traffic is noticed within 1,800 ms, whenever it dies, and one that answers never', (t) => {
  for (let diesAtMs = 3_000; diesAtMs <= 4_000; diesAtMs += 50) assert.ok(noticedAfter(t.mock.timers, diesAtMs) <= 1_800)
  assert.equal(noticedAfter(t.mock.timers, Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY, 'control')
})

/** Milliseconds from the death of a way whose pings were answered within ten to the moment its session is away. */
function noticedAfter(timers: MockTimers, diesAtMs: number): number {
  timers.enable({ apis: ['setInterval', 'setTimeout'] })
  let nowMs = 0
  let awayAtMs = Number.POSITIVE_INFINITY
  let hear: (message: Message) => void = () => {}
  const link = {
    closed: false,
    listen: ({ onMessage }: { onMessage: typeof hear }) => (hear = onMessage),
    send(name: string, body: { nonce: bigint }) {
      if (name !== 'ping') return
      setTimeout(() => nowMs < diesAtMs && hear({ name: 'pong', body } as Message), 10)
    },
    close() {},
  } as unknown as Link
  const clock = { ...systemClock, nowMs: () => nowMs }
  const control = new Control(link, {
    clock,
    budget: new Budget(clock),
    random: () => 0,
    onBack() {},
    outage: { limitMs: 60_000, againMs: 1_000 },
    connect: () => new Promise(() => {}),
    rejoin: () => new Promise(() => {}),
    activity: () => ({ flows: true, quietMs: 0 }),
    onMessage() {},
    onAway: () => (awayAtMs = nowMs),
    onRejoined() {},
    onGone() {},
  })
  for (; nowMs < 20_000 && awayAtMs > nowMs; nowMs += 10) timers.tick(10)
  control.close()
  timers.reset()
  return Number.isFinite(awayAtMs) ? awayAtMs - diesAtMs : awayAtMs
}

const REJOINED: MessageBody<'rejoined'> = { cumulative: 0n, window: 0n }

const LOOKING = { limitMs: 150, againMs: 5 }

/** A session that moves to a better way while `rejoin` looks for one, because the old link closed before the new one was answered. */
async function moveWhileLooking(rejoin: ControlNeeds['rejoin']) {
  let breaks: OnClose = () => {}
  const newLink = (destroyed = () => {}) =>
    ({
      closed: false,
      listen: ({ onClose }: { onClose: OnClose }) => (breaks = onClose),
      unlisten() {},
      send() {},
      close() {},
      destroy: destroyed,
    }) as unknown as Link
  const heard: string[] = []
  const better = newLink()
  const answered = Promise.withResolvers<MessageBody<'rejoined'>>()
  const control = new Control(newLink(), {
    clock: systemClock,
    budget: new Budget(systemClock),
    random: () => 0,
    outage: LOOKING,
    connect: async () => newLink(() => heard.push('other link destroyed')),
    rejoin: (link, signal) => (link === better ? answered.promise : rejoin(link, signal)),
    activity: () => ({ flows: true, quietMs: 0 }),
    onMessage() {},
    onAway: () => heard.push('away'),
    onBack: () => heard.push('back'),
    onRejoined: () => heard.push('rejoined'),
    onGone: ({ code }) => heard.push(code),
  })
  const moved = control.moveTo(better)
  breaks(undefined)
  await delay(0)
  const away = control.away
  return {
    heard,
    away,
    /** Answers on the better link, and waits for longer than a way back is looked for. */
    async answer() {
      answered.resolve(REJOINED)
      await moved
      await delay(2 * LOOKING.limitMs)
    },
    close: () => control.close(),
    isAway: () => control.away,
  }
}

test('who looks for a way back stops when the session moved to another link meanwhile', async (t) => {
  const untilGiven = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve())
    })
  const cases: Record<string, { rejoin: ControlNeeds['rejoin']; also?: string[] }> = {
    'nobody answers': {
      rejoin: async (_link, signal) => {
        await untilGiven(signal)
        throw new BywayError('CONNECTION_RESET', 'given up')
      },
    },
    'the session is not known there': {
      rejoin: async (_link, signal) => {
        await untilGiven(signal)
        throw new BywayError('SESSION_UNKNOWN', 'never heard of it')
      },
    },
    'the answer comes late': {
      rejoin: async (_link, signal) => {
        await untilGiven(signal)
        return REJOINED
      },
      also: ['other link destroyed'],
    },
  }
  for (const [name, { rejoin, also = [] }] of Object.entries(cases)) {
    await t.test(name, async () => {
      const session = await moveWhileLooking(rejoin)
      assert.deepEqual([session.heard, session.away], [['away'], true], 'control: it looks for a way')
      await session.answer()
      assert.deepEqual(session.heard, ['away', 'rejoined', ...also])
      assert.equal(session.isAway(), false)
      session.close()
    })
  }
})

test('control: where the better link is never answered, who looks for a way back says when it is too late', async () => {
  const session = await moveWhileLooking(() => Promise.reject(new BywayError('PROVIDER_UNREACHABLE', 'nobody is there')))
  await delay(2 * LOOKING.limitMs)
  assert.deepEqual(session.heard, ['away', 'PROVIDER_LOST'])
  session.close()
})
