/** Where a daemon's socket lies, and that only its owner can reach it. */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { chmod, lstat, mkdir, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BywayError } from '../protocol/errors.ts'

/** The kernel takes 108 bytes on Linux, 104 on others; a longer path is cut without a word and then not found. */
const MAX_PATH_BYTES = 100
const OWNER_ONLY = 0o700
const OTHERS = 0o077

type Env = Readonly<Record<string, string | undefined>>

/** The socket of the daemon of a home: in the home, or, where that is too deep, under the user's runtime folder by a name that follows from it. */
export function socketPath(home: string, env: Env): string {
  const usual = join(resolve(home), 'run', 'api.sock')
  if (Buffer.byteLength(usual) <= MAX_PATH_BYTES) return usual
  const name = `${createHash('sha256').update(realHome(home)).digest('hex').slice(0, 16)}.sock`
  const own = `/tmp/byway-${process.getuid?.() ?? 'user'}`
  const runtime = env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'byway') : own
  const short = join(runtime, name)
  return Buffer.byteLength(short) <= MAX_PATH_BYTES ? short : join(own, name)
}

/** Makes the socket's folder, or refuses one that another user could have put there. */
export async function prepareSocketFolder(path: string): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: OWNER_ONLY })
  const found = await lstat(folder)
  const ours = process.getuid === undefined || found.uid === process.getuid()
  if (!found.isDirectory() || !ours) {
    throw new BywayError('SOCKET_UNSAFE', `${folder} is not a folder of this user`, { hint: 'remove it, or choose another --home' })
  }
  if ((found.mode & OTHERS) !== 0) await chmod(folder, OWNER_ONLY)
}

/** Removes the socket a killed daemon left. Only for the holder of the home's lock: nobody else can be listening then. */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return
  if (!found.isSocket()) throw new BywayError('SOCKET_UNSAFE', `${path} is not a socket`, { hint: 'move it away; a daemon listens there' })
  await rm(path)
}

/** Two spellings of one folder name one socket. A home that is not there yet has only the one. */
function realHome(home: string): string {
  try {
    return realpathSync(home)
  } catch {
    // Not there yet, or not readable: whoever opens it next will say so better.
    return resolve(home)
  }
}
