/**
 * Each hop knows its neighbours and nothing else: a route of three hops through processes of their own, whose whole memory, files, answers and wires
 * are searched for what they must not know. The same search finds what each may know, or it would prove nothing.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { callDaemon } from '../../src/api/client.ts'
import { socketPath } from '../../src/api/socket.ts'
import { realDisk } from '../../src/wallet/disk.ts'
import { readJournal } from '../../src/wallet/journal.ts'
import { homePaths } from '../../src/wallet/paths.ts'
import { ask } from '../clients/ask.ts'
import { startExchange } from '../clients/exchange.ts'
import { consumerAddress } from './from-elsewhere.ts'
import { hexMarker, type Markers, searchAnswers, searchFiles, searchMemory, textMarker } from './knowledge.ts'
import { captureWires, mayCapture } from './wire.ts'

const DESTINATION_ADDRESS = '127.0.0.77'
const ROLES = ['entry', 'middle', 'exit'] as const
const canLook = process.platform === 'linux' && process.getuid?.() === 0 && mayCapture()

/** What each may know of the things searched for; whatever is not here it must not. */
const MAY_KNOW: Record<(typeof ROLES)[number], readonly string[]> = {
  entry: ['consumer address', 'entry payer', 'entry root', 'entry signer', 'entry salt'],
  middle: ['middle payer', 'middle root', 'middle signer', 'middle salt'],
  exit: ['exit payer', 'exit root', 'exit signer', 'exit salt', 'destination', 'path', 'answer'],
}
/** The least that must be found, or the search is blind. */
const MUST_FIND: Record<(typeof ROLES)[number], readonly string[]> = {
  entry: ['consumer address', 'entry payer', 'entry root'],
  middle: ['middle payer', 'middle root'],
  // A request is short, and its buffer is soon used again.
  exit: ['exit payer', 'exit root', 'destination', 'answer'],
}

/** The same of its wires: an address of a neighbour, and what the exit says in the clear to the destination. */
const MUST_FIND_ON_WIRE: Record<(typeof ROLES)[number], readonly string[]> = {
  entry: ['consumer address'],
  middle: [],
  exit: ['destination', 'path', 'answer'],
}

interface Session {
  id: string
  provider: string
  hop: number
  hops: number
}

test('no hop of three knows more than its neighbours', {
  skip: canLook ? false : 'reading memory and wires takes root on Linux, with the right to a packet socket',
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'byway-knowing-'))
  const home = join(folder, 'world')
  const preload = `NODE_OPTIONS=--import=${join(import.meta.dirname, 'from-elsewhere.ts')}`
  const exchange = await startExchange({ home, args: ['--allow-private', '127.0.0.0/8'], inside: ['env', preload] })
  const [path, answer] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')]
  const text = answer.repeat(4_096)
  let onAsked = () => {}
  const origin = createServer((_request, response) => {
    // Now every connection of the route stands.
    onAsked()
    response.end(text)
  })
  origin.listen(0, DESTINATION_ADDRESS)
  await once(origin, 'listening')
  t.after(async () => {
    origin.close()
    origin.closeAllConnections()
    await exchange.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const url = `http://${DESTINATION_ADDRESS}:${(origin.address() as AddressInfo).port}/${path}`
  const { consumer, providers } = exchange.ready
  const pids = new Map<string, number>()
  for (const { nodeKey, home } of providers) {
    const { pid } = JSON.parse(await readFile(join(home, 'pid'), 'utf8')) as { pid: number }
    pids.set(nodeKey, pid)
  }
  const wires = captureWires(new Set([...providers.map(({ port }) => port), (origin.address() as AddressInfo).port]))
  t.after(() => wires.stop())
  onAsked = () => {
    for (const pid of pids.values()) wires.own(pid)
  }
  const { status, body } = await ask(exchange.ready.proxy, url, 'any-country-jp-hops-3')
  assert.equal(status, 200, body)
  assert.equal(body, text)
  assert.equal(wires.lost(), 0, 'packets were lost: nothing can be said of the wires')

  const { sessions } = (await callDaemon(socketPath(consumer.home, process.env), 'GET /v1/status')) as { sessions: Session[] }
  const route = ROLES.map((_, i) => sessions.find(({ hop, hops }) => hop === i + 1 && hops === 3)!)
  const { records } = (await readJournal(realDisk(), homePaths(consumer.home).journal))!
  const markers: Record<string, Buffer[]> = {
    'consumer address': textMarker(consumerAddress()),
    destination: textMarker(DESTINATION_ADDRESS),
    path: textMarker(path),
    answer: textMarker(answer),
  }
  for (const [i, role] of ROLES.entries()) {
    const opened = records.find((record) => record.kind === 'session-opened' && record.sessionId === route[i]!.id)
    assert.ok(opened?.kind === 'session-opened')
    const planned = records.find((record) => record.kind === 'root-planned' && record.rootId === opened.rootId)
    assert.ok(planned?.kind === 'root-planned')
    markers[`${role} payer`] = hexMarker(planned.descriptor.payer)
    markers[`${role} root`] = hexMarker(planned.rootId)
    markers[`${role} signer`] = hexMarker(planned.descriptor.signer)
    markers[`${role} salt`] = hexMarker(planned.leaves[opened.index]!.salt)
  }
  for (const [i, role] of ROLES.entries()) {
    const provider = providers.find(({ nodeKey }) => nodeKey === route[i]!.provider)!
    const pid = pids.get(provider.nodeKey)!
    const wire = wires.search(pid, markers)
    const places: Record<string, Set<string>> = {
      memory: await searchMemory(pid, markers as Markers),
      files: await searchFiles(provider.home, markers),
      answers: await searchAnswers(provider.home, markers),
      wires: wire.found,
    }
    for (const [place, found] of Object.entries(places)) {
      const tooMuch = [...found].filter((name) => !MAY_KNOW[role].includes(name))
      assert.deepEqual(tooMuch, [], `the ${role} (${provider.name}) has in its ${place} what it must not know`)
    }
    t.diagnostic(
      `${role}: memory ${[...places.memory!].join(', ')}; files ${[...places.files!].join(', ')}; answers ${[...places.answers!].join(', ')}; wires ${[...wire.found].join(', ')} in ${wire.bytes} bytes`,
    )
    for (const name of MUST_FIND_ON_WIRE[role]) assert.ok(wire.found.has(name), `the search found no ${name} on the wires of the ${role}`)
    assert.ok(wire.bytes > 2 * text.length, `${wire.bytes} bytes on the wires of the ${role}: the answer came in and went out`)
    for (const name of MUST_FIND[role]) assert.ok(places.memory!.has(name), `the search found no ${name} in the memory of the ${role}`)
    // Logs, journals and answers hold no address and no content of anybody, not even what the node saw.
    for (const name of ['consumer address', 'destination', 'path', 'answer']) {
      assert.ok(!places.files!.has(name) && !places.answers!.has(name), `the ${role} keeps a record of the ${name}`)
    }
  }
})
