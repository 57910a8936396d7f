import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockFile } from './lock.ts'
import { homePaths } from './paths.ts'
import { walletTurn } from './turn.ts'

test('a process that sends keeps others from sending, until it is done or dead', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'byway-turn-'))
  const paths = homePaths(folder)
  try {
    // Another process takes its turn, says so, and waits to be killed.
    const other = `
      const { walletTurn } = await import(${JSON.stringify(new URL('turn.ts', import.meta.url).href)})
      await walletTurn(${JSON.stringify(paths)})(async () => {
        console.log('mine')
        await new Promise((resolve) => setTimeout(resolve, 1e9))
      })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', other], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    assert.equal(lockFile(paths.turn, 0), undefined, 'held by the other process')

    const order: string[] = []
    const mine = walletTurn(paths)(async () => order.push('sent'))
    order.push('waiting')
    child.kill('SIGKILL')
    await once(child, 'exit')
    await mine
    assert.deepEqual(order, ['waiting', 'sent'])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('within a process wallets send side by side, and what fails gives the turn back', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'byway-turn-'))
  const paths = homePaths(folder)
  try {
    const turn = walletTurn(paths)
    const first = Promise.withResolvers<void>()
    const one = turn(() => first.promise)
    // The second does not wait for the first: it ends while that one is under way.
    assert.equal(await turn(async () => 'done'), 'done')
    first.resolve()
    await one
    await assert.rejects(
      turn(async () => {
        throw new Error('refused')
      }),
      /refused/,
    )
    const free = lockFile(paths.turn, 0)
    assert.notEqual(free, undefined, 'given back')
    free?.close()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
