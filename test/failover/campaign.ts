/**
 * A failover campaign: the exit of busy flows is killed, again and again, and each time a new request is made at once.
 *
 * Every node of the world is seen at an address of its own, so that the observer at the destination knows who connected: one of the exits, or
 * somebody who never may.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { callDaemon } from '../../src/api/client.ts'
import { socketPath } from '../../src/api/socket.ts'
import { socks } from '../chaos/transfers.ts'
import { CONSUMER_HOST, type Hop, makeWorld, type World } from '../chaos/world.ts'
import { type Origin, startOrigin } from './origin.ts'

export interface CampaignOptions {
  kills: number
  flows: number
  say(line: string): void
}

export interface Report {
  kills: number
  /** From the kill to the first byte of a new request, which came through another exit. */
  firstByteMs: number[]
  /** Requests after a kill that the proxy refused, each made again at once. */
  refused: number
  /** Connections to the destination that came from no exit. */
  direct: number
  /** The same when the consumer's machine dials by itself: whether the observer sees it. */
  control: number
  /** The most connections to the address of a dead exit in the three seconds after its death. */
  knocks: number
  surprises: string[]
}

/** The one that dies, those that may take over, and one that is just coming back. */
const EXITS = 4
const LIMIT_MS = 60_000
const LOOK_EVERY_MS = 20
const KNOCKS_FOR_MS = 3_000
const OWN_ADDRESS = join(import.meta.dirname, 'own-address.ts')

/** Exits dial where it can be told who dials; the consumer uses what it uses anywhere. */
const switchesOf = (host: string) => ({ NODE_OPTIONS: `--import ${OWN_ADDRESS}`, BYWAY_TEST_ADDRESS: host })

export async function runCampaign({ kills, flows, say }: CampaignOptions): Promise<Report> {
  say('starting a chain, exits and a consumer')
  const world = await makeWorld(EXITS, { switchesOf, provider: { path: 'portable' } })
  const origin = await startOrigin()
  const report: Report = { kills, firstByteMs: [], refused: 0, direct: 0, control: 0, knocks: 0, surprises: [] }
  let finished = false
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await killOnce(`session-k${kill}`, { world, origin, report, flows })
      if (kill % 10 === 0) say(`${kill} of ${kills}: ${quantiles(report.firstByteMs)}`)
    }
    const exits = new Set(world.hops.map(({ host }) => host))
    const strangers = () => [...origin.from].filter(([address]) => !exits.has(address)).reduce((sum, [, count]) => sum + count, 0)
    report.direct = strangers()
    await dialDirectly(origin.port)
    report.control = strangers() - report.direct
    report.surprises = [...world.hops.map(({ node }) => node), world.consumer].flatMap((node) => node.surprises)
    finished = true
    return report
  } finally {
    await origin.close()
    await world.close(!finished)
  }
}

/** What a consumer that fails open would do. */
async function dialDirectly(port: number): Promise<void> {
  const program = `require('node:net').connect(${port}, '127.0.0.1').on('data', () => process.exit()).write('direct\\n')`
  const env = { ...process.env, ...switchesOf(CONSUMER_HOST) }
  await once(spawn(process.execPath, ['-e', program], { env, stdio: 'ignore' }), 'exit')
}

interface Scene {
  world: World
  origin: Origin
  report: Report
  flows: number
}

async function killOnce(session: string, { world, origin, report, flows }: Scene): Promise<void> {
  const username = `any-${session}`
  const ask = (line: string) => request(world.proxyPort, username, origin.port, line)
  const busy = await Promise.all(
    Array.from({ length: flows }, (_, at) => until(() => ask(`busy ${session} ${at}`), `busy flow ${at} was to be had`)),
  )
  const exitOf = (name: string): Hop | undefined => world.hops.find(({ host }) => host === origin.seen(name))
  const exit = exitOf(`busy ${session} 0`)
  if (exit === undefined) throw new Error(`a request came from no exit: ${[...origin.from.keys()].join(', ')}`)
  await until(async () => (await standing(world)) > 1, 'a second session stood open')
  const killedAtMs = performance.now()
  const dead = exit.node.kill()
  for (let number = 0; ; number++) {
    const name = `first ${session} ${number}`
    const answer = await ask(name)
    answer?.destroy()
    if (answer !== undefined && exitOf(name) !== exit) break
    if (answer === undefined) report.refused++
    if (performance.now() - killedAtMs > LIMIT_MS) throw new Error(`no exit took over in ${LIMIT_MS / 1000} s`)
  }
  report.firstByteMs.push(performance.now() - killedAtMs)
  await dead
  report.knocks = Math.max(report.knocks, await countKnocks(exit))
  for (const socket of busy) socket?.destroy()
  exit.node.start()
  await exit.node.ready()
}

/** Sessions of the consumer whose way is well. */
async function standing({ consumer }: World): Promise<number> {
  const status = (await callDaemon(socketPath(consumer.home, process.env), 'GET /v1/status')) as { sessions: { away: boolean }[] }
  return status.sessions.filter(({ away }) => !away).length
}

/** Who knocks where the dead exit was: nobody answers, but it is counted. */
async function countKnocks({ host, port }: Hop): Promise<number> {
  let knocks = 0
  const server = createServer((socket) => {
    knocks++
    socket.destroy()
  })
  server.listen(port, host)
  await once(server, 'listening')
  await delay(KNOCKS_FOR_MS)
  await new Promise((resolve) => server.close(resolve))
  return knocks
}

/** Asks for a line through the proxy; resolves with the socket when the first byte of the answer is there, or to undefined when it was refused. */
async function request(proxyPort: number, username: string, originPort: number, line: string): Promise<Socket | undefined> {
  const socket = connect({ host: '127.0.0.1', port: proxyPort, noDelay: true })
  socket.on('error', () => {})
  try {
    await socks(socket, username, originPort)
    socket.write(`${line}\n`)
    const closed = once(socket, 'close').then(() => {
      throw new Error('no answer')
    })
    socket.resume()
    await Promise.race([once(socket, 'data'), closed])
    closed.catch(() => {})
    return socket
  } catch {
    socket.destroy()
    return undefined
  }
}

async function until<T>(look: () => Promise<T | undefined | false>, what: string): Promise<T> {
  for (const deadline = performance.now() + LIMIT_MS; performance.now() < deadline; await delay(LOOK_EVERY_MS)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
  }
  throw new Error(`never: ${what}`)
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)] ?? 0)
}

export const quantiles = (values: readonly number[]): string =>
  `first byte after p50 ${quantile(values, 0.5)} ms, p99 ${quantile(values, 0.99)} ms, at most ${quantile(values, 1)} ms`

/** Nobody dialled directly, though that would have been seen; every request was served by another exit; nothing ended by itself. */
export const isRight = ({ kills, firstByteMs, direct, control, surprises }: Report): boolean =>
  firstByteMs.length === kills && direct === 0 && control === 1 && surprises.length === 0
