/** Both implementations pass the suite; the folder also survives what other programs leave in it. */
import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../protocol/clock.ts'
import { silent } from '../protocol/observe.ts'
import { offerText } from '../protocol/offer.ts'
import { offeringNode } from '../protocol/testing.ts'
import { testDiscovery } from './compliance.ts'
import { folderDiscovery, memoryDiscovery } from './index.ts'

const folder = () => mkdtemp(join(tmpdir(), 'byway-offers-'))

testDiscovery('memory', async (clock) => memoryDiscovery(clock))
testDiscovery('folder', async (clock) => folderDiscovery(await folder(), { clock, observer: silent }))

test('folder: skips and counts files that are no offers, or carry another node’s name', async () => {
  const dir = await folder()
  const counted: string[] = []
  const observer = { ...silent, count: (name: string) => void counted.push(name) }
  const discovery = folderDiscovery(dir, { clock: systemClock, observer })
  const node = offeringNode()
  const expiresAt = BigInt(Math.floor(Date.now() / 1000) + 3600)
  await writeFile(join(dir, 'junk.offer'), 'byway-offer:AAAA')
  await writeFile(join(dir, 'huge.offer'), 'x'.repeat(100_000))
  await writeFile(join(dir, `${'ab'.repeat(32)}.offer`), offerText(node.offer({ expiresAt })))
  await discovery.announce(node.offer({ expiresAt }))
  assert.deepEqual(
    (await discovery.offers()).map((o) => o.body.nodeKey),
    [node.nodeKey],
  )
  assert.deepEqual(counted, ['malformed', 'malformed', 'malformed'])
})
