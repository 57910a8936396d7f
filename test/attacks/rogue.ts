/**
 * A consumer that keeps no rules: it speaks the wire by hand, so that tests can break each rule of docs/protocol.md one at a time.
 *
 * Everything it signs is real; its roots stand on the chain in memory unless a test leaves them out.
 */
import { randomBytes } from 'node:crypto'
import { type Hex, toHex } from '../../src/protocol/bytes.ts'
import { EXPORTER_LABEL, type Message, type MessageBody, type MessageName, PROTOCOL_VERSION } from '../../src/protocol/messages.ts'
import { unitsOf } from '../../src/protocol/price.ts'
import { buildTree, type FanoutTree, type LeafProof } from '../../src/protocol/tree.ts'
import {
  addressOf,
  type Descriptor,
  domainSeparator,
  rootIdOf,
  sessionDigest,
  signDigest,
  voucherDigest,
} from '../../src/protocol/voucher.ts'
import { connectLink, type Link } from '../../src/tunnel/index.ts'
import type { MemoryChain } from '../support/memory-chain.ts'
import { CHAIN_ID, CHANNELS, type startProvider } from '../support/pair.ts'

export type Seller = Awaited<ReturnType<typeof startProvider>>

/** Nothing on loopback takes this long; a test that waits for more has failed. */
const PATIENCE_MS = 60_000
const DAY_S = 86_400
const SEPARATOR = domainSeparator({ chainId: CHAIN_ID, channels: CHANNELS })

/** Resolves as soon as `condition` holds; fails the test when it does not in time. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export interface Wallet {
  key: Buffer
  payer: Hex
}

export function newWallet(): Wallet {
  const key = randomBytes(32)
  return { key, payer: addressOf(key) }
}

/** A root as its payer knows it. */
export interface RogueRoot {
  descriptor: Descriptor
  rootId: Hex
  tree: FanoutTree
  sessionKey: Buffer
  payees: readonly Hex[]
}

export interface RootOptions {
  wallet?: Wallet
  caps?: readonly bigint[]
  expiry?: number
  /** Left unopened on the chain. */
  unopened?: boolean
}

/** One root with a leaf for each cap, all to the same payee: a chain allows that. */
export function openRoot(chain: MemoryChain, payee: Hex, options: RootOptions = {}): RogueRoot {
  const { wallet = newWallet(), caps = [1_000_000n] } = options
  const sessionKey = randomBytes(32)
  const tree = buildTree(caps.map((cap) => ({ payee, cap, salt: toHex(randomBytes(32)) })))
  const expiry = options.expiry ?? Math.floor(Date.now() / 1000) + 14 * DAY_S
  const { root, sum, depth } = tree
  const nonce = randomBytes(8).readBigUInt64BE()
  const descriptor: Descriptor = { payer: wallet.payer, signer: addressOf(sessionKey), root, sum, expiry, depth, nonce }
  const rootId = rootIdOf(descriptor)
  if (options.unopened !== true) chain.roots.set(rootId, { descriptor, state: 'open' })
  return { descriptor, rootId, tree, sessionKey, payees: caps.map(() => payee) }
}

/** Signs a voucher of any amount on a channel. */
export function signVoucher(
  root: RogueRoot,
  index: number,
  cumulative: bigint,
  key: Buffer = root.sessionKey,
  rootId: Hex = root.rootId,
): Hex {
  return signDigest(voucherDigest(SEPARATOR, { rootId, index, payee: root.payees[index]!, cumulative }), key)
}

/** Messages of a link one after the other, and the payload in between, counted. */
export class Talk {
  readonly link: Link
  received = 0n
  /** Messages nobody asked for yet. */
  readonly inbox: Message[] = []
  closed = false
  /** Whether it says that it has what came. */
  acknowledges = true
  #flowFrom = 0n
  #waiting: (() => void) | undefined

  constructor(link: Link) {
    this.link = link
    link.listen({
      onMessage: (message) => {
        this.inbox.push(message)
        const { name } = message
        if (name === 'opened') this.#flowFrom = this.received
        else if (name === 'ask' || name === 'end' || name === 'reset') this.#acknowledge()
        this.#waiting?.()
      },
      onData: (chunk) => {
        this.received += BigInt(chunk.length)
        this.#waiting?.()
      },
      onClose: () => {
        this.closed = true
        this.#waiting?.()
      },
    })
  }

  send<N extends MessageName>(name: N, body: MessageBody<N>): void {
    this.link.send(name, body)
  }

  #acknowledge(): void {
    if (this.acknowledges) this.link.send('ack', { received: this.received - this.#flowFrom })
  }

  /** The next message of these names, others left where they are. */
  async next<N extends MessageName>(...names: N[]): Promise<Extract<Message, { name: N }>> {
    const timer = setTimeout(() => this.#waiting?.(), PATIENCE_MS)
    const deadline = Date.now() + PATIENCE_MS
    try {
      for (;;) {
        const at = this.inbox.findIndex(({ name }) => (names as string[]).includes(name))
        if (at >= 0) return this.inbox.splice(at, 1)[0] as never
        if (this.closed) throw new Error(`the link closed before ${names.join(' or ')} came`)
        if (Date.now() >= deadline) throw new Error(`no ${names.join(' or ')} came in time`)
        await this.#wake()
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves when so much payload has come. */
  async bytes(count: bigint): Promise<void> {
    await until(() => this.received >= count || this.closed, `${count} bytes came (${this.received} did)`)
  }

  async gone(): Promise<void> {
    await until(() => this.closed, 'the link closed')
  }

  #wake(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = () => {
        this.#waiting = undefined
        resolve()
      }
    })
  }
}

export async function dial(seller: Pick<Seller, 'offer'>): Promise<Talk> {
  return new Talk(await connectLink(seller.offer.body.transports[0]!, seller.offer.body.nodeKey))
}

/** The `session` message a well-behaved consumer would send on this link. */
export function sessionOf(
  link: Link,
  root: RogueRoot,
  seller: Pick<Seller, 'offer'>,
  options: { index?: number; latest?: MessageBody<'session'>['latest']; proof?: LeafProof } = {},
): MessageBody<'session'> {
  const { index = 0 } = options
  const { payer, signer, root: top, sum, expiry, depth, nonce } = root.descriptor
  const { payee, pricePerGib } = seller.offer.body
  const proof = options.proof ?? root.tree.proof(index)
  const exporter = link.wire.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0))
  return {
    version: PROTOCOL_VERSION,
    chainId: BigInt(CHAIN_ID),
    channels: CHANNELS,
    payer,
    signer,
    root: top,
    sum,
    expiry: BigInt(expiry),
    depth,
    nonce,
    index,
    payee,
    cap: proof.cap,
    salt: proof.salt,
    siblings: proof.siblings,
    pricePerGib,
    latest: options.latest,
    proof: signDigest(sessionDigest(exporter, root.rootId, index), root.sessionKey),
  }
}

/** An open session of the rogue: pays when told to, and as much as told to. */
export class Rogue {
  readonly control: Talk
  readonly seller: Pick<Seller, 'offer'>
  root: RogueRoot
  index: number
  accepted: MessageBody<'accepted'>
  #flows = 0

  static async open(
    seller: Pick<Seller, 'offer'>,
    root: RogueRoot,
    options: { index?: number; latest?: MessageBody<'session'>['latest'] } = {},
  ): Promise<Rogue> {
    const control = await dial(seller)
    control.send('session', sessionOf(control.link, root, seller, options))
    const { body } = await control.next('accepted')
    return new Rogue(control, seller, root, options.index ?? 0, body)
  }

  constructor(control: Talk, seller: Pick<Seller, 'offer'>, root: RogueRoot, index: number, accepted: MessageBody<'accepted'>) {
    this.control = control
    this.seller = seller
    this.root = root
    this.index = index
    this.accepted = accepted
  }

  async attach(): Promise<Talk> {
    const { sessionId, token } = this.accepted
    const flow = await dial(this.seller)
    flow.send('attach', { version: PROTOCOL_VERSION, sessionId, token })
    await flow.next('attached')
    return flow
  }

  /** A flow link with a flow open on it. */
  async flow(port: number, host = '127.0.0.1'): Promise<Talk> {
    const flow = await this.attach()
    await this.reopen(flow, port, host)
    return flow
  }

  async reopen(flow: Talk, port: number, host = '127.0.0.1'): Promise<void> {
    flow.send('open', { flowId: ++this.#flows, protocol: 0, host, port })
    await flow.next('opened')
  }

  /** The statement that pays for these bytes of the session. */
  statement(up: bigint, down: bigint): MessageBody<'pay'> {
    const cumulative = unitsOf(this.accepted.base + (up + down) * this.seller.offer.body.pricePerGib)
    return { sessionId: this.accepted.sessionId, up, down, cumulative, signature: signVoucher(this.root, this.index, cumulative) }
  }

  async pay(up: bigint, down: bigint): Promise<MessageBody<'paid'>> {
    this.control.send('pay', this.statement(up, down))
    return (await this.control.next('paid')).body
  }

  /** Pays for three quarters of the channel, carried or not, so that it may be left. Returns the bytes of the session paid for. */
  async useUp(): Promise<bigint> {
    const { cap } = this.root.tree.proof(this.index)
    const bytes = ((((cap * 3n) / 4n + 1n) << 30n) - this.accepted.base) / this.seller.offer.body.pricePerGib + 1n
    await this.pay(0n, bytes)
    return bytes
  }

  /** Moves to another leaf, of this root or another one. */
  async move(root: RogueRoot, index: number): Promise<void> {
    this.control.send('session', sessionOf(this.control.link, root, this.seller, { index }))
    this.accepted = (await this.control.next('accepted')).body
    this.root = root
    this.index = index
  }

  /** Ends the session, whatever it owes. One that only vanished would be waited for. */
  leave(): void {
    this.control.send('bye', { code: 'SESSION_UNKNOWN', message: 'done' })
    this.control.link.close()
  }
}
