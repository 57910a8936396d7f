/** What a process knows: a search through all of its memory, its files and what it tells its owner. */
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { callDaemon } from '../../src/api/client.ts'
import { socketPath } from '../../src/api/socket.ts'

/** Read at once; what lies across two pieces is found because they overlap. */
const PIECE_BYTES = 1024 * 1024
const OVERLAP_BYTES = 256
/** Most of what a process reserves it never touched. */
const UNTOUCHED = Buffer.alloc(PIECE_BYTES)

/** Names of markers, each with the forms it may take in memory. */
export type Markers = Readonly<Record<string, readonly Buffer[]>>

/** Plain text, which JavaScript too keeps in a byte a letter. */
export const textMarker = (text: string): Buffer[] => [Buffer.from(text, 'latin1')]

/** Bytes, and their hex digits. */
export const hexMarker = (hex: string): Buffer[] => {
  const digits = hex.replace(/^0x/, '').toLowerCase()
  return [Buffer.from(digits, 'hex'), ...textMarker(digits)]
}

export function foundIn(bytes: Buffer, markers: Markers): Set<string> {
  const names = Object.keys(markers).filter((name) => markers[name]!.some((form) => bytes.includes(form)))
  return new Set(names)
}

/** Which markers are anywhere in the writable memory of a process. */
export async function searchMemory(pid: number, markers: Markers): Promise<Set<string>> {
  const maps = (await readFile(`/proc/${pid}/maps`, 'latin1')).split('\n')
  const memory = await open(`/proc/${pid}/mem`, 'r')
  const found = new Set<string>()
  const piece = Buffer.alloc(PIECE_BYTES)
  try {
    for (const line of maps) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
      if (from === undefined || to === undefined) continue
      const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)]
      for (let at = start; at < end; at += PIECE_BYTES - OVERLAP_BYTES) {
        // A region may be gone by now, or hold nothing that can be read.
        const read = await memory.read(piece, 0, Math.min(PIECE_BYTES, end - at), at).catch(() => undefined)
        const bytes = piece.subarray(0, read?.bytesRead ?? 0)
        if (bytes.equals(UNTOUCHED.subarray(0, bytes.length))) continue
        for (const name of foundIn(bytes, markers)) found.add(name)
      }
    }
  } finally {
    await memory.close()
  }
  return found
}

/** Which markers are in the files of a home: journal, log, offers, settings. */
export async function searchFiles(home: string, markers: Markers): Promise<Set<string>> {
  const found = new Set<string>()
  for (const entry of await readdir(home, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    for (const name of foundIn(await readFile(join(entry.parentPath, entry.name)), markers)) found.add(name)
  }
  return found
}

/** Which markers a daemon tells its owner: status, warnings, metrics. */
export async function searchAnswers(home: string, markers: Markers): Promise<Set<string>> {
  const found = new Set<string>()
  for (const route of ['GET /v1/status', 'GET /v1/warnings', 'GET /metrics'] as const) {
    const answer = await callDaemon(socketPath(home, process.env), route)
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
    for (const name of foundIn(Buffer.from(text), markers)) found.add(name)
  }
  return found
}
