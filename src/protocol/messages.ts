/**
 * Protocol: what nodes say to each other, what a payer signs, and what either may conclude from it.
 *
 * The rule it keeps: everything here is pure. No clock, no socket, no disk, no other room; what changes is passed in, what follows is returned.
 *
 * Start reading here (the messages), then till.ts and purse.ts (the two sides of a session's money), voucher.ts and tree.ts (what the
 * contract checks), errors.ts (the one table of errors). The spec is docs/protocol.md.
 *
 * Each message is declared once; docs/protocol.md#messages lists the same table and a test compares them.
 *
 * A frame is [type u8][length u24][payload]. A link is one TLS connection. The first frame says what it is for: `session` makes it the
 * control link of a session and `rejoin` the next one after a loss; `attach` makes it a flow link, which carries one flow at a time and is
 * used again after `done`.
 */
import { blob, decode, encode, hex, type Infer, i64, list, optional, struct, text, u8, u16, u32, u64, u96, u128 } from './codec.ts'
import { BywayError } from './errors.ts'

// --- Fixed by docs/protocol.md. Changing one breaks peers. ---
export const PROTOCOL_VERSION = 4
export const FRAME_HEADER_BYTES = 4
/** Longest payload of any frame but `data`: a proof of 32 levels and its surroundings take under 2 KiB. */
export const MAX_MESSAGE_BYTES = 4096
/** Longest `data` payload: four TLS records, so that the header costs nothing and a stopped reader holds little. */
export const MAX_DATA_BYTES = 65_536
/** What `open` asks for. */
export const FLOW_PROTOCOLS = { tcp: 0, udp: 1 } as const
/** An offer is a few hundred bytes; the frame that carries one has to hold it. */
const MAX_CARRIED_OFFER_BYTES = 3_072
/** Label of the TLS exporter a session's proof signs, so that it is worth nothing on any other connection. */
export const EXPORTER_LABEL = 'EXPORTER-byway-session-v1'

/** A sentence for the log of whoever hears it. */
const MAX_REASON_BYTES = 512

const sessionId = hex(16)
const counts = { up: u64, down: u64 }
/** Of a session: below zero while bytes are paid for that are still to be carried. */
const running = { up: u64, down: i64 }
const signature = hex(64)

const statement = struct({ sessionId, ...counts, cumulative: u96, signature })

export const MESSAGES = {
  session: {
    type: 0x01,
    from: 'consumer',
    codec: struct({
      version: u16,
      chainId: u64,
      channels: hex(20),
      payer: hex(20),
      signer: hex(20),
      root: hex(32),
      sum: u96,
      expiry: u64,
      depth: u8,
      nonce: u64,
      index: u32,
      payee: hex(20),
      cap: u96,
      salt: hex(32),
      siblings: list(struct({ hash: hex(32), sum: u96 }), 32),
      pricePerGib: u96,
      latest: optional(struct({ statement, base: u128, pricePerGib: u96 })),
      proof: signature,
    }),
  },
  attach: { type: 0x02, from: 'consumer', codec: struct({ version: u16, sessionId, token: hex(32) }) },
  accepted: {
    type: 0x03,
    from: 'provider',
    codec: struct({
      sessionId,
      token: hex(32),
      base: u128,
      window: u64,
      last: optional(struct({ cumulative: u96, signature })),
      carried: struct(running),
    }),
  },
  refused: { type: 0x04, from: 'provider', codec: struct({ code: text(64), message: text(MAX_REASON_BYTES) }) },
  pay: { type: 0x05, from: 'consumer', codec: statement },
  paid: { type: 0x06, from: 'provider', codec: struct({ cumulative: u96, window: u64 }) },
  meter: { type: 0x07, from: 'provider', codec: struct({ sessionId, ...running }) },
  lost: { type: 0x08, from: 'provider', codec: struct({ flowId: u32, ...counts }) },
  bye: { type: 0x09, from: 'both', codec: struct({ code: text(64), message: text(MAX_REASON_BYTES) }) },
  ping: { type: 0x0a, from: 'both', codec: struct({ nonce: u64 }) },
  pong: { type: 0x0b, from: 'both', codec: struct({ nonce: u64 }) },
  attached: { type: 0x0c, from: 'provider', codec: struct({}) },
  rejoin: { type: 0x0d, from: 'consumer', codec: struct({ version: u16, sessionId, token: hex(32) }) },
  rejoined: { type: 0x0e, from: 'provider', codec: struct({ cumulative: u96, window: u64 }) },
  open: { type: 0x10, from: 'consumer', codec: struct({ flowId: u32, protocol: u8, host: text(255), port: u16 }) },
  opened: { type: 0x11, from: 'provider', codec: struct({}) },
  failed: { type: 0x12, from: 'provider', codec: struct({ code: text(64), message: text(MAX_REASON_BYTES) }) },
  end: { type: 0x14, from: 'both', codec: struct({}) },
  reset: { type: 0x15, from: 'both', codec: struct({}) },
  done: { type: 0x16, from: 'provider', codec: struct({ ...counts }) },
  ack: { type: 0x17, from: 'both', codec: struct({ received: u64 }) },
  resume: { type: 0x18, from: 'consumer', codec: struct({ flowId: u32, received: u64, over: u8 }) },
  resumed: { type: 0x19, from: 'provider', codec: struct({ received: u64, over: u8 }) },
  extend: { type: 0x1a, from: 'consumer', codec: struct({ flowId: u32, offer: blob(MAX_CARRIED_OFFER_BYTES) }) },
  ask: { type: 0x1b, from: 'both', codec: struct({}) },
  reserve: { type: 0x20, from: 'tucked', codec: struct({ version: u16, nodeKey: hex(32), signature }) },
  reserved: { type: 0x21, from: 'relay', codec: struct({ token: hex(32), lifetimeS: u32, maxCalls: u16 }) },
  call: { type: 0x22, from: 'relay', codec: struct({ callId: u32 }) },
  answer: { type: 0x23, from: 'tucked', codec: struct({ version: u16, token: hex(32), callId: u32 }) },
  answered: { type: 0x24, from: 'relay', codec: struct({}) },
  observe: { type: 0x25, from: 'both', codec: struct({ version: u16, nodeKey: hex(32), port: u16, pin: hex(32) }) },
  observed: { type: 0x26, from: 'relay', codec: struct({ address: text(45), port: u16, reached: u8 }) },
} as const

/** `data` carries raw bytes, so it has no codec. */
export const DATA_TYPE = 0x13

/** Longest payload of a frame of this type. */
export function frameLimit(type: number): number {
  return type === DATA_TYPE ? MAX_DATA_BYTES : MAX_MESSAGE_BYTES
}

/** `padding` carries bytes that mean nothing, and is never handed on. */
export const PADDING_TYPE = 0x30

export type MessageName = keyof typeof MESSAGES
export type MessageBody<N extends MessageName> = Infer<(typeof MESSAGES)[N]['codec']>
/** A decoded message: its name and its fields. */
export type Message = { [N in MessageName]: { name: N; body: MessageBody<N> } }[MessageName]
export type Statement = MessageBody<'pay'>

const BY_TYPE = new Map(Object.entries(MESSAGES).map(([name, spec]) => [spec.type as number, name as MessageName]))

export function frameHeader(type: number, length: number): Buffer {
  return writeHeader(Buffer.allocUnsafe(FRAME_HEADER_BYTES), type, length)
}

function writeHeader(frame: Buffer, type: number, length: number): Buffer {
  frame.writeUInt32BE(type * 0x1000000 + length)
  return frame
}

export function encodeMessage<N extends MessageName>(name: N, body: MessageBody<N>): Buffer {
  const { type, codec } = MESSAGES[name]
  const frame = encode(codec as never, body as never, FRAME_HEADER_BYTES)
  return writeHeader(frame, type, frame.length - FRAME_HEADER_BYTES)
}

/**
 * What a peer is told of an error: its code, and its message as far as the field holds it. Of trouble that is this node's own (its disk, its
 * chain endpoints, a bug) only that there is some: the words may name paths and hosts.
 */
export function farewell(error: BywayError): { code: string; message: string } {
  const ownTrouble = /^(INTERNAL|DISK_|STATE_|KEYS_|RPC_|CONTRACT_MISSING|TRANSACTION_)/.test(error.code)
  if (ownTrouble) return { code: 'PROVIDER_BUSY', message: 'this node has trouble of its own' }
  return { code: error.code, message: clip(error.message, MAX_REASON_BYTES) }
}

/** The longest beginning of `words` that fits, cut between characters. */
function clip(words: string, limit: number): string {
  const { read } = new TextEncoder().encodeInto(words, new Uint8Array(limit))
  return words.slice(0, read)
}

/** Reads one frame's payload. Unknown types and bytes that do not fit the fields are MESSAGE_MALFORMED. */
export function decodeMessage(type: number, payload: Uint8Array): Message {
  const name = BY_TYPE.get(type)
  if (name === undefined) throw new BywayError('MESSAGE_MALFORMED', 'unknown message type', { facts: { type } })
  return { name, body: decode(MESSAGES[name].codec as never, payload) } as Message
}
