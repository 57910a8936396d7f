/**
 * The keys of a home, all from one seed of 32 bytes in `keys.json`: one file to back up, and a restored home is the same node.
 *
 *     seed --HKDF-SHA256--> byway/v1/wallet       secp256k1   holds and receives the money
 *                           byway/v1/node         Ed25519     names the node, signs its offers
 *                           byway/v1/tls          P-256       the certificate offers pin
 *                           byway/v1/network      Ed25519     names the node among those that spread offers (libp2p)
 *                           byway/v1/session/N    secp256k1   signs vouchers of root N; stolen, it costs that root at most
 *
 * The labels are part of the format: changing one changes who a node is.
 *
 * The passphrase comes from a file the owner names, from a systemd credential, or, so that a node starts without questions, from a file
 * beside keys.json that is made with it. That last one protects a copy of keys.json alone (a paste, a careless upload); it does not
 * protect against whoever can read the folder, its backups or its disk. No secret is ever shown by inspecting, printing or serialising.
 */
import { createECDH, createPrivateKey, createPublicKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { type Hex, toHex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { addressOf } from '../protocol/voucher.ts'
import { createFile, type Disk } from './disk.ts'
import { decryptSecret, encryptSecret, type ScryptCost } from './keystore.ts'
import type { HomePaths } from './paths.ts'

const SEED_BYTES = 32
const PASSPHRASE_BYTES = 32
/** A passphrase is a line; a file this large is something else. */
const MAX_PASSPHRASE_BYTES = 4096
/** systemd's LoadCredential=passphrase:/path */
const CREDENTIAL_NAME = 'passphrase'
const SECP256K1_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
/** 128 bits more than a scalar, so that reducing it modulo the order leaves no measurable bias (FIPS 186-5 A.2.1). */
const WIDE_BYTES = 48
/** RFC 8410: what stands before the 32 bytes of an Ed25519 private key in PKCS #8. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const HIDDEN = '[secret]'

/** A secp256k1 key: its address is public, its secret is only given on demand. */
export class SigningKey {
  readonly address: Hex
  readonly #secret: Uint8Array

  constructor(secret: Uint8Array) {
    this.#secret = secret
    this.address = addressOf(secret)
  }

  /** The 32 secret bytes. Pass them to a signer, keep them nowhere. */
  secret(): Uint8Array {
    return this.#secret
  }

  toJSON(): object {
    return { address: this.address, secret: HIDDEN }
  }

  [inspect.custom](): string {
    return `SigningKey(${this.address}, ${HIDDEN})`
  }
}

export class Keys {
  readonly wallet: SigningKey
  /** Ed25519. Its raw 32-byte public key is the name of the node. */
  readonly nodeKey: KeyObject
  readonly nodeId: Hex
  /** P-256. */
  readonly tlsKey: KeyObject
  readonly #seed: Uint8Array

  constructor(seed: Uint8Array) {
    this.#seed = Buffer.from(seed)
    this.wallet = new SigningKey(this.#scalar('wallet', SECP256K1_ORDER))
    this.nodeKey = createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, this.#derive('node', 32)]), format: 'der', type: 'pkcs8' })
    this.nodeId = toHex(Buffer.from(createPublicKey(this.nodeKey).export({ format: 'jwk' }).x ?? '', 'base64url'))
    this.tlsKey = p256Key(this.#scalar('tls', P256_ORDER))
  }

  /**
   * The wallet that pays at a place of a route (see consumer/places.ts): at the only hop of a route the owner's, at each other place one of its
   * own, so that two hops cannot tell by their payer that they serve the same consumer.
   */
  payer(place: number): SigningKey {
    return place === 0 ? this.wallet : new SigningKey(this.#scalar(`payer/${place}`, SECP256K1_ORDER))
  }

  /** Signs the vouchers of one root of a payer: the one whose `root-planned` record has this `signerNonce`. */
  sessionKey(nonce: bigint, place = 0): SigningKey {
    return new SigningKey(this.#scalar(place === 0 ? `session/${nonce}` : `session/${place}/${nonce}`, SECP256K1_ORDER))
  }

  /** A number in [0, 1) that only this owner can tell, and that stays: where a node stands in the order of entries of routes. */
  turnOf(nodeKey: Hex): number {
    return this.#derive(`turn/${nodeKey}`, 6).readUIntBE(0, 6) / 2 ** 48
  }

  /** What the key follows from that names this node in the network of offers: a thread that strangers talk to is trusted with no other. */
  networkSeed(): Uint8Array {
    return this.#derive('network', 32)
  }

  toJSON(): object {
    return { wallet: this.wallet.address, nodeId: this.nodeId, seed: HIDDEN }
  }

  [inspect.custom](): string {
    return `Keys(${this.wallet.address}, ${HIDDEN})`
  }

  #derive(label: string, length: number): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#seed, new Uint8Array(), `byway/v1/${label}`, length))
  }

  /** A number from 1 to order - 1. */
  #scalar(label: string, order: bigint): Buffer {
    const scalar = (BigInt(toHex(this.#derive(label, WIDE_BYTES))) % (order - 1n)) + 1n
    return Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex')
  }
}

function p256Key(scalar: Buffer): KeyObject {
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(scalar)
  const point = curve.getPublicKey()
  const [x, y, d] = [point.subarray(1, 33), point.subarray(33), scalar].map((bytes) => bytes.toString('base64url'))
  return createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: d! }, format: 'jwk' })
}

export interface KeySource {
  disk: Disk
  paths: Pick<HomePaths, 'home' | 'keys' | 'passphrase' | 'journal'>
  /** File with the passphrase, as the owner named it; or undefined. */
  passphraseFile?: string | undefined
  env: Readonly<Record<string, string | undefined>>
  random?: (bytes: number) => Uint8Array
  /** Of new files; only tests lower it. */
  cost?: ScryptCost
}

/** The keys of a home; makes them the first time. KEYS_UNREADABLE when they cannot be opened. */
export async function openKeys(source: KeySource): Promise<Keys> {
  const { disk, paths } = source
  const existing = await disk.read(paths.keys)
  if (existing !== undefined) return new Keys(await decryptSecret(existing, await findPassphrase(source)))
  // New keys could never sign for what the journal promises: better to say so than to start a stranger on its money.
  if ((await disk.read(paths.journal)) !== undefined) {
    throw new BywayError('KEYS_UNREADABLE', `${paths.keys} is missing, but a journal is beside it`, {
      facts: { path: paths.keys },
      hint: 'restore keys.json from a backup, or name another folder with --home to begin anew',
    })
  }
  return createKeys(source)
}

async function createKeys(source: KeySource): Promise<Keys> {
  const { disk, paths, random = randomBytes } = source
  await disk.makeFolder(paths.home)
  // First the passphrase, then what it opens: after a crash in between, the next start finds and uses it.
  const passphrase = await findPassphrase(source, Buffer.from(random(PASSPHRASE_BYTES)).toString('base64url'))
  const seed = random(SEED_BYTES)
  const made = await createFile(disk, paths.keys, Buffer.from(await encryptSecret(seed, passphrase, source.cost)))
  // Another process was faster: its keys are the keys.
  return made ? new Keys(seed) : openKeys(source)
}

/** The passphrase from the first place that has one; `fresh` is put beside keys.json when none has. */
async function findPassphrase({ disk, paths, passphraseFile, env }: KeySource, fresh?: string): Promise<string> {
  const named = passphraseFile ?? (env.CREDENTIALS_DIRECTORY && join(env.CREDENTIALS_DIRECTORY, CREDENTIAL_NAME))
  const content = await disk.read(named || paths.passphrase)
  if (content !== undefined) return passphraseIn(content, named || paths.passphrase)
  if (passphraseFile !== undefined || fresh === undefined) throw noPassphrase(named || paths.passphrase, 'it does not exist')
  await createFile(disk, paths.passphrase, Buffer.from(`${fresh}\n`))
  return passphraseIn((await disk.read(paths.passphrase)) ?? Buffer.alloc(0), paths.passphrase)
}

/** The content without the newline an editor leaves. */
export function passphraseIn(content: Buffer, path: string): string {
  const text = content.toString().replace(/\r?\n$/, '')
  if (text.length === 0 || content.length > MAX_PASSPHRASE_BYTES) throw noPassphrase(path, 'it is empty or too large')
  return text
}

function noPassphrase(path: string, why: string): BywayError {
  return new BywayError('KEYS_UNREADABLE', `the passphrase file ${path} cannot be used: ${why}`, {
    facts: { path },
    hint: `name the file that holds the passphrase of ${dirname(path)} with --passphrase-file`,
  })
}
