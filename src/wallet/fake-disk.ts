/**
 * A disk in memory for tests that tells what a power cut may leave behind.
 *
 * It keeps the rules of POSIX and no kindness beyond them: content is safe after `sync`, names after `syncFolder`. The power fails before
 * operation number `cutAt`; {@link survivors} then lists the disks one may find: unsynced names up to any point, unsynced content kept,
 * lost, cut in half, or with a hole where its first half was.
 */
import type { Disk, LogFile } from './disk.ts'

interface Inode {
  now: Buffer
  safe: Buffer
}

type Names = Map<string, Inode>

export class PowerCut extends Error {}

export interface FakeDiskOptions {
  /** The power fails before the operation with this number, from 0. */
  cutAt?: number
  /** Called before each operation; what it throws is the disk's error. */
  onOperation?: (name: string, path: string) => void
  /** `sync` says yes and does nothing: the positive control. */
  lies?: boolean
}

const CONTENT_FATES = {
  lost: ({ safe }: Inode) => safe,
  kept: ({ now }: Inode) => now,
  torn: ({ now, safe }: Inode) => now.subarray(0, safe.length + Math.ceil((now.length - safe.length) / 2)),
  hole: ({ now, safe }: Inode) => {
    const half = Math.ceil((now.length - safe.length) / 2)
    return half <= 0 ? now : Buffer.from(now).fill(0, safe.length, safe.length + half)
  },
} as const

export class FakeDisk implements Disk {
  readonly options: FakeDiskOptions
  readonly log: string[] = []
  #cut = false
  #names: Names
  #safeNames: Names
  #unsyncedNames: ((names: Names) => void)[] = []

  constructor(options: FakeDiskOptions = {}, files: ReadonlyMap<string, Buffer> = new Map()) {
    this.options = options
    this.#names = new Map([...files].map(([path, bytes]) => [path, { now: bytes, safe: bytes }]))
    this.#safeNames = new Map(this.#names)
  }

  /** What may be on the disk when the power comes back. */
  *survivors(): Generator<{ fate: string; files: Map<string, Buffer> }> {
    const names = new Map(this.#safeNames)
    for (let kept = 0; kept <= this.#unsyncedNames.length; kept++) {
      if (kept > 0) this.#unsyncedNames[kept - 1]!(names)
      for (const [fate, of] of Object.entries(CONTENT_FATES)) {
        yield {
          fate: `${kept} of ${this.#unsyncedNames.length} names, content ${fate}`,
          files: new Map([...names].map(([path, inode]) => [path, Buffer.from(of(inode))])),
        }
      }
    }
  }

  get files(): Map<string, Buffer> {
    return new Map([...this.#names].map(([path, inode]) => [path, inode.now]))
  }

  async makeFolder(path: string): Promise<void> {
    this.#operation('makeFolder', path)
  }

  async read(path: string): Promise<Buffer | undefined> {
    return this.#names.get(path)?.now
  }

  async open(path: string, how: 'append' | 'fresh'): Promise<LogFile> {
    this.#operation('open', path)
    const existing = how === 'append' ? this.#names.get(path) : undefined
    const inode = existing ?? { now: Buffer.alloc(0), safe: Buffer.alloc(0) }
    if (existing === undefined) this.#rename((names) => names.set(path, inode))
    const operation = (name: string) => this.#operation(name, path)
    const { lies } = this.options
    return {
      get size() {
        return inode.now.length
      },
      async append(bytes) {
        operation('append')
        inode.now = Buffer.concat([inode.now, bytes])
      },
      async sync() {
        operation('sync')
        if (lies !== true) inode.safe = inode.now
      },
      async truncate(size) {
        operation('truncate')
        inode.now = inode.now.subarray(0, size)
      },
      async readAll() {
        return inode.now
      },
      async close() {},
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.#operation('rename', to)
    const inode = this.#names.get(from)
    if (inode === undefined) throw new Error(`ENOENT ${from}`)
    this.#rename((names) => {
      names.delete(from)
      names.set(to, inode)
    })
  }

  async link(from: string, to: string): Promise<boolean> {
    this.#operation('link', to)
    const inode = this.#names.get(from)
    if (inode === undefined) throw new Error(`ENOENT ${from}`)
    if (this.#names.has(to)) return false
    this.#rename((names) => names.set(to, inode))
    return true
  }

  async remove(path: string): Promise<void> {
    this.#operation('remove', path)
    this.#rename((names) => names.delete(path))
  }

  async syncFolder(path: string): Promise<void> {
    this.#operation('syncFolder', path)
    if (this.options.lies === true) return
    this.#safeNames = new Map(this.#names)
    this.#unsyncedNames = []
  }

  #rename(change: (names: Names) => void): void {
    change(this.#names)
    this.#unsyncedNames.push(change)
  }

  #operation(name: string, path: string): void {
    if (this.#cut || this.log.length === this.options.cutAt) {
      this.#cut = true
      throw new PowerCut(`the power failed before operation ${this.log.length}`)
    }
    this.options.onOperation?.(name, path)
    this.log.push(name)
  }
}
