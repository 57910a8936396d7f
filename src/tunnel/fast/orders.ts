/**
 * What the main thread and the one that carries bytes say to each other. Payload never crosses here; descriptors do, as numbers, and whoever
 * receives one owns it.
 *
 * A `session` is a number the main thread gave; links and flows have numbers of their own, flows within their session.
 */
import type { MessageBody } from '../../protocol/messages.ts'
import type { Standing } from './handover.ts'

interface Totals {
  up: bigint
  down: bigint
}
/** Why something failed: a code of the table of errors, and words. */
export interface Trouble {
  code: string
  message: string
}

/** A flow of the carrying thread that a link runs inside. */
export interface Nest {
  readonly session: number
  readonly flow: number
}

/** To the carrying thread. */
export type Order =
  | { do: 'session'; session: number; side: 'consumer' | 'provider'; meter: SharedArrayBuffer }
  /** Ends its flows and links at once; answered with `closed-session`. */
  | { do: 'close-session'; session: number }
  /** Resets its flows, so that the other end hears of it. */
  | { do: 'reset-flows'; session: number }
  | { do: 'link'; session: number; link: number; fd: number; standing: Standing; over: Nest | undefined }
  | { do: 'drop-link'; session: number; link: number }
  /** Consumer: asks for an idle link; answered with `link-taken`. One that is not used after all is put back. */
  | { do: 'take-link'; session: number; ask: number }
  | { do: 'put-link'; session: number; link: number }
  /** Consumer: the provider said what a flow carried that it gave up; answered with `stated`, after `given-up` if it was under way. */
  | { do: 'lost'; session: number; flow: number; stated: Totals }
  /** For whatever runs in the thread beside the sessions: see {@link EntranceSide}. */
  | { do: 'entrance'; order: object; fd: number }
  /** The meter has more room. */
  | { do: 'room'; session: number }
  /** Consumer: asks for a flow on an idle link; `frame` is the whole message. `reply` is written to the socket once it is open, or at once. */
  | {
      do: 'open'
      session: number
      link: number
      flow: number
      frame: Uint8Array
      fd: number
      early: Uint8Array
      reply: Uint8Array
      atOnce: boolean
      /** Somebody else could be asked as well. */
      others: boolean
    }
  /** Consumer: gives a flow up. */
  | { do: 'reset'; session: number; flow: number }
  /** Consumer: the last words on the socket of a flow that was not opened. */
  | { do: 'refuse'; fd: number; words: Uint8Array }
  /** Consumer: asks for a flow that lost its link to go on here; answered with `carried-on`. */
  | { do: 'resume'; session: number; link: number; flow: number }
  /** Consumer: the way to the provider is dead, as far as is known; or it is not any more. */
  | { do: 'away'; session: number }
  | { do: 'back'; session: number }
  /** No link comes any more. */
  | { do: 'give-up'; session: number; flow: number }
  /** Provider: answers to `asked`. */
  | {
      do: 'connect'
      session: number
      flow: number
      /** Checked, for exactly this host and port. */
      addresses: readonly string[]
      host: string
      port: number
      timeoutMs: number
      /** The verdict holds this long: flows of this session to the same host and port need not ask. */
      goodMs: number
    }
  | { do: 'use'; session: number; flow: number; fd: number; said: Uint8Array }
  | { do: 'refuse-flow'; session: number; flow: number; trouble: Trouble }
  /** See tidy.ts; each thread has garbage of its own. */
  | { do: 'tidy'; all: boolean }
  | { do: 'stop' }

/** What may run in the thread beside the sessions: it takes connections, and begins flows of its own. */
export interface EntranceSide {
  /** `fd` comes with the order, or is -1. */
  obey(order: object, fd: number): void
  close(): void
}

/** From it. */
export type Report =
  | { say: 'entrance'; report: object }
  | { say: 'ready' }
  | { say: 'unable'; why: string }
  /** Bytes were carried: look at the meter. */
  | { say: 'counted'; session: number }
  /** So many flows ended like this: `ok`, or a code of the table of errors. */
  | { say: 'ended'; session: number; result: string; count: number }
  /** A link is about to be closed because nobody needs it: no loss of anybody's. */
  | { say: 'let-go'; session: number; link: number }
  /** `garbled`: what came was not what the other end sealed, or it says so of us. */
  | { say: 'closed-link'; session: number; link: number; trouble: Trouble | undefined; garbled: boolean }
  | { say: 'closed-session'; session: number }
  /** Consumer: somebody who could ask elsewhere waits long for an answer. */
  | { say: 'unanswered'; session: number }
  | { say: 'opened'; session: number; flow: number }
  | { say: 'failed'; session: number; flow: number; fd: number; trouble: Trouble }
  | { say: 'link-taken'; session: number; ask: number; link: number | undefined }
  | { say: 'stated'; session: number; flow: number; stated: Totals }
  | {
      say: 'over'
      session: number
      flow: number
      sent: number
      received: number
      discarded: number
      aborted: boolean
      stated: Totals
    }
  | { say: 'suspended'; session: number; flow: number; opening: boolean; trouble: Trouble }
  /** Whether the flow goes on, or was over already (then `over` came before); else why not. */
  | { say: 'carried-on'; session: number; flow: number; trouble: Trouble | undefined }
  /**
   * A flow ended without its link; what it counted. `fd`: an application that has not heard anything yet, or -1; `elsewhere`: and said nothing, so that
   * somebody else may be asked.
   */
  | {
      say: 'given-up'
      session: number
      flow: number
      sent: number
      received: number
      discarded: number
      fd: number
      trouble: Trouble | undefined
      elsewhere: boolean
    }
  /** Provider: a consumer asks for a destination; `cancelled` when it does not want it any more. */
  | { say: 'asked'; session: number; flow: number; open: MessageBody<'open'> | undefined; extend: MessageBody<'extend'> | undefined }
  | { say: 'cancelled'; session: number; flow: number }
  | { say: 'lost'; session: number; flow: number; totals: Totals }
  | { say: 'resumed'; session: number }
  /** A link carries something else than streams: its plaintext is at the descriptor. */
  | { say: 'given-back'; session: number; link: number; fd: number }
