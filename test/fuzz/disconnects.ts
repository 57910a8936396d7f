/**
 * Connections cut at random moments: `node test/fuzz/disconnects.ts [--count 10000] [--seed N] [--json]`.
 *
 * A consumer and a provider in this process, flows of an echo through them, and links (of control and of flows, at either end) that are ended,
 * reset or dropped while they carry, open or idle. What comes back is checked byte for byte; at the end both books must say the same, nothing
 * may have thrown, and neither descriptors nor memory may be left over.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { parseArgs } from 'node:util'
import { Budget } from '../../src/consumer/budget.ts'
import { systemClock } from '../../src/protocol/clock.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { asBywayError } from '../../src/protocol/errors.ts'
import { Content } from '../chaos/content.ts'
import { heapBytes } from '../support/heap.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { anyRoute, startConsumer, startProvider } from '../support/pair.ts'
import { resetAtAnyMoment } from '../support/reset.ts'
import { type Random, seeded } from './mutate.ts'
import { openFiles } from './run.ts'

export interface Report {
  cuts: number
  flows: number
  /** All that was sent came back, and then the end. */
  whole: number
  /** Given up by this side on purpose. */
  givenUp: number
  /** Ended with an error. */
  broken: number
  /** No flow was to be had: how often, by code. */
  refused: Record<string, number>
  /** The end was heard too soon, or other bytes came. */
  wrong: string[]
  /** Anything that reached the process itself. */
  crashes: string[]
  sessions: number
  bytes: number
  disputedBytes: number
  /** Where the books of both sides differ. */
  differences: string[]
  heapBeforeBytes: number
  heapAfterBytes: number
  fdsBefore: number
  fdsAfter: number
  seconds: number
}

const AT_ONCE = 6
const MAX_FLOW_BYTES = 60_000
const GIVEN_UP_EVERY = 4
/** Into a flow, in turns of the event loop: from its first message to its last byte. */
const MAX_TURNS = 60
/** Between two cuts. */
const CUT_TURNS = 12
const SPARED = 20
/** Heap is looked at when the first cuts have filled all caches, and again at the end; descriptors before the nodes start and after they closed. */
const WARM_UP_SHARE = 0.2
const FLOW_LIMIT_MS = 90_000
/** Of a session's control link, which the consumer makes anew. */
const ENDS_OF_CONTROL = 2
const REST_LIMIT_MS = 30_000
/** More than the attempts of this process can cost. */
const BUDGET_BYTES_PER_S = 1_000_000
const LOOK_EVERY_MS = 10
/** Enough for whoever wants more than the first of them. */
const MAX_SHOWN = 10

export async function disconnect(count: number, seed: number, say: (line: string) => void = () => {}): Promise<Report> {
  const random = seeded(seed)
  const startedMs = performance.now()
  const fdsBefore = openFiles()
  const chain = new MemoryChain()
  const money = { deposit: 500_000_000n, capPerProvider: 400_000_000n }
  const seller = await startProvider({ chain })
  // Ten control links are cut a second, which no line does: an hour's attempts would be used up in a minute.
  const budget = new Budget(systemClock, BUDGET_BYTES_PER_S)
  const buyer = await startConsumer({ chain, offers: () => [seller.offer], budget, ...money })
  const links = watchLinks(seller.port)
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const { port } = echo.address() as AddressInfo
  const report = {
    cuts: 0,
    flows: 0,
    whole: 0,
    givenUp: 0,
    broken: 0,
    refused: {} as Record<string, number>,
    wrong: [] as string[],
    crashes: [] as string[],
  }
  const note = (list: string[], what: string) => void (list.length < MAX_SHOWN && list.push(what))
  const onStray = (thrown: unknown) => note(report.crashes, thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))
  process.on('uncaughtException', onStray)
  process.on('unhandledRejection', onStray)

  async function oneFlow(id: number): Promise<void> {
    report.flows++
    const request = { destination: parseDestination('127.0.0.1', port), parameters: anyRoute }
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(), FLOW_LIMIT_MS)
    const dialled = await buyer.consumer.dial(request, limit.signal).catch((thrown: unknown) => {
      const { code } = asBywayError(thrown)
      report.refused[code] = (report.refused[code] ?? 0) + 1
    })
    clearTimeout(timer)
    if (dialled === undefined) {
      // A provider that failed is left alone for a moment.
      await delay(LOOK_EVERY_MS)
      return
    }
    const { stream } = dialled
    const content = new Content(id % 1_000, 'up')
    const length = random(MAX_FLOW_BYTES)
    let received = 0
    let heardEnd = false
    let error: string | undefined
    let gaveUp = false
    stream.on('error', (thrown: NodeJS.ErrnoException) => {
      error = thrown.code ?? thrown.message
    })
    stream.on('data', (data: Buffer) => {
      if (content.differs(received, data) !== undefined) note(report.wrong, `flow ${id}: another byte than was sent, after ${received}`)
      received += data.length
    })
    stream.once('end', () => {
      heardEnd = true
    })
    const closed = new Promise<void>((resolve) => stream.once('close', resolve))
    stream.end(content.piece(0, length))
    if (random(GIVEN_UP_EVERY) === 0) {
      await turns(random(MAX_TURNS))
      gaveUp = !stream.closed
      stream.destroy()
    }
    const late = setTimeout(() => {
      note(report.wrong, `flow ${id}: not over in time`)
      stream.destroy()
    }, FLOW_LIMIT_MS)
    await closed
    clearTimeout(late)
    if (gaveUp) report.givenUp++
    else if (heardEnd && error === undefined) {
      report.whole++
      if (received !== length) note(report.wrong, `flow ${id}: the end was heard after ${received} bytes of ${length}`)
    } else report.broken++
  }

  async function cutNowAndThen(until: number): Promise<void> {
    while (report.cuts < until) {
      await turns(1 + random(CUT_TURNS))
      // A session that is being opened is mostly left alone, or there would never be one.
      const spared = buyer.consumer.sessions().length === 0 && random(SPARED) > 0
      if (!spared && links.cutOne(random)) report.cuts++
    }
  }

  async function run(until: number): Promise<void> {
    let over = false
    const worker = async () => {
      while (!over) await oneFlow(report.flows)
    }
    const workers = Promise.all(Array.from({ length: AT_ONCE }, worker))
    await cutNowAndThen(until)
    over = true
    await workers
    await rest(() => buyer.consumer.sessions().every(({ flows }) => flows === 0))
  }

  /** Without links that are kept ready or just ending: how many there are is chance. */
  async function heapAtRest(): Promise<number> {
    links.cutAll()
    await rest(() => links.alive() <= ENDS_OF_CONTROL)
    return heapBytes()
  }

  await run(Math.ceil(count * WARM_UP_SHARE))
  const heapBeforeBytes = await heapAtRest()
  say(`${report.cuts} cuts to warm up, ${(heapBeforeBytes / 2 ** 20).toFixed(1)} MiB`)
  await run(count)
  await rest(() => seller.provider.sessions().every(({ unpaidBytes }) => unpaidBytes === 0n))
  const heapAfterBytes = await heapAtRest()
  await buyer.consumer.close()
  await seller.provider.close()
  links.stop()
  echo.close()
  await Promise.all([buyer.vault.close(), seller.vault.close(), once(echo, 'close')])
  // Links that were told to end are gone a moment later.
  await rest(() => openFiles() <= fdsBefore)
  process.off('uncaughtException', onStray)
  process.off('unhandledRejection', onStray)
  const books = compareBooks(seller.vault.book, buyer.vault.book)
  await Promise.all([seller.home, buyer.home].map((home) => rm(home, { recursive: true, force: true })))
  return {
    ...report,
    ...books,
    heapBeforeBytes,
    heapAfterBytes,
    fdsBefore,
    fdsAfter: openFiles(),
    seconds: (performance.now() - startedMs) / 1000,
  }
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await turn()
}

async function rest(holds: () => boolean): Promise<void> {
  for (const until = performance.now() + REST_LIMIT_MS; !holds() && performance.now() < until; ) await delay(LOOK_EVERY_MS)
}

/** Both ends of every connection to the provider, while they live. */
function watchLinks(port: number) {
  const alive = new Set<Socket>()
  const keep = (socket: Socket) => {
    alive.add(socket)
    socket.once('close', () => alive.delete(socket))
  }
  const onAccepted = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    if (socket.localPort === port) keep(socket)
  }
  const onDialled = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    socket.once('connect', () => {
      if (socket.remotePort === port) keep(socket)
    })
  }
  subscribe('net.server.socket', onAccepted)
  subscribe('net.client.socket', onDialled)
  return {
    /** False when none lives. */
    cutOne(random: Random): boolean {
      const socket = [...alive][random(Math.max(1, alive.size))]
      if (socket === undefined || socket.destroyed) return false
      const how = random(3)
      // Only the socket under TLS can be reset; on the other end of it that is the TLS socket itself.
      if (how === 0) socket.end()
      else if (how === 1 && !(socket instanceof TLSSocket)) resetAtAnyMoment(socket)
      else socket.destroy()
      alive.delete(socket)
      return true
    },
    cutAll() {
      for (const socket of alive) socket.destroy()
    },
    alive: () => alive.size,
    stop() {
      unsubscribe('net.server.socket', onAccepted)
      unsubscribe('net.client.socket', onDialled)
    },
  }
}

interface Rows {
  sessions: ReadonlyMap<unknown, { id: string; up: bigint; down: bigint; billed: bigint; disputed: bigint }>
}

/** Session by session, to the byte and the unit. One in which nothing happened may be known to one side only. */
function compareBooks(sold: Rows, bought: Rows): Pick<Report, 'sessions' | 'bytes' | 'disputedBytes' | 'differences'> {
  const said = ({ sessions }: Rows) =>
    new Map(
      [...sessions.values()]
        .filter(({ up, down, billed }) => up + down + billed > 0n)
        .map(({ id, up, down, billed }) => [id, `up ${up}, down ${down}, units ${billed}`]),
    )
  const [seller, buyer] = [said(sold), said(bought)]
  const differences: string[] = []
  for (const id of new Set([...seller.keys(), ...buyer.keys()])) {
    if (seller.get(id) !== buyer.get(id)) differences.push(`session ${id}: provider ${seller.get(id)}, consumer ${buyer.get(id)}`)
  }
  const rows = [...bought.sessions.values()]
  return {
    sessions: rows.length,
    bytes: Number(rows.reduce((sum, { up, down }) => sum + up + down, 0n)),
    disputedBytes: Number(rows.reduce((sum, { disputed }) => sum + disputed, 0n)),
    differences,
  }
}

if (import.meta.main) {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { count: text, seed: text, json: { type: 'boolean', default: false } } })
  const seed = Number(values.seed ?? 1)
  const report = await disconnect(Number(values.count ?? 10_000), seed, (line) => console.error(line))
  const { wrong, crashes, differences, ...numbers } = report
  if (values.json) console.log(JSON.stringify({ seed, ...report }))
  else {
    for (const [name, value] of Object.entries(numbers))
      console.log(`${name.padEnd(16)} ${typeof value === 'object' ? JSON.stringify(value) : Math.round(value)}`)
    for (const line of [...wrong, ...crashes, ...differences].slice(0, 3 * MAX_SHOWN)) console.log(`  ${line}`)
    console.log(`${wrong.length} wrong, ${crashes.length} crashes, ledgers ${differences.length === 0 ? 'equal' : 'DIFFER'}`)
  }
  process.exitCode = wrong.length + crashes.length + differences.length === 0 ? 0 : 1
}
