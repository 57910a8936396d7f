/**
 * TLS 1.3 record protection (RFC 8446 section 5) over plain memory: seals many records from one piece of plaintext, opens records in place.
 *
 * The rule it keeps: what goes on the wire is what any TLS 1.3 stack would send. Nothing here reads or writes a socket; nothing a peer sends
 * makes it throw anything but a {@link RecordError}.
 */
import { nextSecret, SUITES, type Suite, type Traffic, trafficKey } from './keys.ts'
import type { Memory, Native } from './native.ts'

// --- Fixed by RFC 8446. ---
export const HEADER_BYTES = 5
const TAG_BYTES = 16
/** Plaintext a record holds at most. */
export const RECORD_PLAIN_BYTES = 16_384
/** What a record adds to its plaintext: header, content type, tag. */
export const RECORD_EXTRA_BYTES = HEADER_BYTES + 1 + TAG_BYTES
/** Ciphertext of a record may be 256 bytes longer than its plaintext; OpenSSL refuses more, so do we. */
const MAX_CIPHER_BYTES = RECORD_PLAIN_BYTES + 256
/** Largest record on the wire. */
export const MAX_RECORD_BYTES = HEADER_BYTES + MAX_CIPHER_BYTES
const NONCE_BYTES = 12
const AAD_BYTES = BigInt(HEADER_BYTES)

export const CONTENT = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const
const KEY_UPDATE = 24
const NEW_SESSION_TICKET = 4

// --- Our choice. ---
/** AES-GCM is safe for 2^24.5 full records of one key (section 5.5); a new key at half of that costs nothing. */
const RECORDS_PER_KEY = 2 ** 23

/** The peer broke the record protocol, or somebody else wrote on its connection: nothing after this means anything. */
export class RecordError extends Error {
  /** The alert to send (RFC 8446 section 6). */
  readonly alert: number
  constructor(alert: number, message: string) {
    super(message)
    this.alert = alert
  }
}

/** Bytes `plain` bytes take on the wire. */
export const sealedBytes = (plain: number): number => plain + Math.ceil(plain / RECORD_PLAIN_BYTES) * RECORD_EXTRA_BYTES

/** One direction's key: its context, nonce and sequence number. */
class Key {
  readonly suite: Suite
  sequence: number
  context = 0n
  readonly #native: Native
  readonly #encrypt: boolean
  readonly #nonce: Memory
  #secret: Buffer
  #iv: Buffer = Buffer.alloc(0)

  constructor(native: Native, traffic: Traffic, encrypt: boolean) {
    const suite = SUITES[traffic.suite]
    if (suite === undefined) throw new Error(`${traffic.suite} is not a suite of TLS 1.3 that is used here`)
    this.suite = suite
    this.#native = native
    this.#encrypt = encrypt
    this.#secret = traffic.secret
    this.#nonce = sharedOf(native).nonce
    this.sequence = traffic.sequence
    this.#load()
  }

  #load(): void {
    const { key, iv } = trafficKey(this.suite, this.#secret)
    this.free()
    this.context = this.#native.newContext(cipherOf(this.#native, this.suite.cipher), key, this.#encrypt)
    this.#iv = iv
  }

  /** The address of the next record's nonce; counts it. Valid until the next call on any key of this thread. */
  nonce(): bigint {
    const sequence = this.sequence++
    const { bytes, address } = this.#nonce
    const iv = this.#iv
    const high = Math.floor(sequence / 0x100000000)
    bytes[0] = iv[0]!
    bytes[1] = iv[1]!
    bytes[2] = iv[2]!
    bytes[3] = iv[3]!
    bytes[4] = iv[4]!
    bytes[5] = iv[5]!
    bytes[6] = iv[6]! ^ ((high >>> 8) & 0xff)
    bytes[7] = iv[7]! ^ (high & 0xff)
    bytes[8] = iv[8]! ^ ((sequence >>> 24) & 0xff)
    bytes[9] = iv[9]! ^ ((sequence >>> 16) & 0xff)
    bytes[10] = iv[10]! ^ ((sequence >>> 8) & 0xff)
    bytes[11] = iv[11]! ^ (sequence & 0xff)
    return address
  }

  /** After a KeyUpdate. */
  renew(): void {
    this.#secret = nextSecret(this.suite, this.#secret)
    this.sequence = 0
    this.#load()
  }

  get secret(): Buffer {
    return this.#secret
  }

  free(): void {
    if (this.context !== 0n) this.#native.freeContext(this.context)
    this.context = 0n
  }
}

/** What every key of a thread shares: ciphers are fetched once, and one call at a time uses the rest. */
interface Shared {
  readonly ciphers: Map<string, bigint>
  readonly nonce: Memory
  /** Alerts and KeyUpdates. */
  readonly message: Memory
}
const shared = new WeakMap<Native, Shared>()

function sharedOf(native: Native): Shared {
  const known = shared.get(native)
  if (known !== undefined) return known
  const fresh = { ciphers: new Map<string, bigint>(), nonce: native.allocate(NONCE_BYTES + 4), message: native.allocate(64) }
  shared.set(native, fresh)
  return fresh
}

function cipherOf(native: Native, name: string): bigint {
  const { ciphers } = sharedOf(native)
  const cipher = ciphers.get(name) ?? native.cipher(name)
  ciphers.set(name, cipher)
  return cipher
}

export class Sealer {
  readonly #native: Native
  readonly #key: Key

  constructor(native: Native, traffic: Traffic) {
    this.#native = native
    this.#key = new Key(native, traffic, true)
  }

  /**
   * Seals `bytes` of plaintext at `from` as data records at `to`, which has room for {@link sealedBytes} of it. Returns how many bytes that made.
   * The plaintext's memory must hold one byte more; it is borrowed and put back.
   */
  seal(source: Memory, from: number, bytes: number, target: Memory, to: number, type: number = CONTENT.data): number {
    let at = to
    for (let done = 0; done < bytes; ) {
      if (this.#key.sequence >= RECORDS_PER_KEY) at += this.#renew(target, at)
      const plain = bytes - done < RECORD_PLAIN_BYTES ? bytes - done : RECORD_PLAIN_BYTES
      at += this.#record(source, from + done, plain, target, at, type)
      done += plain
    }
    return at - to
  }

  #record(source: Memory, from: number, plain: number, target: Memory, at: number, type: number): number {
    const inner = plain + 1
    const cipher = inner + TAG_BYTES
    const out = target.bytes
    out[at] = CONTENT.data
    out[at + 1] = 3
    out[at + 2] = 3
    out[at + 3] = cipher >> 8
    out[at + 4] = cipher & 0xff
    const end = from + plain
    const kept = source.bytes[end]!
    source.bytes[end] = type
    const header = target.address + BigInt(at)
    const sealed = this.#native.seal(
      this.#key.context,
      this.#key.nonce(),
      header,
      AAD_BYTES,
      source.address + BigInt(from),
      header + AAD_BYTES,
      BigInt(inner),
    )
    source.bytes[end] = kept
    if (!sealed) throw new Error('OpenSSL could not seal a record')
    return HEADER_BYTES + cipher
  }

  /** A KeyUpdate at `at`, and the next key. The target needs {@link KEY_UPDATE_BYTES} of room. */
  #renew(target: Memory, at: number): number {
    const { message } = sharedOf(this.#native)
    message.bytes.set(KEY_UPDATE_MESSAGE, 0)
    const made = this.#record(message, 0, KEY_UPDATE_MESSAGE.length, target, at, CONTENT.handshake)
    this.#key.renew()
    return made
  }

  /** Answers a peer that asked for new keys. Returns the bytes it made. */
  renew(target: Memory, at: number): number {
    return this.#renew(target, at)
  }

  /** `close_notify` (warning 0) or a fatal alert. Returns the bytes it made. */
  alert(target: Memory, at: number, code: number): number {
    const { message } = sharedOf(this.#native)
    message.bytes[0] = code === 0 ? 1 : 2
    message.bytes[1] = code
    return this.#record(message, 0, 2, target, at, CONTENT.alert)
  }

  /** As it stands: for tests, and for whoever takes the connection back. */
  get traffic(): { secret: Buffer; sequence: number } {
    return { secret: this.#key.secret, sequence: this.#key.sequence }
  }

  /** For tests of what happens late in a connection's life. */
  set sequence(sequence: number) {
    this.#key.sequence = sequence
  }

  free(): void {
    this.#key.free()
  }
}

/** Room a KeyUpdate may take in front of what is sealed, and an alert. */
export const KEY_UPDATE_BYTES = RECORD_EXTRA_BYTES + 5
const KEY_UPDATE_MESSAGE = Buffer.from([KEY_UPDATE, 0, 0, 1, 0])

/** What a record was. */
export interface Opened {
  /** Payload's place in the memory it was opened in; zero bytes for records that carry none. */
  start: number
  bytes: number
  /** The whole record: where the next one begins. */
  recordBytes: number
  /** The peer said that it sends no more (`close_notify`). */
  closed: boolean
  /** The peer asks for new keys of ours: answer with {@link Sealer.renew}. */
  wantsUpdate: boolean
}

export class Opener {
  readonly #native: Native
  readonly #key: Key
  /** Of a handshake message that goes on in the next record: bytes left, and whether its body is of interest. */
  #handshakeLeft = 0
  #handshakeHead: number[] = []
  readonly #opened: Opened = { start: 0, bytes: 0, recordBytes: 0, closed: false, wantsUpdate: false }

  constructor(native: Native, traffic: Traffic) {
    this.#native = native
    this.#key = new Key(native, traffic, false)
  }

  /**
   * Opens the record at `at` in place if all of it is there (`end` is where what was received ends), else undefined. The result is reused by the
   * next call. Throws a RecordError.
   */
  open(memory: Memory, at: number, end: number): Opened | undefined {
    if (end - at < HEADER_BYTES) return undefined
    const { bytes } = memory
    const length = bytes[at + 3]! * 256 + bytes[at + 4]!
    if (length > MAX_CIPHER_BYTES) throw new RecordError(22, 'a record is longer than TLS allows')
    if (end - at < HEADER_BYTES + length) return undefined
    const opened = this.#opened
    opened.start = at + HEADER_BYTES
    opened.bytes = 0
    opened.recordBytes = HEADER_BYTES + length
    opened.closed = false
    opened.wantsUpdate = false
    if (bytes[at] !== CONTENT.data || bytes[at + 1] !== 3) throw new RecordError(10, 'a record in the clear inside a sealed connection')
    if (length < TAG_BYTES + 1) throw new RecordError(20, 'a record is too short to be sealed')
    const cipher = length - TAG_BYTES
    const header = memory.address + BigInt(at)
    if (!this.#native.open(this.#key.context, this.#key.nonce(), header, AAD_BYTES, header + AAD_BYTES, BigInt(cipher))) {
      throw new RecordError(20, 'a record does not fit its key')
    }
    let last = opened.start + cipher - 1
    while (last >= opened.start && bytes[last] === 0) last--
    if (last < opened.start) throw new RecordError(10, 'a record without a content type')
    const size = last - opened.start
    if (size > RECORD_PLAIN_BYTES) throw new RecordError(22, 'a record holds more than TLS allows')
    const type = bytes[last]
    if (type === CONTENT.data) {
      if (this.#handshakeLeft > 0 || this.#handshakeHead.length > 0) throw new RecordError(10, 'data in the middle of a handshake message')
      opened.bytes = size
    } else if (type === CONTENT.alert) this.#alert(bytes, opened, size)
    else if (type === CONTENT.handshake) this.#handshake(bytes, opened, size)
    else throw new RecordError(10, 'a record of a type that has no place here')
    return opened
  }

  #alert(bytes: Buffer, opened: Opened, size: number): void {
    if (size !== 2) throw new RecordError(50, 'an alert of a wrong length')
    const code = bytes[opened.start + 1]!
    // user_canceled means nothing by itself: close_notify follows.
    if (code === 0) opened.closed = true
    else if (code !== 90) throw new RecordError(0, `the peer sent alert ${code}`)
  }

  /** Tickets are of no use to a connection that stays; a KeyUpdate is honoured. Anything else is refused. */
  #handshake(bytes: Buffer, opened: Opened, size: number): void {
    if (size === 0) throw new RecordError(10, 'an empty handshake record')
    let at = opened.start
    const end = opened.start + size
    while (at < end) {
      if (this.#handshakeLeft > 0) {
        const skipped = Math.min(this.#handshakeLeft, end - at)
        this.#handshakeLeft -= skipped
        at += skipped
        continue
      }
      this.#handshakeHead.push(bytes[at++]!)
      const [type, , high, low] = this.#handshakeHead
      if (this.#handshakeHead.length < 4) continue
      const length = high! * 256 + low!
      if (this.#handshakeHead[1] !== 0) throw new RecordError(50, 'a handshake message longer than any that may come')
      if (type === NEW_SESSION_TICKET) this.#handshakeLeft = length
      else if (type !== KEY_UPDATE || length !== 1) throw new RecordError(10, 'a handshake message that has no place here')
      else {
        if (this.#handshakeHead.length < 5) continue
        if (this.#handshakeHead[4]! > 1 || at !== end) throw new RecordError(10, 'a malformed KeyUpdate')
        opened.wantsUpdate = this.#handshakeHead[4] === 1
        this.#key.renew()
      }
      this.#handshakeHead = []
    }
  }

  get traffic(): { secret: Buffer; sequence: number } {
    return { secret: this.#key.secret, sequence: this.#key.sequence }
  }

  set sequence(sequence: number) {
    this.#key.sequence = sequence
  }

  free(): void {
    this.#key.free()
  }
}
