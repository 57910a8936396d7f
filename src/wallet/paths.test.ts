import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { exchangePaths, findHomes, homePaths, stateFolder } from './paths.ts'

test('state lies where XDG says, and a relative XDG path is ignored', () => {
  assert.equal(stateFolder({}, '/home/ada'), '/home/ada/.local/state/byway')
  assert.equal(stateFolder({ XDG_STATE_HOME: '/var/state' }, '/home/ada'), '/var/state/byway')
  for (const bad of ['', 'state']) assert.equal(stateFolder({ XDG_STATE_HOME: bad }, '/home/ada'), '/home/ada/.local/state/byway')
})

test('a home and the local exchange have the files the tree at the top draws', () => {
  const home = homePaths('/h')
  assert.deepEqual(home, {
    home: '/h',
    keys: '/h/keys.json',
    passphrase: '/h/passphrase',
    journal: '/h/journal.jsonl',
    lock: '/h/lock',
    pid: '/h/pid',
    turn: '/h/turn',
    offers: '/h/offers',
    cachedOffers: '/h/cached-offers',
    contacts: '/h/contacts.json',
    explorer: '/h/explorer.json',
  })
  assert.equal(exchangePaths('/x').explorer, '/x/explorer')
  assert.equal(exchangePaths('/x').provider(2), '/x/provider-2')
})

test('finds the homes in and below a folder, in the order of their numbers', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'byway-paths-'))
  try {
    const make = async (...names: string[]) => {
      const home = join(folder, ...names)
      await mkdir(home, { recursive: true })
      await writeFile(join(home, 'journal.jsonl'), '')
      return home
    }
    assert.deepEqual(await findHomes(folder), [])
    assert.deepEqual(await findHomes(join(folder, 'missing')), [])
    const homes = [
      await make('consumer'),
      await make('exchange', 'consumer'),
      await make('exchange', 'provider-2'),
      await make('exchange', 'provider-10'),
    ]
    await make('too', 'far', 'down')
    await mkdir(join(folder, 'exchange', 'chain'))
    assert.deepEqual(await findHomes(folder), homes)
    assert.deepEqual(await findHomes(join(folder, 'consumer')), [join(folder, 'consumer')])
    assert.deepEqual(await findHomes(join(folder, 'exchange')), homes.slice(1))
  } finally {
    await rm(folder, { recursive: true })
  }
})
