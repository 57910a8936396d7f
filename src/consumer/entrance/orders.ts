/** What the main thread and the entrance say to each other. Descriptors go with the order or report that names them; whoever receives one owns it. */
import type { Hex } from '../../protocol/bytes.ts'

/** A session that may serve a request, and the exit behind it. */
export interface Choice {
  /** By which the carrying thread knows it. */
  session: number
  exit: Hex
  /** Another exit could serve it as well. */
  others: boolean
}

/** What the main thread would decide for requests with these parameters, for as long as that is so. */
export interface Grant {
  /** {@link parametersKey} of them. */
  key: string
  /** Whom each next request gets, in turn; without a session it is for the main thread to open one. */
  turns: readonly (Choice | undefined)[]
  /** It holds so long at most; used, it is asked for again long before. */
  goodMs: number
}

export type EntranceOrder =
  /** The listening descriptor comes with it. */
  | { enter: 'open'; flows: SharedArrayBuffer; connections: SharedArrayBuffer; handshakeMs: number }
  | { enter: 'grant'; grant: Grant }
  /** Something changed: all grants are void. */
  | { enter: 'forget' }
  | { enter: 'close' }

export type EntranceReport =
  /** A connection that is for the main thread: what it said so far, and how many bytes of what it has to hear it has heard. */
  | { entered: 'hand'; fd: number; heard: Uint8Array; said: number }
  /** A grant is used and no longer fresh; flows were opened through these exits since. */
  | { entered: 'renew'; key: string; worked: readonly Hex[] }
  /** A flow could not be opened; the application was told. */
  | { entered: 'refused'; code: string }
