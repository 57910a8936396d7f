/**
 * The TLS certificate of a node. Peers pin its key, so nothing else in it matters to them; visitors see the name in it. It is self-signed over
 * the node's TLS key and bears the address the node is reached at, as home servers do, or it is the owner's own for a domain.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, webcrypto, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { type Hex, toHex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'

export interface Certificate {
  /** PEM. */
  cert: string
  key: string
  /** SHA-256 of the SubjectPublicKeyInfo: what offers carry. */
  pin: Hex
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
/** Offers expire within days; the certificate only has to outlive any daemon. */
const VALID_YEARS = 10

/** Makes the certificate for a P-256 private key and a name or address. It says the same after a restart, but for the signature. */
export async function createCertificate(tlsKey: KeyObject, now: Date, name = 'localhost'): Promise<Certificate> {
  const { BasicConstraintsExtension, cryptoProvider, SubjectAlternativeNameExtension, X509CertificateGenerator } = await loadX509()
  cryptoProvider.set(webcrypto as never)
  const pkcs8 = tlsKey.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(tlsKey).export({ type: 'spki', format: 'der' })
  const privateKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, false, ['sign'])
  const publicKey = await webcrypto.subtle.importKey('spki', spki, ALGORITHM, true, ['verify'])
  const notBefore = new Date(Date.UTC(now.getUTCFullYear() - 1, createHash('sha256').update(spki).digest()[16]! % 12, 1))
  const notAfter = new Date(notBefore)
  notAfter.setUTCFullYear(notBefore.getUTCFullYear() + VALID_YEARS)
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name] }],
    keys: { privateKey, publicKey } as never,
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    serialNumber: createHash('sha256').update(spki).digest('hex').slice(0, 32),
    extensions: [
      new BasicConstraintsExtension(false),
      new SubjectAlternativeNameExtension([{ type: isIP(name) === 0 ? 'dns' : 'ip', value: name }]),
    ],
  })
  return { cert: certificate.toString('pem'), key: tlsKey.export({ type: 'pkcs8', format: 'pem' }) as string, pin: pinOf(spki) }
}

/** Not before somebody makes a certificate: consumers only read them, and it takes 5 MB and a tenth of a second. */
async function loadX509() {
  // It resolves its parts through decorators' metadata, which this import provides.
  await import('reflect-metadata')
  return await import('@peculiar/x509')
}

/** The owner's own certificate (chain) and key, both PEM. SETTING_INVALID when they do not belong together. */
export function ownCertificate(cert: string, key: string): Certificate {
  const privateKey = readPem(() => createPrivateKey(key), '--tls-key')
  const leaf = readPem(() => new X509Certificate(cert), '--tls-cert')
  if (!leaf.checkPrivateKey(privateKey)) throw new BywayError('SETTING_INVALID', '--tls-key is not the key of --tls-cert')
  return { cert, key, pin: pinOf(leaf) }
}

function readPem<T>(read: () => T, flag: string): T {
  try {
    return read()
  } catch (cause) {
    throw new BywayError('SETTING_INVALID', `${flag} is no PEM file that can be read`, { cause })
  }
}

/** Pin of a SubjectPublicKeyInfo (DER) or of a certificate. */
export function pinOf(key: Uint8Array | X509Certificate): Hex {
  const spki = key instanceof X509Certificate ? key.publicKey.export({ type: 'spki', format: 'der' }) : key
  return toHex(createHash('sha256').update(spki).digest())
}
