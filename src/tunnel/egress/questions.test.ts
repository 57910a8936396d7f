import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answers, questionAllowed, readQuestion, refusal } from './questions.ts'

function question(name: string, type = 1, id = 0x1234): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const head = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, type, 0, 1])])
}

test('reads a question', () => {
  assert.deepEqual(readQuestion(question('WWW.Example.com', 28)), { id: 0x1234, name: 'www.example.com', type: 28, end: 33 })
})

test('what is no question is none', () => {
  const good = question('a.example')
  assert.ok(readQuestion(good), 'control')
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(good)
    copy[at] = value
    return copy
  }
  const bad: Record<string, Buffer> = {
    'an answer': changed(2, 0x81),
    'another opcode': changed(2, 0x28),
    'two questions': changed(5, 2),
    'an answer inside': changed(7, 1),
    'a pointer': changed(12, 0xc0),
    'a label beyond the end': changed(12, 63),
    'another class': changed(good.length - 1, 3),
    'half of it': good.subarray(0, 20),
    'too long': Buffer.concat([good, Buffer.alloc(1_300)]),
    nothing: Buffer.alloc(0),
  }
  for (const [why, message] of Object.entries(bad)) assert.equal(readQuestion(message), undefined, why)
})

test('names of the owner’s network and questions that flood are not passed on', () => {
  const allowed = (name: string, type = 1) => questionAllowed(readQuestion(question(name, type))!)
  for (const name of ['example.com', 'a.example', 'local.example.com', 'lan.de', '8.8.8.8.in-addr.arpa', '1.15.172.in-addr.arpa']) {
    assert.equal(allowed(name), true, name)
  }
  // biome-ignore format: one list
  const refused = [
    'router', 'nas.lan', 'printer.local', 'x.home.arpa', 'localhost', 'a.localhost', 'metadata.google.internal', 'fritz.box', '1.0.0.10.in-addr.arpa',
    '1.1.168.192.in-addr.arpa', '5.16.172.in-addr.arpa', '1.0.0.127.in-addr.arpa', '1.64.100.in-addr.arpa', '8.e.f.ip6.arpa', 'd.f.ip6.arpa',
  ]
  for (const name of refused) assert.equal(allowed(name), false, name)
  for (const type of [252, 251, 255]) assert.equal(allowed('example.com', type), false, `type ${type}`)
  assert.equal(allowed('com', 2), true, 'name servers of a top-level domain')
})

test('a refusal answers the very question', () => {
  const asked = question('nas.lan')
  const answer = refusal(asked, readQuestion(asked)!)
  assert.ok(answers(answer, asked, readQuestion(asked)!))
  assert.equal(answer[3]! & 15, 5)
})

test('an answer has the id and the question', () => {
  const asked = question('a.example')
  const parsed = readQuestion(asked)!
  const answer = Buffer.from(question('A.EXAMPLE'))
  answer[2] = 0x81
  assert.equal(answers(answer, asked, parsed), true, 'control')
  assert.equal(answers(asked, asked, parsed), false, 'a question is none')
  const other = Buffer.from(answer)
  other[1] = 0
  assert.equal(answers(other, asked, parsed), false, 'another id')
  const name = Buffer.from(question('b.example'))
  name[2] = 0x81
  assert.equal(answers(name, asked, parsed), false, 'another name')
})
