/** Two ends of a flow over links that break anywhere: nothing is lost, doubled or counted twice, and both hear the same end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ACK_WITHIN_BYTES,
  ackDue,
  bothOver,
  type FlowState,
  markOf,
  mayBeDone,
  newFlow,
  onAck,
  onData,
  onEnd,
  onReset,
  onResume,
} from './flow.ts'

/** One end, its words and what it keeps. */
interface End {
  flow: FlowState
  kept: number[]
  heard: number[]
  gaveUp: boolean
}
type Frame = { data: number } | { ack: number } | 'end' | 'reset'

/** A run: what is said, how far each direction is delivered, and where the link breaks. */
const step = fc.record({ from: fc.constantFrom(0, 1), act: fc.constantFrom('say', 'say', 'deliver', 'deliver', 'break', 'end', 'reset') })

test('whatever breaks when, each end hears exactly what the other said, once and in order', () => {
  const outcome = { resumed: 0, reset: 0, ended: 0 }
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
        else if ('ack' in frame) receiver.kept.splice(0, onAck(receiver.flow, frame.ack) / WORD)
        else {
          onData(receiver.flow, WORD)
          receiver.heard.push(frame.data)
          const ack = ackDue(receiver.flow)
          if (ack !== undefined) say(1 - from, { ack })
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
        assert.equal(receiver.heard.length, sender.flow.sent / WORD)
        assert.equal(receiver.flow.remoteOver, sender.flow.localOver)
        if (sender.gaveUp) assert.ok(receiver.flow.aborted, 'a reset that was not heard')
      }
      if (ends.every(({ flow }) => bothOver(flow))) outcome.ended++
      if (ends.some(({ flow }) => flow.aborted)) outcome.reset++
    }),
    { numRuns: 500 },
  )
  // The runs reached what they are about.
  assert.ok(outcome.resumed > 500 && outcome.ended > 50 && outcome.reset > 50, JSON.stringify(outcome))
})

/** Large enough that acknowledgements come. */
const WORD = 50_000
const fresh = (): End => ({ flow: newFlow(), kept: [], heard: [], gaveUp: false })

test('a step is acknowledged, and after the last word everything', () => {
  const flow = newFlow()
  onData(flow, ACK_WITHIN_BYTES / 2 - 1)
  assert.equal(ackDue(flow), undefined)
  onData(flow, 1)
  assert.equal(ackDue(flow), ACK_WITHIN_BYTES / 2)
  onData(flow, 10)
  assert.equal(ackDue(flow), undefined)
  onEnd(flow)
  assert.equal(ackDue(flow), ACK_WITHIN_BYTES / 2 + 10)
  assert.equal(ackDue(flow), undefined, 'once')
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
  assert.throws(() => onEnd(flow), { code: 'MESSAGE_UNEXPECTED' })
})
