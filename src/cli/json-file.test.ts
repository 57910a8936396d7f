import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { z } from 'zod'
import { readJsonFile, readJsonFileIfThere } from './json-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'byway-json-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const numbers = { what: 'numbers', schema: z.object({ a: z.array(z.number()) }), mostBytes: 32 }

test('a file is read as its schema says, and each thing that can be wrong with it has words of its own', async () => {
  const file = join(folder, 'numbers.json')
  const read = (text: string) => {
    writeFileSync(file, text)
    return readJsonFile(file, numbers)
  }
  assert.deepEqual(await read('{"a":[1,2]}'), { a: [1, 2] })
  await assert.rejects(read('{"a":[1,"2"]}'), { code: 'ARGUMENT_INVALID', message: /the file of numbers is malformed at a\.1: / })
  await assert.rejects(read('{"a":'), { code: 'ARGUMENT_INVALID', message: /cannot read .*numbers\.json as JSON/ })
  await assert.rejects(read(`{"a":[${'1,'.repeat(20)}1]}`), (error: Error) => /larger than 32 bytes/.test(String(error.cause)))
  await assert.rejects(readJsonFile(join(folder, 'none.json'), numbers), { code: 'ARGUMENT_INVALID' })
})

test('a file that may not be there yet is nothing; one that is there must be right', async () => {
  assert.equal(await readJsonFileIfThere(join(folder, 'none.json'), numbers), undefined)
  const file = join(folder, 'wrong.json')
  writeFileSync(file, '[]')
  await assert.rejects(readJsonFileIfThere(file, numbers), { code: 'ARGUMENT_INVALID' })
  await assert.rejects(readJsonFileIfThere(folder, numbers), { code: 'ARGUMENT_INVALID' }, 'a folder is no file')
})
