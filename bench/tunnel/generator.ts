/**
 * The load generator of the tunnel benchmark, a process of its own: drives one system at a time, direct or through its SOCKS5 port, and
 * measures. The same code for every system, so the client's side is the same.
 *
 * A job runs without returning to Node's event loop: nothing but system calls stands between the measured bytes.
 */
import { Connection, closeAll, run, type Task } from './client.ts'
import { cpuSeconds, machineCpuSeconds } from './cpu.ts'
import {
  type Answers,
  BLOCK_BYTES,
  type Bulk,
  type Connections,
  type FirstByte,
  type Held,
  type Job,
  LAST,
  MORE,
  ORIGIN,
  type Path,
  REQUEST_BYTES,
  RESPONSE_BYTES,
} from './jobs.ts'
import { AGAIN, dieWithParent, memory, READABLE, receive, send, swallow, WRITABLE } from './sockets.ts'

/** Longest any job may wait for its last bytes: what slow systems hold in their buffers has to come out. */
const DRAIN_LIMIT_MS = 30_000
/** Most a download takes from the kernel at once. */
const SWALLOW_BYTES = 8_388_608
/** Opening thousands of flows one after the other takes some systems a while. */
const HOLD_LIMIT_MS = 60_000
/** Flows being opened at once while thousands are made to be held: as a browser or a scraper would. */
const OPENING_AT_ONCE = 32

dieWithParent()
/** Blocks of an upload, back to back. */
const blocks = memory(BLOCK_BYTES * 4)
blocks.bytes.fill(0x5a)
for (let at = 0; at < blocks.bytes.length; at += BLOCK_BYTES) blocks.bytes[at] = MORE
const inbox = memory(1_048_576)
const request = memory(REQUEST_BYTES)
request.bytes[0] = ORIGIN.request
/** A byte each, to be sent from. */
const words = memory(256)
for (let i = 0; i < words.bytes.length; i++) words.bytes[i] = i
const word = (byte: number) => words.at + BigInt(byte)

const refuse = (_: Connection, why: string): never => {
  throw new Error(why)
}

/** Time, CPU of the system and of others between two moments. */
function meter(path: Path) {
  const look = () => ({
    atMs: performance.now(),
    system: cpuSeconds(path.pids),
    // The origin is our parent's other child; what it and we use is the load, not others.
    load: cpuSeconds([process.ppid]),
    machine: machineCpuSeconds(),
  })
  const from = look()
  return () => {
    const to = look()
    const seconds = (to.atMs - from.atMs) / 1000
    // The systems are children of the same parent: taken from the machine once, with it.
    return { seconds, cpuSeconds: to.system - from.system, othersCores: (to.machine - from.machine - (to.load - from.load)) / seconds }
  }
}

interface BulkFlow {
  /** Payload sent or received. */
  count: number
  /** The last eight bytes that came, where the origin's count will be. */
  tail: Buffer
  stopped: boolean
  over: boolean
}

function bulk({ path, flows, direction, warmMs, windowMs }: Extract<Job, { kind: 'bulk' }>): Bulk {
  const states = new Map<Connection, BulkFlow>()
  let total = 0
  let open = 0
  let stopping = false
  const over = () => [...states.values()].every((flow) => flow.over)
  const finish = (connection: Connection, flow: BulkFlow, said: number) => {
    if (said !== flow.count) throw new Error(`the origin counted ${said} bytes, here it was ${flow.count}`)
    flow.over = true
    connection.close()
  }

  const download: Task = {
    onRefused: refuse,
    onOpen: (connection) => {
      open++
      connection.say(word(ORIGIN.download), 1)
    },
    onReadable: (connection) => {
      const flow = states.get(connection)!
      if (!flow.stopped) {
        const got = swallow(connection.fd, SWALLOW_BYTES)
        if (got === 0) throw new Error(`a download ended after ${flow.count} bytes, before it was told to`)
        if (got === AGAIN) return
        flow.count += got
        total += got
        return
      }
      const got = receive(connection.fd, inbox.at, inbox.bytes.length)
      if (got === AGAIN) return
      if (got === 0) throw new Error(`a download ended without its count, after ${flow.count} bytes`)
      flow.tail = Buffer.concat([flow.tail, inbox.bytes.subarray(Math.max(0, got - 8), got)]).subarray(-8)
      flow.count += got
      // Payload has no zeros, and a count begins with one: eight bytes that do are the count, whole.
      if (flow.tail.length === 8 && flow.tail[0] === 0) {
        flow.count -= 8
        finish(connection, flow, Number(flow.tail.readBigUInt64BE()))
      }
    },
  }

  const upload: Task = {
    onRefused: refuse,
    onOpen: (connection) => {
      open++
      connection.say(word(ORIGIN.upload), 1, READABLE | WRITABLE)
    },
    onWritable: (connection) => {
      const flow = states.get(connection)!
      const at = flow.count % blocks.bytes.length
      const inBlock = flow.count % BLOCK_BYTES
      if (stopping && inBlock === 0) {
        if (send(connection.fd, word(LAST), 1) !== 1) return
        flow.count++
        connection.listen(READABLE)
        return
      }
      const sent = send(connection.fd, blocks.at + BigInt(at), stopping ? BLOCK_BYTES - inBlock : blocks.bytes.length - at)
      if (sent === AGAIN) return
      flow.count += sent
      total += sent
    },
    onReadable: (connection) => {
      const flow = states.get(connection)!
      const got = receive(connection.fd, inbox.at, 8)
      if (got === AGAIN) return
      if (got !== 8) throw new Error(`an upload ended after ${flow.count} bytes, without the origin's count`)
      finish(connection, flow, Number(inbox.bytes.readBigUInt64BE()))
    },
  }

  for (let i = 0; i < flows; i++) {
    const connection = new Connection(path, direction === 'down' ? download : upload)
    states.set(connection, { count: 0, tail: Buffer.alloc(0), stopped: false, over: false })
  }
  run(() => open === flows, DRAIN_LIMIT_MS)
  wait(warmMs)
  const before = total
  const counts = new Map([...states].map(([connection, { count }]) => [connection, count]))
  const read = meter(path)
  wait(windowMs)
  const bytes = total - before
  const cost = read()
  // Not a speed: a tunnel that stands still, for which somebody must look.
  if (bytes === 0) throw new Error(`no byte was carried in ${windowMs} ms, ${before} before that: ${flows} flows stand still`)
  const starved = [...states].filter(([connection, { count }]) => count === counts.get(connection)).length
  stopping = true
  if (direction === 'down') {
    for (const [connection, flow] of states) {
      flow.stopped = true
      if (send(connection.fd, word(1), 1) !== 1) throw new Error('no room to say stop')
    }
  }
  run(over, DRAIN_LIMIT_MS)
  const carried = [...states.values()].reduce((sum, { count }) => sum + count, 0)
  return { bytes, carried, starved, ...cost }
}

/** Carries on for this long. */
function wait(ms: number): void {
  const until = performance.now() + ms
  run(
    () => performance.now() >= until,
    ms + DRAIN_LIMIT_MS,
    () => until,
  )
}

/** From the first SYN to the first byte of the answer, one after the other. */
function firstByte({ path, count }: Extract<Job, { kind: 'first-byte' }>): FirstByte {
  const micros: number[] = []
  for (let i = 0; i < count; i++) {
    let got = 0
    const startMs = performance.now()
    const connection = new Connection(path, {
      onRefused: refuse,
      onOpen: (open) => open.say(request.at, REQUEST_BYTES),
      onReadable: ({ fd }) => {
        const read = receive(fd, inbox.at, RESPONSE_BYTES)
        if (read === 0) throw new Error('the answer ended before it was whole')
        if (read === AGAIN) return
        if (got === 0) micros.push((performance.now() - startMs) * 1000)
        got += read
      },
    })
    run(() => got === RESPONSE_BYTES, DRAIN_LIMIT_MS)
    connection.close()
  }
  micros.sort((a, b) => a - b)
  const at = (share: number) => micros[Math.min(micros.length - 1, Math.floor(micros.length * share))]!
  return { p50Us: at(0.5), p99Us: at(0.99) }
}

/** Connections that are opened, carry one byte there and back, and are closed; as many at once as `concurrency`. */
function connectionRate({ path, concurrency, windowMs }: Extract<Job, { kind: 'connections' }>): Connections {
  let count = 0
  let alive = 0
  let stopping = false
  const task: Task = {
    onRefused: refuse,
    onOpen: (connection) => connection.say(word(ORIGIN.echo), 1),
    onReadable: (connection) => {
      const got = receive(connection.fd, inbox.at, 16)
      if (got === AGAIN) return
      if (got !== 1) throw new Error(`one byte was expected, ${got} came`)
      connection.close()
      count++
      alive--
      next()
    },
  }
  const next = () => {
    if (stopping) return
    alive++
    new Connection(path, task)
  }
  const read = meter(path)
  for (let i = 0; i < concurrency; i++) next()
  wait(windowMs)
  const done = count
  const cost = read()
  stopping = true
  run(() => alive === 0, DRAIN_LIMIT_MS)
  return { count: done, ...cost }
}

let held: Connection[] = []
/** What happens when a byte comes on a flow that is, or will be, held. */
let onByte: (connection: Connection) => void

/** Opens flows that each carried one byte, and keeps them. */
function hold({ path, flows }: Extract<Job, { kind: 'hold' }>): Held {
  let opening = 0
  let refused: string | undefined
  held = []
  const task: Task = {
    onRefused: (_, why) => {
      opening--
      refused ??= why
    },
    onOpen: (connection) => connection.say(word(ORIGIN.echo), 1),
    onReadable: (connection) => {
      const got = receive(connection.fd, inbox.at, 16)
      if (got === AGAIN) return
      if (got !== 1) throw new Error(got === 0 ? 'a flow that should be kept was closed' : `one byte was expected, ${got} came`)
      onByte(connection)
    },
  }
  const next = () => {
    if (refused !== undefined || held.length + opening >= flows) return
    opening++
    new Connection(path, task)
  }
  onByte = (connection) => {
    opening--
    held.push(connection)
    next()
  }
  for (let i = 0; i < OPENING_AT_ONCE; i++) next()
  run(() => opening === 0, HOLD_LIMIT_MS)
  return { flows: held.length, ...(refused === undefined ? {} : { refused }) }
}

/** Every flow that was kept still carries a byte there and back. */
function release(): Answers['release'] {
  let alive = 0
  onByte = () => alive++
  for (const connection of held) connection.say(word(ORIGIN.echo), 1)
  run(() => alive === held.length, HOLD_LIMIT_MS)
  held = []
  return { alive }
}

function perform(job: Job): Answers[Job['kind']] {
  switch (job.kind) {
    case 'bulk':
      return bulk(job)
    case 'first-byte':
      return firstByte(job)
    case 'connections':
      return connectionRate(job)
    case 'hold':
      return hold(job)
    case 'release':
      return release()
  }
}

process.on('message', (job: Job) => {
  let answer: { answer: unknown } | { error: string }
  try {
    answer = { answer: perform(job) }
  } catch (thrown) {
    answer = { error: (thrown as Error).message }
  }
  if (job.kind !== 'hold' || 'error' in answer) closeAll()
  process.send!(answer)
})
