import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clip, counted, formatBytes, formatDuration, formatUsd, shortHex, stackedLines, tableLines } from './format.ts'

test('bytes read in binary units, rounded down', () => {
  const rows: [bigint | number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536n, '1.5 KiB'],
    [1024 ** 2 - 1, '1023.9 KiB'],
    [104_857_600n, '100.0 MiB'],
    [1n << 62n, '4096.0 PiB'],
  ]
  for (const [bytes, text] of rows) assert.equal(formatBytes(bytes), text)
})

test('durations read in two parts at most, rounded down', () => {
  const rows: [number, string][] = [
    [0.4, '0 ms'],
    [999, '999 ms'],
    [1_299, '1.2 s'],
    [59_999, '59.9 s'],
    [60_000, '1 min'],
    [125_000, '2 min 5 s'],
    [11_520_000, '3 h 12 min'],
    [356_400_000, '4 d 3 h'],
  ]
  for (const [ms, text] of rows) assert.equal(formatDuration(ms), text)
})

test('amounts read in dollars, exact, the sign before the dollar', () => {
  assert.equal(formatUsd(1_250_001n), '$1.250001')
  assert.equal(formatUsd(-500_000n), '-$0.50')
})

test('hex is shortened to what the eye compares', () => {
  assert.equal(shortHex('0x5fbdb2315678afecb367f032d93f642f64180aa3'), '0x5fbd…0aa3')
  assert.equal(shortHex('0x12'), '0x12')
})

test('a table aligns its columns, numbers to the right, and ends lines without blanks', () => {
  const lines = tableLines(
    [{ title: 'exit' }, { title: 'bytes', align: 'right' }, { title: 'why' }],
    [
      ['de', '1', 'done'],
      ['Zürich 🇨🇭', '12345', ''],
    ],
  )
  assert.deepEqual(lines, ['exit      bytes  why', 'de            1  done', 'Zürich 🇨🇭  12345'])
})

test('a cell cannot drive the terminal or fake a row', () => {
  const [, row] = tableLines([{ title: 'peer' }], [['a\u001b[2Jb\nc\u202ed']])
  assert.equal(row, 'a [2Jb c d')
})

test('clips by characters', () => {
  assert.equal(clip('a🇨🇭b', 2), 'a🇨🇭')
  assert.equal(clip('abc', 0), '')
})

test('rows too wide for a terminal stand as pairs under their first cell, empty cells left out', () => {
  const columns = ['session', 'peer', 'country', 'why nothing'].map((title) => ({ title }))
  const row = ['0x12', '0x34', 'de', '']
  assert.deepEqual(stackedLines(columns, [row], 30), ['0x12', '  peer 0x34   country de'])
  assert.deepEqual(stackedLines(columns, [row], 20), ['0x12', '  peer 0x34', '  country de'])
})

test('one thing is not many', () => {
  assert.deepEqual([counted(0, 'byte'), counted(1n, 'byte'), counted(2, 'byte')], ['0 bytes', '1 byte', '2 bytes'])
})
