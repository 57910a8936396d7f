import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { acquireLock } from './lock.ts'
import { homePaths } from './paths.ts'

const base = await mkdtemp(join(tmpdir(), 'byway-lock-'))
after(() => rm(base, { recursive: true }))
let homes = 0
const freshHome = () => homePaths(join(base, `home-${homes++}`))

/**
 * A process that for each line "HOME TIME" tries the lock of HOME at TIME, to the millisecond, says `locked` or the error code, and keeps
 * what it got until it is killed.
 */
const HOLDER = `
  import { createInterface } from 'node:readline'
  import { acquireLock } from ${JSON.stringify(new URL('./lock.ts', import.meta.url).href)}
  import { homePaths } from ${JSON.stringify(new URL('./paths.ts', import.meta.url).href)}
  console.log('waiting')
  for await (const line of createInterface({ input: process.stdin })) {
    const [home, time] = line.split(' ')
    while (Date.now() < Number(time)) {}
    try { await acquireLock(homePaths(home), 1); console.log('locked') } catch (error) { console.log(error.code) }
  }
`

interface Holder {
  child: ChildProcess
  /** Tries the lock of `home` at `timeMs`; what came of it. */
  lock(home: string, timeMs?: number): Promise<string>
}

async function holder(): Promise<Holder> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', HOLDER], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const next = async () => String((await lines.next()).value)
  assert.equal(await next(), 'waiting')
  return {
    child,
    lock(home, timeMs = 0) {
      child.stdin!.write(`${home} ${timeMs}\n`)
      return next()
    },
  }
}

async function kill({ child }: Holder): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('the second one is refused, told who holds it and what to do; after a release it may', async () => {
  const paths = freshHome()
  const lock = await acquireLock(paths, 1)
  await assert.rejects(acquireLock(paths, 2), (error: { code: string; message: string; hint: string; facts: object }) => {
    assert.equal(error.code, 'STATE_LOCKED')
    assert.deepEqual(error.facts, { folder: paths.home, pid: process.pid })
    assert.match(error.hint, new RegExp(`kill ${process.pid}.*--home`))
    return true
  })
  await lock.release()
  await lock.release()
  const again = await acquireLock(paths, 3)
  await again.release()
})

test('a lock of another process holds until kill -9, and then at once no more', async () => {
  const paths = freshHome()
  const other = await holder()
  assert.equal(await other.lock(paths.home), 'locked')
  await assert.rejects(acquireLock(paths, 1), { code: 'STATE_LOCKED', facts: { folder: paths.home, pid: other.child.pid! } })
  await kill(other)
  assert.equal(JSON.parse(await readFile(paths.pid, 'utf8')).pid, other.child.pid, 'it had no chance to clean up')
  const lock = await acquireLock(paths, 1)
  await lock.release()
})

test('what the pid file says never decides', async () => {
  const paths = freshHome()
  // A dead daemon's number, reused by a process that is very much alive: this one.
  const first = await acquireLock(paths, 1)
  await first.release()
  await writeFile(paths.pid, JSON.stringify({ pid: process.pid, startedAtMs: 1 }))
  const lock = await acquireLock(paths, 2)
  for (const content of ['', '{"pid":', '[]', '{"pid":"x"}']) {
    await writeFile(paths.pid, content)
    await assert.rejects(acquireLock(paths, 3), { code: 'STATE_LOCKED', facts: { folder: paths.home } })
  }
  await lock.release()
})

test('of processes that try in the same millisecond exactly one wins, after a kill too', async () => {
  const racers = [await holder(), await holder(), await holder()]
  const race = async (home: string) => {
    // Far enough ahead that all of them are spinning when it comes.
    const timeMs = Date.now() + 40
    return (await Promise.all(racers.map((racer) => racer.lock(home, timeMs)))).sort()
  }
  const oneWinner = ['STATE_LOCKED', 'STATE_LOCKED', 'locked']
  for (let round = 0; round < 6; round++) assert.deepEqual(await race(freshHome().home), oneWinner, `round ${round}`)
  const dead = await holder()
  const { home } = freshHome()
  assert.equal(await dead.lock(home), 'locked')
  assert.deepEqual(await race(home), ['STATE_LOCKED', 'STATE_LOCKED', 'STATE_LOCKED'])
  await kill(dead)
  assert.deepEqual(await race(home), oneWinner)
  await Promise.all(racers.map(kill))
})

test('a folder that cannot be locked is DISK_FAILED, not STATE_LOCKED', async () => {
  const paths = freshHome()
  await acquireLock(paths, 1).then((lock) => lock.release())
  await rm(paths.lock)
  const folderInItsPlace = { lock: paths.home, pid: paths.pid }
  await assert.rejects(acquireLock(folderInItsPlace, 1), { code: 'DISK_FAILED' })
})

test('a folder that cannot be made is an error of the disk, with what to do', async () => {
  const { home } = freshHome()
  await writeFile(home, 'a file, not a folder')
  await assert.rejects(acquireLock(homePaths(join(home, 'below')), 1), { code: 'DISK_FAILED', hint: /--home/ })
})
