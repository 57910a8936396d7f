/**
 * Wallet: the money of one node, in one folder, that must survive a power cut.
 *
 * The rule it keeps: what is promised is durable before anybody hears of it. The journal is the only store of money; book and ledger are
 * folds over its records, so nothing can disagree with it.
 *
 * Start reading at the vault below: journal and book kept in step, the only way daemons change money. Then records.ts (what is written),
 * journal.ts over disk.ts (how it survives), book.ts (what it adds up to), accounts.ts and ledger.ts (what people see), verify.ts (why they
 * may believe it). keys.ts, lock.ts and paths.ts look after the folder.
 *
 * A record is applied before it is written, so that one that cannot follow is refused and never poisons the journal; whoever acts on it
 * waits for the promise, which resolves when it is durable.
 */
import type { Hex } from '../protocol/bytes.ts'
import type { Clock } from '../protocol/clock.ts'
import type { BywayError } from '../protocol/errors.ts'
import type { ChannelRef } from '../protocol/voucher.ts'
import { apply, type Book, bookOf, type Channel, checkGenesis, type Session } from './book.ts'
import type { Disk } from './disk.ts'
import { Journal } from './journal.ts'
import type { JournalRecord, RecordOf } from './records.ts'

export class Vault {
  readonly book: Book
  /** Bytes a crash left half written; nothing in them was acknowledged. */
  readonly tornBytes: number
  readonly #journal: Journal

  private constructor(book: Book, journal: Journal, tornBytes: number) {
    this.book = book
    this.tornBytes = tornBytes
    this.#journal = journal
  }

  /** Opens the journal for this node on this chain; STATE_OTHER_CHAIN when it belongs to another. The caller holds the lock. */
  static async open(disk: Disk, path: string, node: Omit<RecordOf<'genesis'>, 'kind' | 'version' | 'atMs'>, clock: Clock): Promise<Vault> {
    const { journal, records, tornBytes } = await Journal.open(disk, path)
    try {
      const book = bookOf(records)
      checkGenesis(book, node)
      const vault = new Vault(book, journal, tornBytes)
      if (book.genesis === undefined) await vault.record({ kind: 'genesis', version: 1, ...node, atMs: clock.nowMs() })
      await vault.record({ kind: 'started', atMs: clock.nowMs() })
      await vault.#closeOrphans(clock.nowMs())
      return vault
    } catch (thrown) {
      await journal.close()
      throw thrown
    }
  }

  /** Sessions the last run had no time to close end with what their vouchers pay for: nothing else of them survived. */
  async #closeOrphans(atMs: number): Promise<void> {
    const open = [...this.book.sessions.values()].filter((session) => session.closed === undefined)
    await Promise.all(
      open.map(({ id: sessionId, channel: { rootId, index }, up, down }) =>
        this.record({ kind: 'session-closed', rootId, index, sessionId, up, down, reason: 'restarted', atMs }),
      ),
    )
  }

  /** Resolves when the record is durable. STATE_CORRUPT when it cannot follow what came before, DISK_FAILED when it was not written. */
  async record(record: JournalRecord): Promise<void> {
    apply(this.book, record)
    await this.#journal.append(record)
  }

  /** Resolves when the disk failed: the daemon must stop, as the book says what the journal does not. */
  get failed(): Promise<BywayError> {
    return this.#journal.failed
  }

  channel(ref: ChannelRef): Channel | undefined {
    return this.book.channel(ref.rootId, ref.index)
  }

  session(id: Hex): Session | undefined {
    return this.book.sessions.get(id)
  }

  close(): Promise<void> {
    return this.#journal.close()
  }
}
