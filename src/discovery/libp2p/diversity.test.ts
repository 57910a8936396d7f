import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asnTable } from './asn.ts'
import { BUCKET_LIMITS, Crowd, groupsBy, TABLE_LIMITS } from './diversity.ts'

const groupsOf = groupsBy()

test('one address, one subnet and one operator each have their limit, and honest nodes elsewhere keep their places', () => {
  const crowd = new Crowd({ address: 2, subnet: 3, operator: 5 })
  const admitted = (ips: string[]) => ips.filter((ip) => crowd.admit(groupsOf(ip))).length
  assert.equal(admitted(['45.1.1.1', '45.1.1.1', '45.1.1.1']), 2, 'of one address')
  assert.equal(admitted(['45.1.1.2', '45.1.1.3', '45.1.1.4']), 1, 'of one subnet, together with the above')
  assert.equal(admitted(['45.1.2.1', '45.1.3.1', '45.1.4.1']), 2, 'of one operator, together with the above')
  assert.equal(admitted(['46.1.1.1', '47.1.1.1']), 2, 'of others')
  crowd.leave(groupsOf('45.1.1.1'))
  assert.equal(admitted(['45.1.9.9', '45.1.9.8']), 1, 'whoever leaves makes room for one')
})

test('one /24 never holds more than a tenth of a table of honest size', () => {
  const table = new Crowd(TABLE_LIMITS)
  let [honest, sybils] = [0, 0]
  for (let i = 0; i < 200; i++) if (table.admit(groupsOf(`${11 + (i % 100)}.${i}.7.7`))) honest++
  for (let i = 0; i < 250; i++) if (table.admit(groupsOf(`9.9.9.${i}`))) sybils++
  assert.equal(honest, 200)
  assert.ok(sybils > 0 && sybils <= honest / 10, `${sybils} of one subnet`)
  assert.ok(BUCKET_LIMITS.subnet <= 3 && BUCKET_LIMITS.address <= 2)
})

test('IPv6 counts by /48 and /32, however it is written, and a machine’s own loopback is no crowd', () => {
  assert.deepEqual(groupsOf('2001:db8:1:2::3'), { address: '2001:db8:1:2::3', subnet: '2001:db8:1', operator: '2001:db8' })
  assert.equal(groupsOf('2001:db8::1')?.subnet, '2001:db8:0')
  assert.equal(groupsOf('127.0.0.1'), undefined)
  assert.notEqual(groupsOf('127.0.0.2'), undefined)
})

test('with a table of autonomous systems an operator is one however many networks it has', () => {
  const table = asnTable('5.0.0.0\t5.0.255.255\t64500\tXX\tone\n9.1.0.0\t9.1.0.255\t64500\n7.0.0.0\t7.255.255.255\t0\nnonsense\n')
  assert.deepEqual(['5.0.3.4', '9.1.0.9', '9.1.1.9', '7.1.1.1', '4.255.255.255', '::1'].map(table), [
    64500,
    64500,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  const withTable = groupsBy(table)
  assert.equal(withTable('5.0.3.4')?.operator, withTable('9.1.0.9')?.operator)
  assert.notEqual(groupsOf('5.0.3.4')?.operator, groupsOf('9.1.0.9')?.operator)
})
