/** Both implementations pass the suite; the folder also survives what other programs leave in it. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/support/folders.ts'
import { silent } from '../protocol/observe.ts'
import { offerText } from '../protocol/offer.ts'
import { OFFERED_AT_S, offeringNode } from '../protocol/testing.ts'
import { testDiscovery } from './compliance.ts'
import { folderDiscovery, memoryDiscovery } from './index.ts'

testDiscovery('memory', async (clock) => memoryDiscovery(clock))
testDiscovery('folder', async (clock) => folderDiscovery(temporaryFolder(), { clock, observer: silent }))

test('folder: skips and counts files that are no offers, or carry another node’s name', async () => {
  const dir = temporaryFolder()
  const counted: string[] = []
  const observer = { ...silent, count: (name: string) => void counted.push(name) }
  const discovery = folderDiscovery(dir, { clock: { nowMs: () => OFFERED_AT_S * 1000 }, observer })
  const node = offeringNode()
  await writeFile(join(dir, 'junk.offer'), 'byway-offer:AAAA')
  await writeFile(join(dir, 'huge.offer'), 'x'.repeat(100_000))
  await writeFile(join(dir, `${'ab'.repeat(32)}.offer`), offerText(node.offer()))
  await discovery.announce(node.offer())
  assert.deepEqual(
    (await discovery.offers()).map((o) => o.body.nodeKey),
    [node.nodeKey],
  )
  assert.deepEqual(counted, ['malformed', 'malformed', 'malformed'])
})
