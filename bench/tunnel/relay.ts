/**
 * The ceiling: a relay that moves bytes with splice(2) and never looks at them. No encryption, no payment, no policy, and no copy in user
 * space: what any proxy on this machine could reach at most. A process of its own: `node relay.ts PORT-OF-THE-ORIGIN`.
 */
import { dlopen } from 'node:ffi'
import { acceptTcp, closeTcp, connectTcp, dieWithParent, listenTcp, memory, Poller, READABLE, WRITABLE } from './sockets.ts'

const P = 'pointer'
const { functions: libc } = dlopen(null, {
  pipe2: { arguments: [P, P], return: 'i32' },
  splice: { arguments: [P, P, P, P, P, P], return: 'i64' },
  shutdown: { arguments: [P, P], return: 'i32' },
  fcntl: { arguments: [P, P, P], return: 'i32' },
})

// --- Fixed by Linux. ---
const O_NONBLOCK = 2_048n
const SHUT_WR = 1n
const F_SETPIPE_SZ = 1_031n
const MOVE_NONBLOCK = 3n
/** The largest pipe an unprivileged process may have. */
const PIPE_BYTES = 1_048_576n
const LISTENER = 0

interface Side {
  fd: bigint
  id: number
  other: Side
  /** From here to the other side. */
  pipe: { from: bigint; to: bigint; held: number }
  ended: boolean
  /** Its end was passed on. */
  shut: boolean
}

dieWithParent()
const origin = Number(process.argv[2])
const listener = listenTcp()
const poller = new Poller()
const sides = new Map<number, Side>()
const two = memory(8)
let nextId = LISTENER + 1

function makeSide(fd: bigint): Side {
  if (libc.pipe2(two.at, O_NONBLOCK) < 0) throw new Error('no pipe')
  const pipe = { from: BigInt(two.bytes.readInt32LE(0)), to: BigInt(two.bytes.readInt32LE(4)), held: 0 }
  libc.fcntl(pipe.to, F_SETPIPE_SZ, PIPE_BYTES)
  const side = { fd, id: nextId++, pipe, ended: false, shut: false } as unknown as Side
  sides.set(side.id, side)
  return side
}

function accept(): void {
  for (let fd = acceptTcp(listener.fd); fd !== undefined; fd = acceptTcp(listener.fd)) {
    const [near, far] = [makeSide(fd), makeSide(connectTcp(origin))]
    near.other = far
    far.other = near
    poller.add(near.fd, near.id, READABLE)
    poller.add(far.fd, far.id, READABLE)
  }
}

/** Moves what can be moved from a side to the other. False if that was nothing, not even an end. */
function move(side: Side): boolean {
  const { fd, pipe, other } = side
  let emptied = true
  let moved = false
  do {
    if (!side.ended && pipe.held === 0) {
      const got = Number(libc.splice(fd, 0n, pipe.to, 0n, PIPE_BYTES, MOVE_NONBLOCK))
      if (got === 0) side.ended = true
      moved ||= got >= 0
      if (got > 0) pipe.held += got
    }
    if (pipe.held === 0) break
    const put = Number(libc.splice(pipe.from, 0n, other.fd, 0n, BigInt(pipe.held), MOVE_NONBLOCK))
    emptied = put >= 0
    moved ||= put > 0
    if (put > 0) pipe.held -= put
  } while (emptied && pipe.held > 0)
  if (side.ended && pipe.held === 0 && !side.shut) {
    side.shut = true
    libc.shutdown(other.fd, SHUT_WR)
  }
  if (side.shut && other.shut) close(side)
  else for (const one of [side, other]) poller.change(one.fd, one.id, interest(one))
  return moved
}

/** Read when there is room, write when something waits. */
const interest = (side: Side) => (side.ended || side.pipe.held > 0 ? 0 : READABLE) | (side.other.pipe.held > 0 ? WRITABLE : 0)

function close(side: Side): void {
  for (const one of [side, side.other]) {
    sides.delete(one.id)
    for (const fd of [one.fd, one.pipe.from, one.pipe.to]) closeTcp(fd)
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
      const side = sides.get(id)
      if (side === undefined) return
      let moved = readable && move(side)
      if (writable && sides.has(id)) moved = move(side.other) || moved
      // A connection that broke shows as both for ever, and nothing moves.
      if (readable && writable && !moved && sides.has(id)) close(side)
    })
  }
})
