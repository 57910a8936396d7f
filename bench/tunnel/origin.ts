/**
 * The origin of the tunnel benchmark, a process of its own: what flows reach at the far end of every system.
 *
 * The first byte of a connection says what it is for (ORIGIN in jobs.ts). All bytes are counted, and the count is part of the answer, so that the
 * load generator can tell when a system lost or made up any.
 */
import { BLOCK_BYTES, LAST, ORIGIN, REQUEST_BYTES, RESPONSE_BYTES } from './jobs.ts'
import { acceptTcp, closeTcp, dieWithParent, listenTcp, memory, Poller, READABLE, receive, send, swallow, WRITABLE } from './sockets.ts'

/** One send of a download: large, because the origin's own work should cost little beside the system's. */
const SEND_BYTES = 1_048_576
const LISTENER = 0

interface Connection {
  fd: bigint
  id: number
  /** What it is for; undefined until its first byte. */
  kind: number | undefined
  /** Payload bytes so far, without the first byte. */
  count: number
  /** Of the current block (uploads) or request (requests). */
  left: number
}

dieWithParent()
// On every address: a far one is reached without a proxy too.
const listener = listenTcp([0, 0, 0, 0])
const poller = new Poller()
const connections = new Map<number, Connection>()
const payload = memory(SEND_BYTES)
payload.bytes.fill(0x5a)
const small = memory(RESPONSE_BYTES)
let nextId = LISTENER + 1

function accept(): void {
  for (let fd = acceptTcp(listener.fd); fd !== undefined; fd = acceptTcp(listener.fd)) {
    const connection = { fd, id: nextId++, kind: undefined, count: 0, left: 0 }
    connections.set(connection.id, connection)
    poller.add(fd, connection.id, READABLE)
  }
}

function close(connection: Connection): void {
  connections.delete(connection.id)
  closeTcp(connection.fd)
}

/** A few bytes on a connection that has room for them. */
function answer({ fd }: Connection, length: number): void {
  if (send(fd, small.at, length) !== length) throw new Error('no room for an answer')
}

function answerCount(connection: Connection): void {
  small.bytes.writeBigUInt64BE(BigInt(connection.count))
  answer(connection, 8)
}

function onReadable(connection: Connection): void {
  const { fd } = connection
  if (connection.kind === undefined) {
    const got = receive(fd, small.at, 1)
    if (got === 0) close(connection)
    if (got < 1) return
    connection.kind = small.bytes[0]!
    if (connection.kind === ORIGIN.download) poller.change(fd, connection.id, READABLE | WRITABLE)
    if (connection.kind === ORIGIN.echo) answer(connection, 1)
    if (connection.kind === ORIGIN.request) connection.left = REQUEST_BYTES - 1
    return
  }
  if (connection.kind === ORIGIN.upload) onUpload(connection)
  else if (connection.kind === ORIGIN.request) onRequest(connection)
  else {
    const got = receive(fd, small.at, 1)
    if (got === 0) close(connection)
    if (got < 1) return
    if (connection.kind === ORIGIN.echo) answer(connection, 1)
    // A download is told to stop. Its count may have to wait behind megabytes of payload.
    else if (connection.kind === ORIGIN.download) connection.kind = ORIGIN.stopping
  }
}

function onUpload(connection: Connection): void {
  const { fd } = connection
  if (connection.left > 0) {
    const got = swallow(fd, connection.left)
    if (got === 0) close(connection)
    if (got < 1) return
    connection.left -= got
    connection.count += got
    if (connection.left > 0) return
  }
  const got = receive(fd, small.at, 1)
  if (got === 0) close(connection)
  if (got < 1) return
  connection.count++
  if (small.bytes[0] === LAST) answerCount(connection)
  else connection.left = BLOCK_BYTES - 1
}

function onRequest(connection: Connection): void {
  const got = swallow(connection.fd, connection.left)
  if (got === 0) close(connection)
  if (got < 1) return
  connection.left -= got
  if (connection.left > 0) return
  connection.left = REQUEST_BYTES
  answer(connection, RESPONSE_BYTES)
}

function onWritable(connection: Connection): void {
  const { fd, id } = connection
  if (connection.kind === ORIGIN.stopping) {
    // Its last word; whoever reads it closes.
    answerCount(connection)
    connection.kind = ORIGIN.stopped
    poller.change(fd, id, READABLE)
  } else if (connection.kind === ORIGIN.download) {
    const sent = send(fd, payload.at, SEND_BYTES)
    if (sent > 0) connection.count += sent
  }
}

poller.add(listener.fd, LISTENER, READABLE)
process.send!({ port: listener.port }, () => {
  for (;;) {
    poller.wait(-1, (id, readable, writable) => {
      if (id === LISTENER) {
        accept()
        return
      }
      const connection = connections.get(id)
      if (connection === undefined) return
      try {
        if (readable) onReadable(connection)
        if (writable && connections.has(id)) onWritable(connection)
      } catch {
        // The other end is gone: that is for the load generator to notice and to count.
        close(connection)
      }
    })
  }
})
