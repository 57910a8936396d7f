/**
 * SOCKS5 as a state machine fed with bytes (RFC 1928, RFC 1929): no socket, no clock, nothing resolved.
 *
 *   greeting ──> [authentication ──>] request ──> done        any step may refuse
 *
 * Bytes may come split anywhere or all at once; what follows the request belongs to the flow and is handed back. It never holds more than
 * one unfinished message. CONNECT and UDP ASSOCIATE; BIND is answered 0x07, for nobody can connect to an exit through its owner's NAT.
 * A name stays a name: it is resolved by the exit or not at all.
 */
import { type Destination, parseDestination } from '../../protocol/destination.ts'
import { BywayError, type ErrorCode } from '../../protocol/errors.ts'
import { SOCKS_VERSION, socksReply } from './replies.ts'
import { parseUsername, type RouteParameters } from './username.ts'

// --- Fixed by RFC 1928 and RFC 1929. ---
const METHOD_NONE = 0x00
const METHOD_PASSWORD = 0x02
const METHOD_NOT_ACCEPTABLE = 0xff
const AUTH_VERSION = 0x01
const AUTH_SUCCEEDED = 0x00
const AUTH_FAILED = 0x01
const COMMAND_CONNECT = 0x01
const COMMAND_ASSOCIATE = 0x03
const ATYP_IPV4 = 0x01
const ATYP_DOMAIN = 0x03
const ATYP_IPV6 = 0x04

/** What came of the bytes so far. `reply`, when not empty, is to be sent first. */
export type SocksStep =
  | { kind: 'more'; reply: Buffer }
  | { kind: 'request'; reply: Buffer; destination: Destination; parameters: RouteParameters; rest: Buffer }
  /** `port` is where the application says its datagrams will come from; 0 when it does not know yet. */
  | { kind: 'associate'; reply: Buffer; port: number; parameters: RouteParameters }
  | { kind: 'refused'; reply: Buffer; error: BywayError }

export interface SocksParser {
  /** Not to be called again after anything but `more`. */
  push(chunk: Uint8Array): SocksStep
}

export function createSocksParser(): SocksParser {
  let pending: Buffer = Buffer.alloc(0)
  let state: 'greeting' | 'authentication' | 'request' = 'greeting'
  let parameters = parseUsername(undefined)

  function push(chunk: Uint8Array): SocksStep {
    pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk])
    const replies: Buffer[] = []
    try {
      for (;;) {
        const message = READERS[state](pending)
        if (message === undefined) return { kind: 'more', reply: Buffer.concat(replies) }
        pending = pending.subarray(message.bytes)
        if (message.reply !== undefined) replies.push(message.reply)
        if (message.parameters !== undefined) parameters = message.parameters
        if (message.port !== undefined) return { kind: 'associate', reply: Buffer.concat(replies), port: message.port, parameters }
        if (message.destination !== undefined) {
          return { kind: 'request', reply: Buffer.concat(replies), destination: message.destination, parameters, rest: pending }
        }
        state = message.next
      }
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown
      return { kind: 'refused', reply: Buffer.concat([...replies, thrown.reply]), error: thrown.error }
    }
  }

  return { push }
}

/** One whole message: how long it was and where it leads. */
type Message = { bytes: number; reply?: Buffer } & (
  | { next: 'authentication' | 'request'; parameters?: RouteParameters; destination?: undefined; port?: undefined }
  | { destination: Destination; parameters?: undefined; next?: undefined; port?: undefined }
  | { port: number; destination?: undefined; parameters?: undefined; next?: undefined }
)

/** Each looks at the start of the buffer: a message, or undefined while bytes are missing. What can be judged early is. */
const READERS: Readonly<Record<'greeting' | 'authentication' | 'request', (buffer: Buffer) => Message | undefined>> = {
  greeting: (buffer) => {
    const [version, count] = buffer
    if (version !== undefined && version !== SOCKS_VERSION) throw refuse(noMethod, 'PROXY_MALFORMED', 'not a SOCKS5 greeting')
    if (count === undefined || buffer.length < 2 + count) return undefined
    const methods = buffer.subarray(2, 2 + count)
    // A client that offers a password has parameters in its username; one that offers only "none" has not.
    const method = [METHOD_PASSWORD, METHOD_NONE].find((known) => methods.includes(known))
    if (method === undefined) throw refuse(noMethod, 'PROXY_MALFORMED', 'the client offers no known SOCKS5 method')
    const reply = Buffer.from([SOCKS_VERSION, method])
    return { bytes: 2 + count, reply, next: method === METHOD_PASSWORD ? 'authentication' : 'request' }
  },

  authentication: (buffer) => {
    const [version, nameLength] = buffer
    if (version !== undefined && version !== AUTH_VERSION)
      throw refuse(authFailed, 'PROXY_MALFORMED', 'not a SOCKS5 authentication message')
    if (nameLength === 0) throw refuse(authFailed, 'PROXY_MALFORMED', 'the username is empty')
    if (nameLength === undefined) return undefined
    const passwordLength = buffer[2 + nameLength]
    if (passwordLength === undefined || buffer.length < 3 + nameLength + passwordLength) return undefined
    // The password is not looked at: the port listens on loopback only, and the username carries no secret.
    const username = buffer.toString('latin1', 2, 2 + nameLength)
    const parameters = attempt(authFailed, () => parseUsername(username))
    return { bytes: 3 + nameLength + passwordLength, reply: Buffer.from([AUTH_VERSION, AUTH_SUCCEEDED]), parameters, next: 'request' }
  },

  request: (buffer) => {
    const [version, command, reserved, type, first] = buffer
    if (version !== undefined && version !== SOCKS_VERSION) throw refuse(requestFailed, 'PROXY_MALFORMED', 'not a SOCKS5 request')
    if (command !== undefined && command !== COMMAND_CONNECT && command !== COMMAND_ASSOCIATE) {
      throw refuse(
        requestFailed,
        'PROXY_COMMAND_UNSUPPORTED',
        'the SOCKS5 command is neither CONNECT nor UDP ASSOCIATE',
        'BIND is not served: nobody can connect to an exit through its owner’s NAT.',
      )
    }
    if (reserved !== undefined && reserved !== 0)
      throw refuse(requestFailed, 'PROXY_MALFORMED', 'the reserved byte of a SOCKS5 request is not zero')
    if (type === undefined || first === undefined) return undefined
    const address = ADDRESSES[type]
    if (address === undefined) throw refuse(requestFailed, 'PROXY_ADDRESS_UNSUPPORTED', 'the SOCKS5 address type is unknown')
    const { start, end } = address.span(first)
    if (start === end) throw refuse(requestFailed, 'DESTINATION_INVALID', 'the name in the SOCKS5 request is empty')
    if (buffer.length < end + 2) return undefined
    // The address is the application's own, often one behind some NAT or none at all: the connection itself says who asks.
    if (command === COMMAND_ASSOCIATE) return { bytes: end + 2, port: buffer.readUInt16BE(end) }
    const destination = attempt(requestFailed, () => parseDestination(address.text(buffer.subarray(start, end)), buffer.readUInt16BE(end)))
    return { bytes: end + 2, destination }
  },
}

/** Where the address stands in a request, given the first byte after ATYP, and how it is written. */
const ADDRESSES: Readonly<Record<number, { span: (first: number) => { start: number; end: number }; text: (bytes: Buffer) => string }>> = {
  [ATYP_IPV4]: { span: () => ({ start: 4, end: 8 }), text: (bytes) => bytes.join('.') },
  [ATYP_DOMAIN]: { span: (first) => ({ start: 5, end: 5 + first }), text: (bytes) => bytes.toString('utf8') },
  [ATYP_IPV6]: { span: () => ({ start: 4, end: 20 }), text: (bytes) => bytes.toString('hex').replaceAll(/(....)(?!$)/g, '$1:') },
}

class Refusal extends Error {
  readonly reply: Buffer
  readonly error: BywayError
  constructor(reply: Buffer, error: BywayError) {
    super(error.message)
    this.reply = reply
    this.error = error
  }
}

type Answer = (code: ErrorCode) => Buffer
const noMethod: Answer = () => Buffer.from([SOCKS_VERSION, METHOD_NOT_ACCEPTABLE])
const authFailed: Answer = () => Buffer.from([AUTH_VERSION, AUTH_FAILED])
const requestFailed: Answer = socksReply

function refuse(answer: Answer, code: ErrorCode, message: string, hint?: string): Refusal {
  return new Refusal(answer(code), new BywayError(code, message, hint === undefined ? {} : { hint }))
}

function attempt<T>(answer: Answer, parse: () => T): T {
  try {
    return parse()
  } catch (thrown) {
    if (thrown instanceof BywayError) throw new Refusal(answer(thrown.code), thrown)
    throw thrown
  }
}
