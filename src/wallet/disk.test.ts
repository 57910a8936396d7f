import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { createFile, type Disk, diskFromEnvironment, powerCutDisk, realDisk, replaceFile } from './disk.ts'
import { FakeDisk, PowerCut } from './fake-disk.ts'

const folder = await mkdtemp(join(tmpdir(), 'byway-disk-'))
after(() => rm(folder, { recursive: true }))
let files = 0
const freshPath = () => join(folder, `file-${files++}`)
const bytes = (text: string) => Buffer.from(text)

/** What every make of disk does. */
for (const [name, make] of Object.entries<() => Disk>({
  'the real disk': () => realDisk(),
  'the real disk without fsync': () => realDisk({ fsync: 'off' }),
  'the power-cut disk': () => powerCutDisk(),
  'the power-cut disk without fsync': () => powerCutDisk({ fsync: 'off' }),
  'the fake disk': () => new FakeDisk(),
})) {
  suite(name, () => {
    test('appends, reads back what was appended, truncates and goes on', async () => {
      const disk = make()
      const path = freshPath()
      const log = await disk.open(path, 'append')
      assert.equal(log.size, 0)
      await log.append(bytes('one '))
      await log.append(bytes('two '))
      assert.equal((await log.readAll()).toString(), 'one two ')
      await log.sync()
      await log.truncate(4)
      await log.append(bytes('three'))
      assert.deepEqual([(await log.readAll()).toString(), log.size], ['one three', 9])
      await log.sync()
      await log.close()
      const again = await disk.open(path, 'append')
      assert.equal((await again.readAll()).toString(), 'one three')
      await again.close()
      const fresh = await disk.open(path, 'fresh')
      assert.equal(fresh.size, 0)
      await fresh.close()
    })

    test('creates a file once and replaces it whole', async () => {
      const disk = make()
      const path = freshPath()
      assert.equal(await disk.read(path), undefined)
      assert.equal(await createFile(disk, path, bytes('first')), true)
      assert.equal(await createFile(disk, path, bytes('second')), false)
      assert.equal((await disk.read(path))?.toString(), 'first')
      await replaceFile(disk, path, bytes('third'))
      assert.equal((await disk.read(path))?.toString(), 'third')
      await disk.remove(path)
      await disk.remove(path)
      assert.equal(await disk.read(path), undefined)
    })
  })
}

suite('the real disk', () => {
  test('makes files and folders for their owner only, and leaves no temporary file', async () => {
    const home = join(folder, 'a', 'b')
    await realDisk().makeFolder(home)
    await realDisk().makeFolder(home)
    await createFile(realDisk(), join(home, 'secret'), bytes('x'))
    await createFile(realDisk(), join(home, 'secret'), bytes('y'))
    assert.equal((await stat(join(home, 'secret'))).mode & 0o777, 0o600)
    for (const made of [join(folder, 'a'), home]) assert.equal((await stat(made)).mode & 0o777, 0o700)
    assert.deepEqual(await readdir(home), ['secret'])
  })

  test('a failure is DISK_FAILED with the path and what the system said', async () => {
    const path = join(folder, 'missing', 'file')
    await assert.rejects(realDisk().open(path, 'append'), { code: 'DISK_FAILED', facts: { path, errno: 'ENOENT' } })
    await assert.rejects(realDisk().open(folder, 'append'), { code: 'DISK_FAILED', facts: { path: folder, errno: 'EISDIR' } })
    await assert.rejects(realDisk().syncFolder(path), { code: 'DISK_FAILED' })
  })
})

suite('the power-cut disk', () => {
  test('keeps unsynced bytes from the kernel, and with fsync off synced ones too', async () => {
    for (const [fsync, afterSync] of [
      ['on', 'synced '],
      ['off', ''],
    ] as const) {
      const path = freshPath()
      const log = await powerCutDisk({ fsync }).open(path, 'append')
      await log.append(bytes('synced '))
      await log.sync()
      await log.append(bytes('unsynced'))
      assert.equal((await readFile(path)).toString(), afterSync)
      assert.equal((await log.readAll()).toString(), 'synced unsynced')
      await log.close()
      assert.equal((await readFile(path)).toString(), 'synced unsynced', 'a clean close leaves nothing behind')
    }
  })
})

test('the environment chooses the disk, and refuses what it does not know', async () => {
  const survivesKill = async (env: Record<string, string>) => {
    const path = freshPath()
    const log = await diskFromEnvironment(env).open(path, 'append')
    await log.append(bytes('x'))
    const unsynced = (await readFile(path)).length
    await log.sync()
    const synced = (await readFile(path)).length
    await log.close()
    return [unsynced, synced]
  }
  assert.deepEqual(await survivesKill({}), [1, 1])
  assert.deepEqual(await survivesKill({ BYWAY_DEBUG_FSYNC: 'off' }), [1, 1])
  assert.deepEqual(await survivesKill({ BYWAY_DEBUG_POWER_CUT: '1' }), [0, 1])
  assert.deepEqual(await survivesKill({ BYWAY_DEBUG_POWER_CUT: '1', BYWAY_DEBUG_FSYNC: 'off' }), [0, 0])
  for (const env of [{ BYWAY_DEBUG_FSYNC: 'no' }, { BYWAY_DEBUG_POWER_CUT: 'yes' }]) {
    assert.throws(() => diskFromEnvironment(env), { code: 'SETTING_INVALID' })
  }
})

suite('small files, when the power fails', () => {
  /** Contents of `path` that may be found after a cut at each operation of `work`; how it ended is the last. */
  async function contents(
    before: Map<string, Buffer>,
    path: string,
    work: (disk: Disk) => Promise<unknown>,
    lies = false,
  ): Promise<Set<string | undefined>> {
    const found = new Set<string | undefined>()
    for (let cutAt = 0, done = false; !done; cutAt++) {
      const disk = new FakeDisk({ cutAt, lies }, before)
      try {
        await work(disk)
        done = true
        for (const { files } of disk.survivors()) assert.ok(lies || files.get(path)?.toString() === 'new!', 'done means durable')
      } catch (error) {
        assert.ok(error instanceof PowerCut)
      }
      for (const { files } of disk.survivors()) found.add(files.get(path)?.toString())
    }
    return found
  }

  test('a replaced file is the old one or the new one', async () => {
    const before = new Map([['/f', bytes('old')]])
    const replace = (disk: Disk) => replaceFile(disk, '/f', bytes('new!'))
    assert.deepEqual(await contents(before, '/f', replace), new Set(['old', 'new!']))
    const lying = await contents(before, '/f', replace, true)
    assert.ok(lying.has('') && lying.has('ne'), 'a disk that lies leaves mixtures (positive control)')
  })

  test('a created file is absent or whole', async () => {
    assert.deepEqual(await contents(new Map(), '/f', (disk) => createFile(disk, '/f', bytes('new!'))), new Set([undefined, 'new!']))
  })
})

const untraced = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0 ? false : 'strace is missing, or may not trace'

test('every write is synchronous, and what an earlier process left in the cache is synced before the first promise', {
  skip: untraced,
}, async () => {
  const path = freshPath()
  const trace = `${path}.trace`
  const script = `
    import { realDisk } from ${JSON.stringify(new URL('./disk.ts', import.meta.url).href)}
    const log = await realDisk(JSON.parse(process.argv[1])).open(process.argv[2], 'append')
    await log.append(Buffer.from('a line'))
    await log.sync()
    await log.append(Buffer.from('a line'))
    await log.sync()
    await log.close()`
  const calls = async (options: object): Promise<string> => {
    const traced = ['-f', '-e', 'trace=openat,fdatasync', '-o', trace, process.execPath, '--input-type=module', '-e', script]
    assert.equal(spawnSync('strace', [...traced, JSON.stringify(options), path]).status, 0)
    return readFile(trace, 'utf8')
  }
  const opened = (text: string) => text.split('\n').find((line) => line.includes(`${path}"`)) ?? ''
  const syncs = (text: string) => text.match(/ fdatasync\(/g)?.length ?? 0
  const fresh = await calls({})
  assert.match(opened(fresh), /O_DSYNC/)
  assert.equal(syncs(fresh), 0, 'nothing was there before')
  assert.equal(syncs(await calls({})), 1, 'once for what was there')
  // The control: without fsync neither is seen.
  const off = await calls({ fsync: 'off' })
  assert.doesNotMatch(opened(off), /O_DSYNC/)
  assert.equal(syncs(off), 0)
})
