/** The TLS certificate of a node: self-signed over its TLS key. Peers pin the key, so nothing else in it matters. */
import { createHash, createPublicKey, type KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
// @peculiar/x509 resolves its parts through decorators' metadata, which this import provides.
import 'reflect-metadata'
import { cryptoProvider, X509CertificateGenerator } from '@peculiar/x509'
import { type Hex, toHex } from '../protocol/bytes.ts'

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

/** Makes the certificate for a P-256 private key. The key lasts, the certificate is made anew at each start. */
export async function createCertificate(tlsKey: KeyObject, now: Date): Promise<Certificate> {
  cryptoProvider.set(webcrypto as never)
  const pkcs8 = tlsKey.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(tlsKey).export({ type: 'spki', format: 'der' })
  const privateKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, false, ['sign'])
  const publicKey = await webcrypto.subtle.importKey('spki', spki, ALGORITHM, true, ['verify'])
  const notAfter = new Date(now)
  notAfter.setUTCFullYear(now.getUTCFullYear() + VALID_YEARS)
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys: { privateKey, publicKey } as never,
    // Clocks differ: a certificate that starts a day ago is valid for everyone at once.
    notBefore: new Date(now.getTime() - 86_400_000),
    notAfter,
    signingAlgorithm: ALGORITHM,
    serialNumber: randomBytes(16).toString('hex'),
  })
  return { cert: certificate.toString('pem'), key: tlsKey.export({ type: 'pkcs8', format: 'pem' }) as string, pin: pinOf(spki) }
}

/** Pin of a SubjectPublicKeyInfo (DER) or of a certificate. */
export function pinOf(key: Uint8Array | X509Certificate): Hex {
  const spki = key instanceof X509Certificate ? key.publicKey.export({ type: 'spki', format: 'der' }) : key
  return toHex(createHash('sha256').update(spki).digest())
}
