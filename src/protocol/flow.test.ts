/** Two ends of a flow over links that break anywhere: nothing is lost, doubled or counted twice, and both hear the same end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ASK_STEP_BYTES,
  ackAtEnd,
  ackDue,
  askDue,
  bothOver,
  type FlowState,
  markOf,
  mayBeDone,
  newFlow,
  onAck,
  onAsk,
  onData,
  onEnd,
  onReset,
  onResume,
  shareOf,
} from './flow.ts'

/** One end, its words and what it keeps. */
interface End {
  flow: FlowState
  kept: number[]
  heard: number[]
  gaveUp: boolean
}
type Frame = { data: number } | { ack: number } | 'ask' | 'end' | 'reset'

/** A run: what is said, how far each direction is delivered, and where the link breaks. */
const step = fc.record({ from: fc.constantFrom(0, 1), act: fc.constantFrom('say', 'say', 'deliver', 'deliver', 'break', 'end', 'reset') })

test('whatever breaks when, each end hears exactly what the other said, once and in order', () => {
  const outcome = { resumed: 0, reset: 0, ended: 0, acknowledged: 0 }
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const ends: [End, End] = [fresh(), fresh()]
      let lines: [Frame[], Frame[]] = [[], []]
      let word = 0
      const say = (from: number, frame: Frame) => lines[from]!.push(frame)
      const deliver = (from: number) => {
        const frame = lines[from]!.shift()
        const [sender, receiver] = [ends[from]!, ends[1 - from]!]
        if (frame === undefined) return
        if (frame === 'end') onEnd(receiver.flow)
        else if (frame === 'reset') onReset(receiver.flow)
        else if (frame === 'ask') onAsk(receiver.flow)
        else if ('ack' in frame) receiver.kept.splice(0, onAck(receiver.flow, frame.ack) / WORD)
        else {
          onData(receiver.flow, WORD)
          receiver.heard.push(frame.data)
        }
        const ack = ackDue(receiver.flow)
        if (ack !== undefined) {
          outcome.acknowledged++
          say(1 - from, { ack })
        }
        assert.ok(sender.flow.acked <= receiver.flow.received)
      }
      const reconnect = () => {
        lines = [[], []]
        outcome.resumed++
        const marks = ends.map(({ flow }) => markOf(flow))
        for (const from of [0, 1]) {
          const { flow, kept } = ends[from]!
          const { released, sayLastWord } = onResume(flow, marks[1 - from]!)
          kept.splice(0, released / WORD)
          for (const data of kept) say(from, { data })
          if (sayLastWord) say(from, flow.aborted ? 'reset' : 'end')
        }
      }
      for (const { from, act } of steps) {
        const { flow, kept } = ends[from]!
        if (act === 'deliver') deliver(from)
        else if (act === 'break') reconnect()
        else if (!flow.localOver && act === 'say') {
          flow.sent += WORD
          kept.push(word)
          say(from, { data: word++ })
          if (askDue(flow, MOST)) say(from, 'ask')
          // Whoever must stop has asked.
          assert.ok(flow.sent - flow.acked < MOST || flow.asked > flow.acked)
        } else if (!flow.localOver && act === 'end') {
          flow.localOver = true
          say(from, 'end')
        } else if (!ends[from]!.gaveUp && act === 'reset') {
          // Also after an end: an application may give up what it had ended.
          ends[from]!.gaveUp = true
          flow.localOver = true
          flow.aborted = true
          say(from, 'reset')
        }
      }
      reconnect()
      while (lines[0].length + lines[1].length > 0) [0, 1].forEach(deliver)
      for (const from of [0, 1]) {
        const [sender, receiver] = [ends[from]!, ends[1 - from]!]
        assert.equal(receiver.flow.received, sender.flow.sent)
        assert.deepEqual(
          receiver.heard,
          [...receiver.heard].sort((a, b) => a - b),
        )
        // None is minus zero.
        assert.equal(receiver.heard.length, sender.flow.sent / WORD + 0)
        assert.equal(receiver.flow.remoteOver, sender.flow.localOver)
        if (sender.gaveUp) assert.ok(receiver.flow.aborted, 'a reset that was not heard')
      }
      if (ends.every(({ flow }) => bothOver(flow))) outcome.ended++
      if (ends.some(({ flow }) => flow.aborted)) outcome.reset++
    }),
    { numRuns: 500 },
  )
  // The runs reached what they are about.
  assert.ok(outcome.resumed > 500 && outcome.ended > 50 && outcome.reset > 50 && outcome.acknowledged > 30, JSON.stringify(outcome))
})

const WORD = 50_000
/** What an end may keep: an answer is asked for every word. */
const MOST = 2 * WORD
const fresh = (): End => ({ flow: newFlow(), kept: [], heard: [], gaveUp: false })

test('what was asked for is acknowledged, and after the last word everything', () => {
  const flow = newFlow()
  onAsk(flow)
  assert.equal(ackDue(flow), undefined, 'nothing came')
  onData(flow, 1_000)
  assert.equal(ackDue(flow), undefined, 'nobody asked since')
  onAsk(flow)
  assert.equal(ackDue(flow), 1_000)
  onData(flow, 10)
  assert.equal(ackDue(flow), undefined)
  onEnd(flow)
  assert.equal(ackDue(flow, 10), undefined, 'the other end hears it from `done`')
  assert.equal(ackDue(flow), 1_010)
  assert.equal(ackDue(flow), undefined, 'once')
})

test('flows that nobody reads leave the others something of the window', () => {
  const window = 1_000_000
  let kept = 0
  for (let flows = 0; flows < 2; flows++) {
    const share = shareOf(window, kept)
    assert.ok(share > (window - kept) / 2 && share < window - kept, `${share} of ${window - kept}`)
    kept += share
  }
  assert.ok(shareOf(window, window) > 0, 'who has nothing under way may always say something')
})

test('who ends acknowledges what it has, unasked and once', () => {
  const flow = newFlow()
  assert.equal(ackAtEnd(flow), undefined, 'nothing came')
  onData(flow, 1_000)
  assert.equal(ackAtEnd(flow), 1_000)
  assert.equal(ackAtEnd(flow), undefined)
  onEnd(flow)
  assert.equal(ackDue(flow), undefined, 'nothing came since')
})

test('an answer is asked for when half of what may be kept went by, and on a line with much room every step', () => {
  const flow = newFlow()
  flow.sent = MOST / 2 - 1
  assert.ok(!askDue(flow, MOST))
  flow.sent++
  assert.ok(askDue(flow, MOST))
  assert.ok(!askDue(flow, MOST), 'once')
  flow.sent += ASK_STEP_BYTES - 1
  assert.ok(!askDue(flow, 8 * ASK_STEP_BYTES))
  flow.sent++
  assert.ok(askDue(flow, 8 * ASK_STEP_BYTES))
  flow.sent += 1_000
  onAck(flow, flow.sent - 1_000)
  assert.ok(!askDue(flow, MOST))
  assert.ok(askDue(flow, 2_000), 'others keep much by now: less may be kept')
})

test('after the last word nothing is asked: everything is acknowledged to it, and a question behind it would end the link', () => {
  const flow = { ...newFlow(), sent: MOST, localOver: true }
  assert.ok(!askDue(flow, MOST))
  assert.ok(askDue({ ...flow, localOver: false }, MOST), 'control')
})

test('after a break it is asked again: the answer was lost with the link', () => {
  const flow = { ...newFlow(), sent: MOST }
  assert.ok(askDue(flow, MOST))
  onResume(flow, { received: 0, over: false })
  assert.ok(askDue(flow, MOST))
})

test('what cannot be is refused', () => {
  const flow = { ...newFlow(), sent: 10, acked: 4 }
  assert.throws(() => onAck(flow, 11), { code: 'MESSAGE_UNEXPECTED' })
  assert.throws(() => onResume(flow, { received: 3, over: false }), { code: 'MESSAGE_UNEXPECTED' })
  assert.throws(() => onResume(flow, { received: 10, over: true }), { code: 'MESSAGE_UNEXPECTED' })
  assert.deepEqual(onResume(flow, { received: 7, over: false }), { released: 3, sayLastWord: false })
  assert.ok(!mayBeDone({ ...flow, localOver: true, remoteOver: true }))
  assert.ok(mayBeDone({ ...flow, localOver: true, remoteOver: true, acked: flow.sent }))
  onEnd(flow)
  assert.throws(() => onData(flow, 1), { code: 'MESSAGE_UNEXPECTED' })
  assert.throws(() => onAsk(flow), { code: 'MESSAGE_UNEXPECTED' })
  assert.throws(() => onEnd(flow), { code: 'MESSAGE_UNEXPECTED' })
})
