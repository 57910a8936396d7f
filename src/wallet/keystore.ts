/**
 * A secret in a file: Web3 Secret Storage version 3, as every Ethereum tool writes it (scrypt or PBKDF2, AES-128-CTR, a keccak MAC).
 *
 * `ox` knows the format; the slow part is done by the scrypt inside Node, off the main thread and twenty times faster. A file may come from
 * anywhere, so its cost parameters are checked before anything is computed or allocated.
 */
import { pbkdf2, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import * as Keystore from 'ox/Keystore'
import { z } from 'zod'
import { type Hex, toHex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'

const SECRET_BYTES = 32
/** What we write. 128 MiB and about 0.4 s: above OWASP's floor for scrypt, and affordable on a Raspberry Pi. */
const SCRYPT: ScryptCost = { n: 2 ** 17, r: 8, p: 1 }
/** Most memory a foreign file may ask for: twice what geth writes (n = 2^18, r = 8). */
const MAX_SCRYPT_MEMORY_BYTES = 512 * 1024 * 1024
/** Most work it may ask for, n x r x p: eight times ours. */
const MAX_SCRYPT_WORK = 2 ** 23
/** About 3 s; files in the wild say 262,144. */
const MAX_PBKDF2_ROUNDS = 10_000_000
/** A keystore of 32 bytes has under 1 KiB. */
const MAX_FILE_BYTES = 16 * 1024

const scryptAsync = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt)
const pbkdf2Async = promisify(pbkdf2)

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`))
const anyHex = z.string().regex(/^([0-9a-fA-F]{2}){0,128}$/)
const count = z.number().int().positive()
const powerOfTwo = count.refine((n) => n > 1 && Number.isInteger(Math.log2(n)))

const kdf = z.discriminatedUnion('kdf', [
  z.object({ kdf: z.literal('scrypt'), kdfparams: z.object({ dklen: z.literal(32), n: powerOfTwo, r: count, p: count, salt: anyHex }) }),
  z.object({
    kdf: z.literal('pbkdf2'),
    kdfparams: z.object({ dklen: z.literal(32), c: count.max(MAX_PBKDF2_ROUNDS), prf: z.literal('hmac-sha256'), salt: anyHex }),
  }),
])

const keystore = z.object({
  version: z.literal(3),
  id: z.string(),
  crypto: z
    .object({ cipher: z.literal('aes-128-ctr'), ciphertext: hex(SECRET_BYTES), cipherparams: z.object({ iv: hex(16) }), mac: hex(32) })
    .and(kdf),
})
type KeystoreFile = z.output<typeof keystore>

export interface ScryptCost {
  n: number
  r: number
  p: number
}

/** Encrypts a 32-byte secret. `cost` is lowered by tests alone. */
export async function encryptSecret(secret: Uint8Array, passphrase: string, cost: ScryptCost = SCRYPT): Promise<string> {
  const kdfparams = { dklen: 32, ...cost, salt: randomBytes(32).toString('hex') } as const
  const key = await deriveKey({ kdf: 'scrypt', kdfparams }, passphrase)
  return `${JSON.stringify(Keystore.encrypt(secret, key, { kdf: 'scrypt', kdfparams, iv: randomBytes(16) }), undefined, 2)}\n`
}

/** Decrypts a keystore file. KEYS_UNREADABLE when it is none, asks for too much, was changed, or the passphrase is another. */
export async function decryptSecret(file: string | Uint8Array, passphrase: string): Promise<Uint8Array> {
  const parsed = parse(file)
  const key = await deriveKey(parsed.crypto, passphrase)
  try {
    return Keystore.decrypt(parsed as Keystore.Keystore, key, { as: 'Bytes' })
  } catch {
    // The library's error says only "corrupt keystore"; a MAC cannot tell a wrong passphrase from a changed file.
    throw unreadable('the passphrase is not the one it was made with, or the file was changed')
  }
}

function parse(file: string | Uint8Array): KeystoreFile {
  if (file.length > MAX_FILE_BYTES) throw unreadable('it is too large for a keystore')
  let json: unknown
  try {
    json = JSON.parse(typeof file === 'string' ? file : Buffer.from(file).toString())
  } catch {
    throw unreadable('it is not JSON') // The parser's message would quote the file.
  }
  const result = keystore.safeParse(json)
  if (!result.success) throw unreadable(`${result.error.issues[0]?.path.join('.') || 'it'} is not as Web3 Secret Storage 3 has it`)
  return result.data
}

async function deriveKey(crypto: z.output<typeof kdf>, passphrase: string): Promise<Hex> {
  const salt = Buffer.from(crypto.kdfparams.salt, 'hex')
  if (crypto.kdf === 'pbkdf2') return toHex(await pbkdf2Async(passphrase, salt, crypto.kdfparams.c, 32, 'sha256'))
  const { n, r, p, dklen } = crypto.kdfparams
  const memory = 128 * r * (n + p + 2)
  if (memory > MAX_SCRYPT_MEMORY_BYTES || n * r * p > MAX_SCRYPT_WORK)
    throw unreadable(`its scrypt cost (n ${n}, r ${r}, p ${p}) is absurd`)
  // RFC 7914 wants n < 2^(16 r) and OpenSSL insists; the test vector of the keystore's own definition does not comply (n = 2^18, r = 1).
  if (n >= 2 ** (16 * r)) return slowScrypt(crypto, passphrase)
  return toHex(await scryptAsync(passphrase, salt, dklen, { N: n, r, p, maxmem: 2 * memory }))
}

async function slowScrypt(crypto: z.output<typeof kdf>, passphrase: string): Promise<Hex> {
  const key = await Keystore.toKeyAsync({ crypto } as Keystore.Keystore, { password: passphrase })
  return typeof key === 'function' ? key() : key
}

function unreadable(why: string): BywayError {
  return new BywayError('KEYS_UNREADABLE', `the key file cannot be opened: ${why}`, {
    hint: 'check the passphrase (--passphrase-file, or the file `passphrase` beside keys.json), or restore keys.json from a backup',
  })
}
