/** What probers publish is read back by whom it is about, and a file that is none of reports says what is wrong. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Audited } from '../prober/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { latencyIn, readReports, reportsFile, writeReports } from './reports.ts'

const folder = mkdtempSync(join(tmpdir(), 'byway-reports-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const NEAR: Hex = `0x${'aa'.repeat(20)}`
const AWAY: Hex = `0x${'bb'.repeat(20)}`
const audited = (epoch: bigint, latencyMs: bigint): Audited => {
  const seen = { region: 'de', claimedMbps: 10n, uptime: 10_000n, rawMbps: 10n, guaranteedMbps: 10n }
  const observations = [
    { ...seen, operator: NEAR, link: NEAR, latencyMs },
    { ...seen, operator: AWAY, link: AWAY, latencyMs: undefined },
  ]
  return { epoch, observations, evidence: [], committees: new Map(), looks: [] }
}

test('the newest latency of an operator is read back; of one that was away, or never seen, none', async () => {
  const file = reportsFile(folder)
  assert.equal(await latencyIn(file, NEAR), undefined, 'before the first epoch')
  for (const [epoch, latencyMs] of [10n, 20n, 30n].entries()) await writeReports(folder, audited(BigInt(epoch), latencyMs))
  assert.equal(await latencyIn(file, NEAR.toUpperCase().replace('0X', '0x') as Hex), 30n)
  assert.equal(await latencyIn(file, AWAY), undefined)
  assert.equal(await latencyIn(file, `0x${'cc'.repeat(20)}`), undefined)
  assert.equal(await latencyIn(undefined, NEAR), undefined, 'no file is named')
  assert.deepEqual(readdirSync(folder).sort(), ['reports-1.json', 'reports-2.json', 'reports.json'], 'older ones are gone')
})

test('all that was said is read back as it was', async () => {
  const word = (byte: string): Hex => `0x${byte.repeat(32)}`
  const statement = { kind: word('01'), stream: word('02'), counter: 7n, content: word('03') }
  const signed = { member: AWAY, operator: NEAR, epoch: 7n, statement, signature: `0x${'04'.repeat(64)}` as Hex }
  const whole: Audited = {
    ...audited(7n, 12n),
    evidence: [
      { ...signed, bytes: 10n ** 20n, windowMs: 2_000n, latencyMs: 12n },
      { ...signed, member: NEAR, bytes: 0n, windowMs: 2_000n, latencyMs: undefined },
    ],
    committees: new Map([[NEAR, [AWAY, NEAR]]]),
    looks: [{ ...signed, asked: 4n, answered: 3n }],
  }
  await writeReports(folder, whole)
  assert.deepEqual(await readReports(reportsFile(folder)), whole)
})

test('a file of something else is refused, and says where', async () => {
  const file = join(folder, 'other.json')
  for (const [text, why] of [
    ['no json', /cannot read/],
    ['{}', /malformed at epoch/],
    ['{"epoch":"1","reports":[],"committees":{},"looks":[],"observations":[{"operator":"0x12"}]}', /malformed at observations.0.operator/],
  ] as const) {
    writeFileSync(file, text)
    await assert.rejects(latencyIn(file, NEAR), why)
  }
})
