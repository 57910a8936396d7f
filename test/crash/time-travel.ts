/** A provider and a consumer in this process, on a chain in memory, whose state folders can be copied and put back. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, PassThrough } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { parseDestination } from '../../src/protocol/destination.ts'
import type { MessageBody } from '../../src/protocol/messages.ts'
import { type Observer, silent } from '../../src/protocol/observe.ts'
import { type SignedOffer, signOffer } from '../../src/protocol/offer.ts'
import { createCertificate, listenTls } from '../../src/tunnel/index.ts'
import { type Disk, powerCutDisk, realDisk } from '../../src/wallet/disk.ts'
import { readJournal } from '../../src/wallet/journal.ts'
import { type Ledger, ledgerOf } from '../../src/wallet/ledger.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import * as pair from '../support/pair.ts'
import { anyRoute, nodeKeys, type startConsumer, type startProvider } from '../support/pair.ts'
import { journalLines, Signatures, type Voucher, vouchersIn } from './evidence.ts'

type Seller = Awaited<ReturnType<typeof startProvider>>
type Buyer = Awaited<ReturnType<typeof startConsumer>>
export type Side = 'seller' | 'buyer'

const PIECE_BYTES = 32_768
const LOOK_EVERY_MS = 2
/** Of a laptop's disk: long enough that messages could overtake it. */
const SYNC_MS = 4
/** Nobody who died here comes back to the session it left. */
const SHORT = { limitMs: 100, againMs: 20 }

export interface Impostor {
  /** Resolves when a consumer opened a session. */
  readonly asked: Promise<void>
  /** Statements it was sent. */
  readonly statements: number
  close(): Promise<void>
}

const never = new AbortController().signal
/** A unit is about 1 KB at this price, so that short transfers make many vouchers. */
const PRICE = 1_000_000n
/** About 10 MB: some rounds of transfers, then another root. */
const CAP = 10_000n

export class TimeTravel {
  readonly chain = new MemoryChain()
  readonly folder: string
  /** Every voucher ever sent, in order, over all lives. */
  readonly sent: Voucher[] = []
  /** Warnings of a restored folder in the present life of each side. */
  readonly restored: Record<Side, string[]> = { seller: [], buyer: [] }
  readonly #signatures = new Signatures()
  readonly #keys = nodeKeys()
  readonly #wallet = randomBytes(32)
  seller: Seller | undefined
  buyer: Buyer | undefined
  /** The destination of the last flow. */
  origin: PassThrough | undefined
  #offer: SignedOffer | undefined

  static async create(): Promise<TimeTravel> {
    const world = new TimeTravel(await mkdtemp(join(tmpdir(), 'byway-travel-')))
    for (const side of ['seller', 'buyer'] as const) await mkdir(join(world.folder, side))
    await world.startSeller()
    await world.startBuyer()
    return world
  }

  private constructor(folder: string) {
    this.folder = folder
  }

  get conflicts(): readonly string[] {
    return this.#signatures.conflicts
  }

  async startSeller(): Promise<void> {
    this.restored.seller = []
    this.seller = await pair.startProvider({
      chain: this.chain,
      home: join(this.folder, 'seller'),
      keys: this.#keys,
      pricePerGib: PRICE,
      disk: lateDisk(),
      outage: SHORT,
      observer: this.#observer('seller'),
      // An origin that echoes, without a socket.
      dial: async () => {
        this.origin = new PassThrough()
        return this.origin
      },
    })
    this.#offer = this.seller.offer
  }

  async startBuyer(): Promise<void> {
    this.restored.buyer = []
    this.buyer = await pair.startConsumer({
      chain: this.chain,
      home: join(this.folder, 'buyer'),
      wallet: this.#wallet,
      offers: () => [this.#offer!],
      capPerProvider: CAP,
      deposit: CAP,
      disk: lateDisk(),
      outage: SHORT,
      observer: this.#observer('buyer'),
    })
  }

  #observer(side: Side): Observer {
    return {
      ...silent,
      warn: (code, facts) => {
        if (code === 'STATE_RESTORED' && facts !== undefined)
          this.restored[side].push(`${facts.source}:${facts.cumulative ?? facts.rootId}`)
      },
      voucher: (did, voucher) => {
        const seen = voucher as unknown as Voucher
        this.#signatures.see([seen], did)
        if (did === 'sent') this.sent.push(seen)
      },
    }
  }

  /** Ends one side in order. */
  async stop(side: Side): Promise<void> {
    if (side === 'buyer') await this.buyer?.consumer.close()
    else await this.seller?.provider.close()
    await this[side]?.vault.close()
    this[side] = undefined
    this.#signatures.see(vouchersIn(journalLines(await this.copy(side))), `the journal of the ${side}`)
  }

  start(side: Side): Promise<void> {
    return side === 'buyer' ? this.startBuyer() : this.startSeller()
  }

  /** The state folder as a backup would find it now, perhaps in the middle of a write. */
  copy(side: Side): Promise<Buffer> {
    return readFile(this.journal(side))
  }

  async ledger(side: Side): Promise<Ledger> {
    return ledgerOf((await readJournal(realDisk(), this.journal(side)))!.records)
  }

  /** Stops one side and puts an old copy in the place of its folder. */
  async putBack(side: Side, copy: Buffer): Promise<void> {
    await this.stop(side)
    await writeFile(this.journal(side), copy)
  }

  journal(side: Side): string {
    return join(this.folder, side, 'journal.jsonl')
  }

  dial(): Promise<Duplex> {
    const request = { destination: parseDestination('echo.test', 7), parameters: anyRoute }
    return this.buyer!.consumer.dial(request, never).then(({ stream }) => stream)
  }

  /** Resolves when whoever runs has noticed that the session is over. */
  async untilNoSession(): Promise<void> {
    const sessions = () => (this.buyer?.consumer.sessions().length ?? 0) + (this.seller?.provider.sessions().length ?? 0)
    while (sessions() > 0) await delay(LOOK_EVERY_MS)
  }

  /** Sends `bytes` to the echo and reads them back; `cut`: gives up after the first of them came. */
  async transfer(bytes: number, cut = false): Promise<void> {
    const stream = await this.dial()
    let got = 0
    stream.on('data', (part: Buffer) => (got += part.length))
    for (let left = bytes; left > 0; left -= PIECE_BYTES) stream.write(Buffer.alloc(Math.min(left, PIECE_BYTES)))
    stream.end()
    if (cut) {
      await once(stream, 'data')
      stream.destroy()
      return
    }
    await once(stream, 'end')
    if (got !== bytes) throw new Error(`${got} bytes of ${bytes} came back`)
  }

  /** Somebody with the keys of the stopped seller, who answers `session` as told; nothing said is silence. */
  async impersonate(answer: (asked: MessageBody<'session'>) => MessageBody<'accepted'> | undefined): Promise<Impostor> {
    const asked = Promise.withResolvers<void>()
    const impostor = { asked: asked.promise, statements: 0, close: () => Promise.resolve() }
    const certificate = await createCertificate(this.#keys.tls, new Date())
    const { nodeKey } = this.#offer!.body
    const listener = await listenTls({ host: '127.0.0.1', port: 0, certificate, nodeKey, onFailure: () => {} }, (link) => {
      link.listen({
        onMessage: (message) => {
          if (message.name === 'pay') impostor.statements++
          if (message.name !== 'session') return
          const said = answer(message.body)
          if (said !== undefined) link.send('accepted', said)
          asked.resolve()
        },
        onData: () => {},
        onClose: () => {},
      })
    })
    impostor.close = () => listener.close()
    const { body } = this.#offer!
    const transports = [{ ...body.transports[0]!, port: listener.port }]
    this.#offer = signOffer({ ...body, transports, sequence: body.sequence + 1n }, this.#keys.node.privateKey)
    return impostor
  }

  /** For each channel what the peer and the chain know: below it nothing may be signed. */
  marks(): Map<string, bigint> {
    const marks = new Map<string, bigint>()
    const raise = (key: string, to: bigint) => marks.set(key, to > (marks.get(key) ?? 0n) ? to : (marks.get(key) ?? 0n))
    for (const { rootId, index, cumulative } of this.seller?.vault.book.channels.values() ?? []) raise(`${rootId}:${index}`, cumulative)
    // While the chain is silent nobody knows more than the provider.
    if (!this.chain.down) for (const [key, paid] of this.chain.paid) raise(key, paid)
    return marks
  }

  async close(): Promise<void> {
    await this.stop('buyer')
    await this.stop('seller')
    await rm(this.folder, { recursive: true })
  }
}

/** A disk whose syncs take a while, and whose files hold nothing that was not synced: what a node says too early, a copy of them lacks. */
function lateDisk(): Disk {
  const disk = powerCutDisk()
  return {
    ...disk,
    async open(path, how) {
      const file = await disk.open(path, how)
      return {
        get size() {
          return file.size
        },
        append: (bytes) => file.append(bytes),
        sync: () => delay(SYNC_MS).then(() => file.sync()),
        truncate: (size) => file.truncate(size),
        readAll: () => file.readAll(),
        close: () => file.close(),
      }
    },
  }
}
