/**
 * Faults at one message: the link is cut right before it is sent or right after, it is lost with everything that follows, or its sender dies.
 *
 * TLS hides frames from any proxy in between, so the fault sits where frames are made: in the `send` of links, of both nodes of this process.
 */
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Message, MessageBody, MessageName } from '../../src/protocol/messages.ts'
import { Link } from '../../src/tunnel/index.ts'
import type { Side } from './time-travel.ts'

export const FAULTS = ['cut before', 'cut after', 'lost', 'death before', 'death after'] as const
export type Fault = (typeof FAULTS)[number]
export type FrameName = MessageName | 'data'
/** A frame on the control link tells the two ends of it apart from links that carry flows. */
const CONTROL: ReadonlySet<FrameName> = new Set(['session', 'accepted', 'refused', 'pay', 'paid', 'meter', 'lost'])

/** A lost message is followed by silence this long, then by the end of the link: nobody waits for minutes here. */
const SILENCE_MS = 30

interface Plan {
  fault: Fault
  frame: FrameName | 'any'
  side: Side
  /** Strikes at its nth such frame. */
  nth: number
  journal: string
}

export class Faults {
  readonly #send = Link.prototype.send
  readonly #sendData = Link.prototype.sendData
  readonly #links = new Map<Link, Side>()
  readonly #sellerPort: () => number
  #plan: Plan | undefined
  #seen = 0
  #dead: Side | undefined
  readonly #silent = new WeakSet<Link>()
  /** The consumer's ends of links that carry flows. */
  readonly #flowLinks = new Set<Link>()
  readonly #controlLinks = new WeakSet<Link>()
  #over = Promise.withResolvers<void>()
  /** The journal of the node that died, as it was in that moment. */
  copy: Buffer | undefined
  struck = false
  /** Whether that ends the session: on its control link, or with its sender. */
  /** May change a message before it is sent. */
  alter: (<N extends MessageName>(name: N, body: MessageBody<N>) => MessageBody<N>) | undefined

  /** Hears every message before it is sent, as the node made it. */
  onSend: ((side: Side, message: Message) => void) | undefined

  /** Takes over all links of this process until {@link uninstall}. */
  constructor(sellerPort: () => number) {
    this.#sellerPort = sellerPort
    const [send, sendData] = [this.#send, this.#sendData]
    const through = this.#through.bind(this)
    const altered = <N extends MessageName>(name: N, body: MessageBody<N>) => this.alter?.(name, body) ?? body
    const heard = (link: Link, message: Message) => this.onSend?.(this.#sideOf(link), message)
    Link.prototype.send = function (this: Link, name, body) {
      const message = altered(name, body)
      through(this, name, () => {
        heard(this, { name, body } as Message)
        send.call(this, name, message as never)
      })
    }
    Link.prototype.sendData = function (this: Link, chunk, written) {
      // Swallowed, the frame counts as sent: its sender cannot know.
      if (!through(this, 'data', () => sendData.call(this, chunk, written))) written?.()
    }
  }

  uninstall(): void {
    Link.prototype.send = this.#send
    Link.prototype.sendData = this.#sendData
  }

  /** From now on the plan waits for its message. */
  arm(plan: Plan): void {
    this.#plan = plan
    this.#seen = 0
    this.copy = undefined
    this.struck = false
    this.#over = Promise.withResolvers()
  }

  /** Resolves when the fault has done its harm. */
  get over(): Promise<void> {
    return this.#over.promise
  }

  /** Cuts all links that carry flows, as a network change does that spares the control link. */
  breakFlows(): void {
    for (const link of this.#flowLinks) link.wire.destroy()
  }

  /** Both sides are whole again. */
  disarm(): void {
    this.#plan = undefined
    this.#dead = undefined
    this.alter = undefined
  }

  #sideOf(link: Link): Side {
    const known = this.#links.get(link)
    if (known !== undefined) return known
    const side = portsOf(link.wire).local === this.#sellerPort() ? 'seller' : 'buyer'
    this.#links.set(link, side)
    link.wire.once('close', () => {
      this.#links.delete(link)
      this.#flowLinks.delete(link)
    })
    return side
  }

  /** The same connection as the other node sees it, if that has sent anything on it. */
  #otherEnd({ wire }: Link): Link | undefined {
    const here = portsOf(wire)
    return [...this.#links.keys()].find((link) => {
      const there = portsOf(link.wire)
      return there.local === here.remote && there.remote === here.local
    })
  }

  /** Sends the frame unless a fault swallows it; says whether it was sent. */
  #through(link: Link, frame: FrameName, send: () => void): boolean {
    const side = this.#sideOf(link)
    if (frame === 'attach') this.#flowLinks.add(link)
    if (CONTROL.has(frame)) this.#controlLinks.add(link)
    if (this.#dead === side || this.#silent.has(link)) return false
    const plan = this.#plan
    if (plan === undefined || (plan.frame !== frame && plan.frame !== 'any') || plan.side !== side || ++this.#seen !== plan.nth) {
      send()
      return true
    }
    this.struck = true
    const cut = () => {
      const other = this.#otherEnd(link)
      if (other === undefined) this.#over.resolve()
      else other.wire.once('close', () => this.#over.resolve())
      link.wire.destroy()
    }
    switch (plan.fault) {
      case 'cut before':
        cut()
        return false
      case 'cut after':
        send()
        link.wire.write(Buffer.alloc(0), cut)
        return true
      case 'lost':
        this.#silent.add(link)
        setTimeout(cut, SILENCE_MS)
        return false
      case 'death before':
        this.#die(plan)
        return false
      case 'death after':
        send()
        link.wire.write(Buffer.alloc(0), () => this.#die(plan))
        return true
    }
  }

  #die({ side, journal }: Plan): void {
    this.#dead = side
    this.copy = readFileSync(journal)
    for (const [link, owner] of this.#links) if (owner === side) link.wire.destroy()
    this.#over.resolve()
  }
}

/** Links only ask for a stream; here it is always a socket. */
function portsOf(wire: Link['wire']): { local: number | undefined; remote: number | undefined } {
  const { localPort, remotePort } = wire as unknown as Socket
  return { local: localPort, remote: remotePort }
}
