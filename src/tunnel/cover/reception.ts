/**
 * Reception: who stands at the door of a TLS connection, a peer or a visitor.
 *
 * The first record decides. If it carries the right proof the connection becomes a link; in every other case, whatever it is, it is joined to
 * the cover, first record included. The right proof is computed for every connection before anything is read, so that nobody's answer takes
 * longer than another's.
 */
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { splice } from '../splice.ts'
import type { Cover } from './cover.ts'
import { COVER_LABEL, EXPORTER_BYTES, proofOf, readUpgrade, sameSecret, upgradeAnswer } from './proof.ts'
import type { OuterTokens } from './token.ts'
import { WebSocketCarrier } from './websocket.ts'

/**
 * A peer's request comes with the end of its handshake. A visitor who says nothing is joined to the cover after this, so that the cover's own
 * clock runs for it; until then peers cost the cover nothing.
 */
const SILENCE_MS = 50
/** How long a visitor may take to hang up after the cover did: nginx's lingering_timeout. */
const LINGER_MS = 5_000

/** Joins somebody who is no peer to the cover, until the cover has said its last word. */
export function joinVisitor(visitor: Duplex, site: Duplex): void {
  void splice(visitor, site)
  visitor.once('finish', () => setTimeout(() => visitor.destroy(), LINGER_MS).unref())
  visitor.resume()
  site.resume()
}

/** Whether bytes may begin a TLS ClientHello: a handshake record (RFC 8446, section 5.1) whose message is of type 1. */
export const looksLikeHello = (first: Buffer): boolean =>
  HELLO.every((values, at) => at >= first.length || values === undefined || values.includes(first[at]!))
const HELLO: readonly (readonly number[] | undefined)[] = [[0x16], [0x03], [0x00, 0x01, 0x02, 0x03, 0x04], undefined, undefined, [0x01]]

export interface Reception {
  /** From {@link coverKey}. */
  key: Buffer
  cover: Cover
  /** The proof was right: the connection is a link's from here on. */
  onPeer: (socket: TLSSocket) => void
  tokens: OuterTokens
  nowMs: () => number
  /** The answer to a request for this node's offer document; undefined for anything else, which is the cover's business. */
  document?: ((first: Buffer) => Buffer | undefined) | undefined
  /** The outer token was right: what comes over this carrier is another connection. */
  onCarrier: (carrier: Duplex) => void
}

/** Says that the upgrade is granted; what already followed the request comes first from then on. */
function grant(socket: Duplex, { webSocketKey, rest }: { webSocketKey: string; rest: Buffer }): void {
  socket.write(upgradeAnswer(webSocketKey))
  if (rest.length > 0) socket.unshift(rest)
}

/** Takes a connection in the clear: true if a proxy brought somebody with an outer token, who is then on his way. */
export function receivePlain(socket: Duplex, first: Buffer, { tokens, nowMs, onCarrier }: Omit<Reception, 'onPeer'>): boolean {
  const asked = readUpgrade(first)
  if (!tokens.take(asked?.secret, nowMs()) || asked === undefined) return false
  grant(socket, asked)
  onCarrier(new WebSocketCarrier(socket, 'server'))
  return true
}

/** Takes a connection whose handshake is done, and finds out whose it is. */
export function receiveTls(socket: TLSSocket, reception: Reception): void {
  const { key, cover, tokens, nowMs } = reception
  const expected =
    socket.getProtocol() === 'TLSv1.3'
      ? proofOf(key, socket.exportKeyingMaterial(EXPORTER_BYTES, COVER_LABEL, Buffer.alloc(0)))
      : randomBytes(32)
  let early: Duplex | undefined
  const fail = () => socket.destroy()
  const joinCover = () => {
    early = cover.open()
    // Servers of HTTP speak first only to say that they will wait no longer.
    for (const event of ['readable', 'end', 'close', 'error']) early.once(event, visit)
    early.on('error', () => {})
  }
  const silence = setTimeout(joinCover, SILENCE_MS)
  const leave = () => {
    clearTimeout(silence)
    for (const event of ['readable', 'end', 'close', 'error']) early?.off(event, visit)
    socket.off('data', decide).off('end', visit).off('close', gone).off('error', fail)
  }
  const gone = () => {
    leave()
    early?.destroy()
  }
  function visit(first?: Buffer | Error): void {
    leave()
    const site = early ?? cover.take()
    if (Buffer.isBuffer(first)) site.write(first)
    joinVisitor(socket, site)
  }
  function decide(first: Buffer): void {
    socket.pause()
    const asked = readUpgrade(first)
    const proved = asked !== undefined && sameSecret(expected, asked.secret)
    // Looked at for everybody, so that nobody's answer takes longer.
    const brought = tokens.take(asked?.secret, nowMs())
    if (asked === undefined || !(proved || brought)) {
      const document = reception.document?.(first)
      if (document === undefined) visit(first)
      else {
        gone()
        socket.on('error', fail).end(document)
        socket.resume()
      }
      return
    }
    gone()
    grant(socket, asked)
    if (proved) reception.onPeer(socket)
    else reception.onCarrier(new WebSocketCarrier(socket, 'server'))
  }
  socket.once('data', decide).once('end', visit).once('close', gone).once('error', fail)
}
