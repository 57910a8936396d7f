/**
 * A provider that lies: it accepts sessions and takes vouchers like any other, and says and sends what its script tells it to.
 *
 * It carries nothing anywhere. What it could claim is what its vouchers say, each checked against the consumer's own key.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { type Hex, toHex } from '../../src/protocol/bytes.ts'
import { STRANGER_WINDOW_BYTES } from '../../src/protocol/credit.ts'
import type { Message, MessageBody } from '../../src/protocol/messages.ts'
import { type SignedOffer, signOffer, UNSTATED } from '../../src/protocol/offer.ts'
import { GIB, unitsOf } from '../../src/protocol/price.ts'
import { addressOf, type Descriptor, domainSeparator, recoverSigner, rootIdOf, voucherDigest } from '../../src/protocol/voucher.ts'
import { createCertificate, type Link, listenTls, type TlsListener } from '../../src/tunnel/index.ts'
import { CHAIN_ID, CHANNELS } from '../support/pair.ts'

const SEPARATOR = domainSeparator({ chainId: CHAIN_ID, channels: CHANNELS })

/** A flow the consumer opened here. */
export interface ImpostorFlow {
  link: Link
  flowId: number
  /** Payload the consumer sent. */
  received: bigint
  /** Payload sent to the consumer. */
  sent: bigint
  /** Messages of the consumer, as they come. */
  heard: Message['name'][]
  give(bytes: number): void
}

export interface Script {
  pricePerGib?: bigint
  /** Changes the answer to `session`; undefined: no answer at all. */
  accepted?: (honest: MessageBody<'accepted'>, impostor: Impostor) => MessageBody<'accepted'> | undefined
  /** Answers `session` itself. */
  onSession?: (link: Link, impostor: Impostor) => void
  onAttach?: (link: Link) => void
  onOpen?: (flow: ImpostorFlow, impostor: Impostor) => void
  onFlowMessage?: (flow: ImpostorFlow, message: Message, impostor: Impostor) => void
  onFlowData?: (flow: ImpostorFlow, impostor: Impostor) => void
  onPay?: (statement: MessageBody<'pay'>, impostor: Impostor) => void
}

interface Channel {
  rootId: Hex
  index: number
  signer: Hex
  numerator: bigint
  cumulative: bigint
  signature: Hex
}

export class Impostor {
  readonly offer: SignedOffer
  readonly payee: Hex
  readonly script: Script
  readonly flows: ImpostorFlow[] = []
  readonly links = new Set<Link>()
  readonly channels = new Map<string, Channel>()
  control: Link | undefined
  sessionId: Hex = `0x${'00'.repeat(16)}`
  sessions = 0
  /** Bytes of this session the consumer paid for. */
  paid = { up: 0n, down: 0n }
  #base = 0n
  #channel: Channel | undefined
  readonly #listener: TlsListener
  readonly #token = toHex(randomBytes(32))

  static async start(script: Script = {}): Promise<Impostor> {
    const node = generateKeyPairSync('ed25519')
    const tls = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const certificate = await createCertificate(tls.privateKey, new Date())
    let impostor: Impostor | undefined
    const onFailure = () => {}
    const nodeKey = toHex(node.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
    const listener = await listenTls({ host: '127.0.0.1', port: 0, certificate, nodeKey, onFailure }, (link) => impostor!.#receive(link))
    const payee = addressOf(randomBytes(32))
    const nowS = BigInt(Math.floor(Date.now() / 1000))
    const offer = signOffer(
      {
        version: 1,
        nodeKey,
        payee,
        chainId: BigInt(CHAIN_ID),
        channels: CHANNELS,
        sequence: nowS,
        issuedAt: nowS,
        expiresAt: nowS + 86_400n,
        ...UNSTATED,
        country: 'de',
        transports: [{ kind: 'tls', host: '127.0.0.1', port: listener.port, pin: certificate.pin }],
        pricePerGib: script.pricePerGib ?? 100_000n,
        tier: 2,
        policyHash: `0x${'00'.repeat(32)}`,
        relay: 0,
      },
      node.privateKey,
    )
    impostor = new Impostor(script, offer, listener)
    return impostor
  }

  private constructor(script: Script, offer: SignedOffer, listener: TlsListener) {
    this.script = script
    this.offer = offer
    this.payee = offer.body.payee
    this.#listener = listener
  }

  /** Units it could claim, as the bytes they buy. */
  get claimableBytes(): bigint {
    let units = 0n
    for (const { cumulative } of this.channels.values()) units += cumulative
    return (units * GIB) / this.offer.body.pricePerGib
  }

  /** Bytes paid for over all sessions and channels, to the byte. */
  claimed(): bigint {
    let numerator = 0n
    for (const channel of this.channels.values()) numerator += channel.numerator
    return numerator / this.offer.body.pricePerGib
  }

  close(): Promise<void> {
    for (const link of this.links) link.destroy()
    return this.#listener.close()
  }

  #receive(link: Link): void {
    this.links.add(link)
    link.wire.once('close', () => this.links.delete(link))
    link.listen({
      onMessage: (message) => {
        if (message.name === 'session') this.#onSession(link, message.body)
        else if (message.name === 'attach') this.#onAttach(link)
        else if (message.name === 'pay') this.#onPay(message.body)
        else if (message.name === 'ping') link.send('pong', message.body)
        // It forgets whom it lost.
        else if (message.name === 'rejoin') link.send('refused', { code: 'SESSION_UNKNOWN', message: 'forgotten' })
      },
      onData: () => {},
      onClose: () => {},
    })
  }

  #onSession(link: Link, message: MessageBody<'session'>): void {
    this.control = link
    this.sessions++
    if (this.script.onSession !== undefined) {
      this.script.onSession(link, this)
      return
    }
    const { payer, signer, root, sum, depth, nonce, index } = message
    const descriptor: Descriptor = { payer, signer, root, sum, expiry: Number(message.expiry), depth, nonce }
    const rootId = rootIdOf(descriptor)
    const key = `${rootId}:${index}`
    const channel = this.channels.get(key) ?? { rootId, index, signer, numerator: 0n, cumulative: 0n, signature: `0x` as Hex }
    this.channels.set(key, channel)
    this.#channel = channel
    const { latest } = message
    if (latest !== undefined) {
      // Like any provider it takes what it is given.
      const { up, down, cumulative: amount, signature: signed } = latest.statement
      const numerator = latest.base + (up + down) * latest.pricePerGib
      if (numerator > channel.numerator) Object.assign(channel, { numerator, cumulative: amount, signature: signed })
    }
    this.#base = channel.numerator
    this.paid = { up: 0n, down: 0n }
    this.sessionId = toHex(randomBytes(16))
    const { cumulative, signature } = channel
    const honest: MessageBody<'accepted'> = {
      sessionId: this.sessionId,
      token: this.#token,
      base: channel.numerator,
      window: STRANGER_WINDOW_BYTES,
      last: signature === '0x' ? undefined : { cumulative, signature },
      carried: { up: 0n, down: 0n },
    }
    const answer = this.script.accepted === undefined ? honest : this.script.accepted(honest, this)
    if (answer !== undefined) link.send('accepted', answer)
  }

  #onPay(statement: MessageBody<'pay'>): void {
    const channel = this.#channel!
    const { rootId, index, signer } = channel
    const { up, down, cumulative, signature } = statement
    const digest = voucherDigest(SEPARATOR, { rootId, index, payee: this.payee, cumulative })
    if (recoverSigner(digest, signature) !== signer || statement.sessionId !== this.sessionId) return
    const numerator = this.#base + (up + down) * this.offer.body.pricePerGib
    if (unitsOf(numerator) !== cumulative) return
    Object.assign(channel, { numerator, cumulative, signature })
    this.paid = { up, down }
    if (this.script.onPay !== undefined) this.script.onPay(statement, this)
    else this.control!.send('paid', { cumulative, window: STRANGER_WINDOW_BYTES })
  }

  #onAttach(link: Link): void {
    if (this.script.onAttach !== undefined) {
      this.script.onAttach(link)
      return
    }
    link.send('attached', {})
    let flow: ImpostorFlow | undefined
    link.listen({
      onMessage: (message) => {
        if (message.name === 'open') {
          flow = newFlow(link, message.body.flowId)
          this.flows.push(flow)
          if (this.script.onOpen !== undefined) this.script.onOpen(flow, this)
          else link.send('opened', {})
          return
        }
        if (message.name === 'resume') {
          link.send('failed', { code: 'FLOW_UNKNOWN', message: 'forgotten' })
          return
        }
        flow?.heard.push(message.name)
        if (flow !== undefined) this.script.onFlowMessage?.(flow, message, this)
      },
      onData: (chunk) => {
        if (flow === undefined) return
        flow.received += BigInt(chunk.length)
        this.script.onFlowData?.(flow, this)
      },
      onClose: () => {},
    })
  }
}

function newFlow(link: Link, flowId: number): ImpostorFlow {
  const flow: ImpostorFlow = {
    link,
    flowId,
    received: 0n,
    sent: 0n,
    heard: [],
    give(bytes) {
      flow.sent += BigInt(bytes)
      link.sendData(Buffer.alloc(bytes, 'g'), () => {})
    },
  }
  return flow
}
