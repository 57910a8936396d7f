/**
 * The disk, as little of it as money needs, with durability in the open: what was appended is safe only after `sync`, a new name only
 * after `syncFolder`.
 *
 * Three makes: the real one; one whose `sync` does nothing (`fsync: 'off'`, to measure what safety costs); and {@link powerCutDisk}, in
 * which unsynced bytes live in this process alone, so that `kill -9` loses what a power cut would lose and a test can see it.
 * Whatever fails is DISK_FAILED. Nobody may go on after a failed `sync`: the kernel drops the pages it could not write and answers the
 * next `sync` with success ("fsyncgate").
 */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { constants, type FileHandle, link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BywayError } from '../protocol/errors.ts'
import { InPlace } from './in-place.ts'

export interface Disk {
  /** Makes a folder and its parents, for this user only. */
  makeFolder(path: string): Promise<void>
  /** A whole file, or undefined when there is none. */
  read(path: string): Promise<Buffer | undefined>
  /** `append` opens the file or makes an empty one; `fresh` always makes a new one, in place of a leftover. Both for this user only. */
  open(path: string, how: 'append' | 'fresh'): Promise<LogFile>
  rename(from: string, to: string): Promise<void>
  /** Gives a file a second name; false when that name is taken. */
  link(from: string, to: string): Promise<boolean>
  /** Removes a name; nothing happens when there is none. */
  remove(path: string): Promise<void>
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>
}

/** A file that grows at its end. One caller at a time. */
export interface LogFile {
  readonly size: number
  append(bytes: Uint8Array): Promise<void>
  /** Resolves when everything appended so far would survive a power cut. */
  sync(): Promise<void>
  truncate(size: number): Promise<void>
  readAll(): Promise<Buffer>
  close(): Promise<void>
}

export interface DiskOptions {
  /** `off` promises nothing after a crash; only for tests and measurements. */
  fsync?: 'on' | 'off'
}

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
/** A batch of records. What is rewritten whole is longer, and is left to another thread. */
const MAX_IN_PLACE_BYTES = 16 * 1024

export function realDisk({ fsync = 'on' }: DiskOptions = {}): Disk {
  return {
    async makeFolder(path) {
      await guard('make the folder', path, async () => {
        const first = await mkdir(path, { recursive: true, mode: FOLDER_MODE })
        // Each new name stands in its parent: without these syncs a power cut could take the folder with everything in it.
        for (let made = path; first !== undefined && made.length >= first.length; made = dirname(made)) await this.syncFolder(dirname(made))
      })
    },
    read: (path) => guard('read', path, () => unlessMissing(readFile(path))),
    open: (path, how) =>
      guard('open', path, async () => {
        if (how === 'fresh') await unlessMissing(unlink(path))
        // Each write is durable when it returns: one call where write and fdatasync would be two, each with a turn of the event loop.
        const durable = fsync === 'on' ? constants.O_DSYNC : 0
        const flags = constants.O_RDWR | constants.O_CREAT | durable | (how === 'fresh' ? constants.O_EXCL : 0)
        const handle = await open(path, flags, FILE_MODE)
        return new RealLog(path, handle, (await handle.stat()).size, fsync === 'on')
      }),
    rename: (from, to) => guard('rename to', to, () => rename(from, to)),
    link: (from, to) =>
      guard('link', to, async () => {
        try {
          await link(from, to)
          return true
        } catch (error) {
          if (errnoOf(error) === 'EEXIST') return false
          throw error
        }
      }),
    remove: (path) => guard('remove', path, () => unlessMissing(unlink(path))),
    async syncFolder(path) {
      if (fsync === 'off') return
      await guard('sync the folder', path, async () => {
        const handle = await open(path, constants.O_RDONLY)
        try {
          await handle.sync()
        } finally {
          await handle.close()
        }
      })
    },
  }
}

class RealLog implements LogFile {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #fsync: boolean
  readonly #inPlace = new InPlace()
  #size: number
  /** Our own writes are durable when they return. A new length is not, nor what a process left that was killed in the middle of its write. */
  #unsynced: boolean

  constructor(path: string, handle: FileHandle, size: number, fsync: boolean) {
    this.#path = path
    this.#handle = handle
    this.#size = size
    this.#fsync = fsync
    this.#unsynced = size > 0
  }

  get size(): number {
    return this.#size
  }

  append(bytes: Uint8Array): Promise<void> {
    return guard('write', this.#path, async () => {
      // A write may be short (a full disk, a signal); the position is ours, so the rest lands right behind.
      for (let done = 0; done < bytes.length; ) {
        const written = await this.#write(bytes, done)
        done += written
        this.#size += written
      }
    })
  }

  async #write(bytes: Uint8Array, from: number): Promise<number> {
    const startMs = performance.now()
    const length = bytes.length - from
    if (length > MAX_IN_PLACE_BYTES || !this.#inPlace.isWorthIt(startMs)) {
      return (await this.#handle.write(bytes, from, length, this.#size)).bytesWritten
    }
    const written = writeSync(this.#handle.fd, bytes, from, length, this.#size)
    const endMs = performance.now()
    this.#inPlace.took(endMs - startMs, endMs)
    return written
  }

  async sync(): Promise<void> {
    if (!this.#unsynced || !this.#fsync) return
    await guard('sync', this.#path, () => this.#handle.datasync())
    this.#unsynced = false
  }

  async truncate(size: number): Promise<void> {
    await guard('truncate', this.#path, () => this.#handle.truncate(size))
    this.#size = size
    this.#unsynced = true
  }

  readAll(): Promise<Buffer> {
    return guard('read', this.#path, async () => {
      const bytes = Buffer.allocUnsafe(this.#size)
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await this.#handle.read(bytes, done, bytes.length - done, done)
        if (bytesRead === 0) return bytes.subarray(0, done)
        done += bytesRead
      }
      return bytes
    })
  }

  close(): Promise<void> {
    return guard('close', this.#path, () => this.#handle.close())
  }
}

/** How long a kernel with nothing else to do keeps dirty pages; ours is shorter than Linux's 5 s so that tests need not wait. */
const LAZY_FLUSH_MS = 1_000

/** The real disk, except that appended bytes reach the kernel only with `sync`; with `fsync: 'off'` only about once a second. */
export function powerCutDisk({ fsync = 'on' }: DiskOptions = {}): Disk {
  const real = realDisk()
  return { ...real, open: async (path, how) => new UnsyncedLog(await real.open(path, how), fsync === 'off') }
}

class UnsyncedLog implements LogFile {
  readonly #inner: LogFile
  readonly #lazy: boolean
  #unsynced: Uint8Array[] = []
  #size: number
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(inner: LogFile, lazy: boolean) {
    this.#inner = inner
    this.#lazy = lazy
    this.#size = inner.size
  }

  get size(): number {
    return this.#size
  }

  append(bytes: Uint8Array): Promise<void> {
    this.#unsynced.push(Buffer.from(bytes))
    this.#size += bytes.length
    return Promise.resolve()
  }

  async sync(): Promise<void> {
    if (!this.#lazy) return this.#flush()
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      // Write-back has nobody to tell: that its failure is never heard of is part of what `fsync: 'off'` shows.
      this.#flush().catch(() => {})
    }, LAZY_FLUSH_MS).unref()
  }

  #flush(): Promise<void> {
    this.#flushing = this.#flushing.then(async () => {
      const bytes = Buffer.concat(this.#unsynced)
      this.#unsynced = []
      await this.#inner.append(bytes)
      await this.#inner.sync()
    })
    return this.#flushing
  }

  async truncate(size: number): Promise<void> {
    await this.#flush()
    await this.#inner.truncate(size)
    this.#size = size
  }

  async readAll(): Promise<Buffer> {
    await this.#flushing
    return Buffer.concat([await this.#inner.readAll(), ...this.#unsynced])
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#flush()
    await this.#inner.close()
  }
}

/** Debug switches of the disk: BYWAY_DEBUG_FSYNC=off, BYWAY_DEBUG_POWER_CUT=1. Promised to nobody. */
export function diskFromEnvironment(env: Readonly<Record<string, string | undefined>>): Disk {
  const fsync = env.BYWAY_DEBUG_FSYNC ?? 'on'
  const powerCut = env.BYWAY_DEBUG_POWER_CUT ?? '0'
  if (fsync !== 'on' && fsync !== 'off') throw invalidSwitch('BYWAY_DEBUG_FSYNC', 'on or off')
  if (powerCut !== '0' && powerCut !== '1') throw invalidSwitch('BYWAY_DEBUG_POWER_CUT', '0 or 1')
  return powerCut === '1' ? powerCutDisk({ fsync }) : realDisk({ fsync })
}

function invalidSwitch(name: string, allowed: string): BywayError {
  return new BywayError('SETTING_INVALID', `${name} is not ${allowed}`, { facts: { setting: name } })
}

/** Replaces a small file so that a crash leaves the old content or the new, never a mixture. */
export async function replaceFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = await writeBeside(disk, path, bytes)
  await disk.rename(temporary, path)
  await disk.syncFolder(dirname(path))
}

/** Makes a small file, whole or not at all. False when the name is taken: a file made this way is never overwritten. */
export async function createFile(disk: Disk, path: string, bytes: Uint8Array): Promise<boolean> {
  const temporary = await writeBeside(disk, path, bytes)
  const made = await disk.link(temporary, path)
  await disk.remove(temporary)
  await disk.syncFolder(dirname(path))
  return made
}

async function writeBeside(disk: Disk, path: string, bytes: Uint8Array): Promise<string> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const file = await disk.open(temporary, 'fresh')
  try {
    await file.append(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  return temporary
}

async function guard<T>(doing: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof BywayError) throw error
    const errno = errnoOf(error) ?? 'unknown'
    const hint = HINTS[errno]
    throw new BywayError('DISK_FAILED', `could not ${doing} ${path}: ${errno}`, {
      cause: error,
      facts: { path, errno },
      ...(hint === undefined ? {} : { hint }),
    })
  }
}

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space and start again',
  EDQUOT: 'the disk quota is used up: free some space and start again',
  EACCES: 'the folder belongs to another user: start Byway as that user, or name another folder with --home',
  EROFS: 'the file system is read-only: name another folder with --home',
  EIO: 'the disk reports an error: check it (dmesg, smartctl) before you start again',
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
