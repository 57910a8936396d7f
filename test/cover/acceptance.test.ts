/** A small run of the acceptance of the cover, without its times; and the rule it applies, case by case. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lacks } from '../support/programs.ts'
import { accept, type Finding } from './acceptance.ts'
import { whyNoCapture } from './dpi.ts'
import { exemption } from './first-payload.ts'
import { kolmogorovSmirnov } from './probe.ts'

const skip = lacks('nginx') || whyNoCapture()

test('a node looks like its cover, to a small sample', { skip }, async () => {
  const findings: Finding[] = []
  await accept({ flows: 10, payloads: 30, lengths: 12, replays: 10, captures: 24, times: 0 }, (finding) => findings.push(finding))
  assert.equal(findings.length, 6)
  for (const { what, lines, passed } of findings) assert.ok(passed, `${what}\n${lines.join('\n')}`)
})

test('each exemption of the rule holds on its own, and without one a payload is blocked', () => {
  // Half of the bits are set, and every third byte is printable, the first of them too.
  const plain = Buffer.from(Array.from({ length: 60 }, (_, at) => [0x33, 0xcc, 0x99][at % 3]!))
  const cases: [ReturnType<typeof exemption>, Buffer][] = [
    [undefined, plain],
    ['bits', Buffer.alloc(60, 0x81)],
    ['bits', Buffer.alloc(60, 0xef)],
    ['first six', Buffer.concat([Buffer.from('333333'), plain])],
    ['half', Buffer.from(Array.from({ length: 60 }, (_, at) => (at % 3 === 0 ? 0xcc : 0x33)))],
    ['run', Buffer.concat([plain, Buffer.alloc(20, 0x33), plain])],
    ['protocol', Buffer.concat([Buffer.from([0x16, 0x03, 0x01]), plain])],
    ['protocol', Buffer.concat([Buffer.from([0x17, 0x03, 0x09]), plain])],
    [undefined, Buffer.concat([Buffer.from([0x17, 0x03, 0x0a]), plain])],
    [undefined, Buffer.concat([plain, Buffer.alloc(19, 0x33), plain])],
  ]
  for (const [expected, payload] of cases) assert.equal(exemption(payload), expected, payload.toString('hex'))
})

test('two samples of one distribution are not told apart, of two they are', () => {
  const sample = (shift: number) => Array.from({ length: 500 }, (_, at) => ((at * 7_919) % 500) + shift)
  assert.ok(kolmogorovSmirnov(sample(0), sample(3)).p > 0.5)
  assert.ok(kolmogorovSmirnov(sample(0), sample(100)).p < 1e-6)
})
