/**
 * Evidence: what the traces say was promised, against what the journals hold.
 *
 * Journals are read here with a reader of its own, as short as the format allows, so that a fault in the node's own reading cannot hide a
 * loss. Rules of the format: src/wallet/journal.ts.
 */
import { readFile } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { NodeProcess } from './process.ts'

/** A voucher as traces and journals tell it; numbers are exact decimal strings in both. */
export interface Voucher {
  rootId: string
  index: number
  sessionId: string
  up: bigint
  down: bigint
  cumulative: bigint
  signature: string
}

export interface Line {
  kind: string
  [field: string]: unknown
}

const CRC_DIGITS = 8

/** Whole lines of a journal up to the first damaged one. */
export function journalLines(bytes: Buffer): Line[] {
  const lines: Line[] = []
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0x0a, start)
    if (end < 0) break
    const text = bytes.subarray(start + CRC_DIGITS + 1, end)
    if (Number.parseInt(bytes.toString('latin1', start, start + CRC_DIGITS), 16) !== crc32(text)) break
    lines.push(JSON.parse(text.toString()) as Line)
    start = end + 1
  }
  return lines
}

/** Vouchers of a trace, in the order they were sent. The kill may have cut the last line. */
export function traceLines(text: string): Voucher[] {
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line) => voucherOf(JSON.parse(line) as Record<string, unknown>))
}

function voucherOf({ rootId, index, sessionId, up, down, cumulative, signature }: Record<string, unknown>): Voucher {
  const numbers = { up: BigInt(up as string), down: BigInt(down as string), cumulative: BigInt(cumulative as string) }
  return { rootId: rootId as string, index: index as number, sessionId: sessionId as string, signature: signature as string, ...numbers }
}

const channelOf = ({ rootId, index }: { rootId: unknown; index: unknown }) => `${String(rootId)}:${String(index)}`

/** What one node's journal holds of vouchers. */
class Holdings {
  readonly #cumulative = new Map<string, bigint>()
  readonly #sessions = new Map<string, Voucher>()
  readonly signed: Voucher[] = []
  readonly tail: Line[]

  constructor(lines: readonly Line[]) {
    this.tail = [...lines]
    for (const line of lines) {
      if (line.kind !== 'voucher' && line.kind !== 'high-water') continue
      const key = channelOf(line as unknown as Voucher)
      const cumulative = BigInt(line.cumulative as string)
      if (cumulative >= (this.#cumulative.get(key) ?? 0n)) this.#cumulative.set(key, cumulative)
      if (line.kind !== 'voucher') continue
      const voucher = voucherOf(line)
      this.signed.push(voucher)
      this.#sessions.set(voucher.sessionId, voucher)
    }
  }

  /** Whether this voucher, or a later one of its session and channel, is in the journal. */
  has(voucher: Voucher): boolean {
    const last = this.#sessions.get(voucher.sessionId)
    return (
      last !== undefined &&
      last.up >= voucher.up &&
      last.down >= voucher.down &&
      (this.#cumulative.get(channelOf(voucher)) ?? -1n) >= voucher.cumulative
    )
  }
}

/** One (channel, counter), one signature: wherever a voucher is seen. */
export class Signatures {
  readonly #known = new Map<string, string>()
  readonly conflicts: string[] = []

  see(vouchers: readonly Pick<Voucher, 'rootId' | 'index' | 'cumulative' | 'signature'>[], where: string): void {
    for (const { rootId, index, cumulative, signature } of vouchers) {
      const key = `${rootId}:${index}:${cumulative}`
      const known = this.#known.get(key)
      if (known === undefined) this.#known.set(key, signature)
      else if (known !== signature) this.conflicts.push(`${where}: a second signature for ${cumulative} of channel ${rootId}:${index}`)
    }
  }
}

/** Vouchers in the lines of a journal. */
export const vouchersIn = (lines: readonly Line[]): Voucher[] => lines.filter(({ kind }) => kind === 'voucher').map(voucherOf)

/** What a node was doing when it was killed. */
export const MOMENTS = ['starting', 'opening a root', 'claiming', 'opening a session', 'paying', 'idle'] as const
export type Moment = (typeof MOMENTS)[number]

export class Evidence {
  readonly #signatures = new Signatures()
  readonly #newest = new Map<string, Voucher>()
  readonly counts = { sent: 0, acknowledged: 0, lost: 0, rewound: 0 }
  /** The first few findings, in words. */
  readonly findings: string[] = []

  /** Second signatures for one counter, in words. */
  get conflicts(): readonly string[] {
    return this.#signatures.conflicts
  }

  #find(what: string): void {
    if (this.findings.length < 20) this.findings.push(what)
  }

  /** Looks at a node whose process just ended: every voucher of that life must be in the journal now. Says what it was doing. */
  async afterEnd(node: NodeProcess, role: 'sent' | 'acknowledged'): Promise<Moment> {
    const traced = traceLines(await readFile(node.trace(node.lives), 'utf8'))
    const holdings = new Holdings(journalLines(await readIfThere(node.journal)))
    this.counts[role] += traced.length
    for (const voucher of traced) {
      if (!holdings.has(voucher)) {
        this.counts.lost++
        this.#find(
          `life ${node.lives} of ${node.name}: voucher ${voucher.cumulative} of session ${voucher.sessionId} is not in the journal`,
        )
      }
      if (role === 'sent') this.#ascend(voucher, node)
    }
    this.#signatures.see(traced, `life ${node.lives} of ${node.name}`)
    this.#signatures.see(holdings.signed, `the journal of ${node.name}`)
    return momentOf(node, traced.length, holdings.tail)
  }

  /** What is sent on a channel never goes back, also over restarts. */
  #ascend(voucher: Voucher, node: NodeProcess): void {
    const key = channelOf(voucher)
    const before = this.#newest.get(key)
    if (before !== undefined && before.cumulative > voucher.cumulative) {
      this.counts.rewound++
      this.#find(`life ${node.lives} of ${node.name}: sent ${voucher.cumulative} after ${before.cumulative} on channel ${key}`)
    }
    this.#newest.set(key, voucher)
  }
}

function momentOf(node: NodeProcess, vouchers: number, lines: readonly Line[]): Moment {
  if (!node.isReady) return 'starting'
  const life = lines.slice(lines.findLastIndex(({ kind }) => kind === 'started') + 1)
  const last = (...kinds: string[]) => life.findLast(({ kind }) => kinds.includes(kind))?.kind
  if (last('root-planned', 'root-opened', 'root-failed') === 'root-planned') return 'opening a root'
  if (last('claim-sent', 'claim-settled', 'claim-failed') === 'claim-sent') return 'claiming'
  if (last('session-opened', 'session-closed', 'voucher') === 'session-opened') return 'opening a session'
  return vouchers > 0 ? 'paying' : 'idle'
}

export async function readIfThere(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0) // killed before it made one
    throw error
  }
}
