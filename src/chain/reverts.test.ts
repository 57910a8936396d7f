import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeErrorResult } from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import type { BywayError } from '../protocol/errors.ts'
import { channelsAbi } from './abi.ts'
import { contractErrorOf, refusalError } from './reverts.ts'
import { RpcRefusal } from './rpc.ts'

test("a contract's error keeps its name and arguments", () => {
  const data = encodeErrorResult({ abi: channelsAbi, errorName: 'CumulativeAboveCap', args: [2n, 11n, 10n] })
  assert.deepEqual(contractErrorOf(data), { name: 'CumulativeAboveCap', facts: { voucher: 2n, cumulative: 11n, cap: 10n } })
  const error = refusalError(new RpcRefusal(3, 'execution reverted', data), 'a claim') as BywayError
  assert.equal(error.code, 'CAP_EXCEEDED')
  assert.equal(error.message, 'a claim was refused by the contract: CumulativeAboveCap')
})

test('a refusal without such an error keeps the words of the node', () => {
  const error = refusalError(new RpcRefusal(-32000, 'gas required exceeds allowance', undefined), 'a claim') as BywayError
  assert.deepEqual([error.code, error.message], ['TRANSACTION_FAILED', 'a claim was refused: gas required exceeds allowance'])
  const other = new Error('not a refusal')
  assert.equal(refusalError(other, 'a claim'), other)
})

test('whatever a contract returns, decoding does not throw', () => {
  const selectors = fc.constantFrom<Hex>(
    '0x',
    encodeErrorResult({ abi: channelsAbi, errorName: 'ZeroSum' }),
    encodeErrorResult({ abi: channelsAbi, errorName: 'ProofInvalid', args: [1n] }).slice(0, 10) as Hex,
  )
  fc.assert(
    fc.property(selectors, fc.uint8Array({ maxLength: 200 }), (selector, tail) => {
      contractErrorOf(`${selector}${Buffer.from(tail).toString('hex')}`)
    }),
    { numRuns: 5_000 },
  )
  assert.equal(contractErrorOf(undefined), undefined)
  assert.equal(contractErrorOf('0x'), undefined)
  assert.deepEqual(contractErrorOf(encodeErrorResult({ abi: channelsAbi, errorName: 'ZeroSum' })), { name: 'ZeroSum', facts: {} })
})
