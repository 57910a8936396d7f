/**
 * Which TLS connections of node:tls run over a tap, and taking a link away from one.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Link } from '../link.ts'
import { descriptorOf, heldBy } from './detach.ts'
import { Secrets, type Standing, standing } from './handover.ts'
import type { Nest } from './orders.ts'
import { Tap } from './tap.ts'

interface Tapped {
  readonly tap: Tap
  readonly secrets: Secrets
  readonly side: 'client' | 'server'
}

const tapped = new WeakMap<Duplex, Tapped>()

/** Carriers that are the other end of a flow of the carrying thread. */
const nests = new WeakMap<Duplex, Nest>()

export function rememberNest(carrier: Duplex, nest: Nest): void {
  nests.set(carrier, nest)
}

/** A link that was taken over. */
interface Taken {
  readonly fd: number
  readonly standing: Standing
  readonly over: Nest | undefined
}

/** Remembers what `wire`, which runs over `tap`, tells of its keys. To be called before its handshake. */
export function rememberTap(wire: TLSSocket, tap: Tap, side: 'client' | 'server'): void {
  const secrets = new Secrets()
  wire.on('keylog', (line: Buffer) => secrets.hear(line))
  tapped.set(wire, { tap, secrets, side })
}

/**
 * Takes a link's connection away from node:tls: where it stands, and a descriptor of its own made by `duplicate`. The link is over then.
 * Undefined when it cannot be taken now, or (`never`) at all: it stays as it is.
 */
export function takeOver(link: Link, duplicate: (fd: number) => number): Taken | 'later' | 'never' {
  const wire = link.wire as unknown as TLSSocket
  const known = tapped.get(wire)
  if (known === undefined || link.closed || wire.destroyed) return 'never'
  const { tap, secrets, side } = known
  const { under, remembered } = tap
  const fd = descriptorOf(under)
  if (remembered === undefined || fd < 0 || under.destroyed || under.readableEnded || wire.writableEnded) return 'never'
  if (!tap.flushed || wire.writableLength > 0) return 'later'
  under.pause()
  const heard = Buffer.concat([remembered.heard, heldBy(under)])
  const found = standing({ side, suite: wire.getCipher().standardName, secrets, heard, said: remembered.said, consumed: link.consumed })
  const own = found === undefined ? -1 : duplicate(fd)
  if (found === undefined || own < 0) {
    under.resume()
    return 'never'
  }
  tap.release()
  link.leave()
  wire.destroy()
  ;(under as Socket).destroy()
  tapped.delete(wire)
  return { fd: own, standing: found, over: nests.get(under) }
}

/** How many carrying threads this process has: without one nobody takes anything over, and taps would only cost. */
let threads = 0

export function countThread(by: 1 | -1): void {
  threads += by
}

export const tapsWanted = (): boolean => threads > 0

/** A socket to run TLS over, with a memory. */
export const tapOn = (under: Duplex): Tap => new Tap(under)
