/** Whether this machine's node:ffi and OpenSSL do what the fast path relies on. Throws with the first thing that is not so. */
import { createCipheriv, randomBytes } from 'node:crypto'
import { SUITES, trafficKey } from './keys.ts'
import { Loop } from './loop.ts'
import { ERRNO, type Native } from './native.ts'
import { Opener, Sealer, sealedBytes } from './records.ts'

const SIZES = [1, 1_000, 16_384, 40_000]

export function selfTest(native: Native): void {
  for (const suite of Object.keys(SUITES)) for (const bytes of SIZES) sealsLikeNode(native, suite, bytes)
  wakes(native)
  joins(native)
}

/** What is sealed here is, byte for byte, what node:crypto makes of it; and it opens again, but not when it was changed. */
function sealsLikeNode(native: Native, suite: string, bytes: number): void {
  const { hash, nodeCipher } = SUITES[suite]!
  const secret = randomBytes(hash === 'sha384' ? 48 : 32)
  const traffic = { suite, secret, sequence: 0 }
  const sealer = new Sealer(native, traffic)
  const opener = new Opener(native, traffic)
  const source = native.allocate(bytes + 1)
  source.bytes.set(randomBytes(bytes + 1))
  const target = native.allocate(sealedBytes(bytes))
  const made = sealer.seal(source, 0, bytes, target, 0)
  const first = Math.min(bytes, 16_384)
  const { key, iv } = trafficKey(SUITES[suite]!, secret)
  const cipher = createCipheriv(nodeCipher as 'aes-128-gcm', key, iv, { authTagLength: 16 })
  cipher.setAAD(target.bytes.subarray(0, 5), { plaintextLength: first + 1 })
  const expected = [cipher.update(source.bytes.subarray(0, first)), cipher.update(Buffer.from([23])), cipher.final(), cipher.getAuthTag()]
  if (!Buffer.concat(expected).equals(target.bytes.subarray(5, first + 22))) throw new Error(`${suite} seals wrongly`)
  let at = 0
  let opened = 0
  for (let record = opener.open(target, 0, made); record !== undefined; record = opener.open(target, at, made)) {
    if (!target.bytes.subarray(record.start, record.start + record.bytes).equals(source.bytes.subarray(opened, opened + record.bytes))) {
      throw new Error(`${suite} opens wrongly`)
    }
    at += record.recordBytes
    opened += record.bytes
  }
  if (opened !== bytes) throw new Error(`${suite} does not open what it sealed`)
  const again = sealer.seal(source, 0, 1, target, 0)
  target.bytes[5]! ^= 1
  let refused = false
  try {
    opener.open(target, 0, again)
  } catch {
    // As it should be.
    refused = true
  }
  if (!refused) throw new Error(`${suite} opens what was changed`)
  sealer.free()
  opener.free()
}

/** An eventfd ends a wait. */
function wakes(native: Native): void {
  const loop = new Loop(native)
  const fd = native.eventFd()
  let woken = 0
  loop.watchReadable(fd, {
    onEvents: () => {
      native.unsignal(fd)
      woken++
    },
  })
  native.signal(fd)
  loop.turn(1_000)
  loop.unwatch(fd)
  loop.end()
  native.close(fd)
  if (woken !== 1) throw new Error('epoll does not tell of an eventfd')
}

/** A socket pair carries bytes, says that it has no more, and that it ended. */
function joins(native: Native): void {
  const [a, b] = native.socketPair()
  const memory = native.allocate(16)
  memory.bytes.write('abc')
  const sent = native.send(a, memory.address, 3)
  const got = native.read(b, memory.address + 8n, 8)
  const nothing = native.read(b, memory.address, 8)
  native.shutdownWrite(a)
  const end = native.read(b, memory.address, 8)
  native.close(a)
  native.close(b)
  const right = sent === 3 && got === 3 && memory.bytes.toString('latin1', 8, 11) === 'abc' && nothing === -ERRNO.EAGAIN && end === 0
  if (!right) throw new Error('calls on sockets do not do what they should')
}
