/** What is written down can be read back, whichever way it was written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hexOf, journals, voucher } from './fixtures.ts'
import { type JournalRecord, journalRecord, recordText } from './records.ts'

const asOthers = (record: object) =>
  JSON.stringify(record, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))

test('every record reads back as itself, vouchers too, and their text is that of any other record', () => {
  fc.assert(
    fc.property(fc.oneof(journals('consumer'), journals('provider')), (records) => {
      for (const record of records) {
        const text = recordText(record)
        assert.equal(text, asOthers(record))
        assert.deepEqual(journalRecord.parse(JSON.parse(text)), record)
      }
    }),
  )
})

test('a voucher is written exactly when it could be read back', () => {
  const good = voucher(1, 5n, 7n)
  const spoiled = {
    rootId: ['0x', hexOf(32, 1).toUpperCase(), hexOf(31, 1), `${hexOf(32, 1)}"`, hexOf(32, 2)],
    index: [-1, 1.5, Number.NaN, 1e21, 0, 4_294_967_295],
    sessionId: [hexOf(32, 1), hexOf(16, 9)],
    up: [-1n, 10n ** 30n, 10n ** 30n - 1n],
    numerator: [10n ** 40n, 10n ** 40n - 1n],
    cumulative: [-5n, 0n],
    signature: ['', hexOf(65, 1), hexOf(64, 3)],
    atMs: [-1, 0.5, Number.POSITIVE_INFINITY, 0, Number.MAX_SAFE_INTEGER],
  }
  let [taken, refused] = [0, 0]
  for (const [field, values] of Object.entries(spoiled)) {
    for (const value of values) {
      const record = { ...good, [field]: value } as JournalRecord
      const readable = journalRecord.safeParse(JSON.parse(asOthers(record))).success
      if (readable) {
        assert.equal(recordText(record), asOthers(record), `${field} ${value}`)
        taken++
      } else {
        assert.throws(() => recordText(record), { code: 'INTERNAL' }, `${field} ${value}`)
        refused++
      }
    }
  }
  assert.ok(taken >= 8 && refused >= 14, `${taken} taken, ${refused} refused`)
})
