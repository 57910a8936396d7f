import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as Keystore from 'ox/Keystore'
import { decryptSecret, encryptSecret } from './keystore.ts'

/** The test vectors of the Web3 Secret Storage Definition, version 3. */
const VECTOR_SECRET = '7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d'
const SCRYPT_VECTOR = {
  crypto: {
    cipher: 'aes-128-ctr',
    cipherparams: { iv: '83dbcc02d8ccb40e466191a123791e0e' },
    ciphertext: 'd172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c',
    kdf: 'scrypt',
    kdfparams: { dklen: 32, n: 262144, r: 1, p: 8, salt: 'ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19' },
    mac: '2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097',
  },
  id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
  version: 3,
}
const PBKDF2_VECTOR = {
  ...SCRYPT_VECTOR,
  crypto: {
    cipher: 'aes-128-ctr',
    cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' },
    ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46',
    kdf: 'pbkdf2',
    kdfparams: { c: 262144, dklen: 32, prf: 'hmac-sha256', salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd' },
    mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2',
  },
}
const PASSWORD = 'testpassword'

/** A valid file that costs next to nothing to open. */
function cheapFile(): {
  file: Record<string, unknown> & { crypto: Record<string, unknown> & { kdfparams: Record<string, unknown> } }
  text: string
} {
  const [key, options] = Keystore.scrypt({ password: PASSWORD, n: 2, r: 1, p: 1, iv: new Uint8Array(16) })
  const file = JSON.parse(JSON.stringify(Keystore.encrypt(`0x${VECTOR_SECRET}`, key, options)))
  return { file, text: JSON.stringify(file) }
}

const opened = async (file: unknown, passphrase = PASSWORD) =>
  Buffer.from(await decryptSecret(JSON.stringify(file), passphrase)).toString('hex')

suite('keystore', () => {
  test('opens the official vectors, scrypt and PBKDF2', async () => {
    assert.equal(await opened(SCRYPT_VECTOR), VECTOR_SECRET)
    assert.equal(await opened(PBKDF2_VECTOR), VECTOR_SECRET)
  })

  test('what it writes others can open, at the cost it promises', async () => {
    const secret = Buffer.alloc(32, 9)
    const text = await encryptSecret(secret, 'correct horse')
    assert.deepEqual(Buffer.from(await decryptSecret(text, 'correct horse')), secret)
    const file = JSON.parse(text)
    assert.deepEqual(
      [file.version, file.crypto.kdf, file.crypto.kdfparams.n, file.crypto.kdfparams.r, file.crypto.kdfparams.p],
      [3, 'scrypt', 2 ** 17, 8, 1],
    )
    assert.equal(Keystore.decrypt(file, Keystore.toKey(file, { password: 'correct horse' })), `0x${secret.toString('hex')}`)
    assert.ok(!text.includes(secret.toString('hex')))
  })

  test('refuses another passphrase, and shows neither secret nor passphrase', async () => {
    const { file } = cheapFile()
    assert.equal(await opened(file), VECTOR_SECRET)
    await assert.rejects(opened(file, 'hunter2'), (error: { code: string; message: string; stack: string }) => {
      assert.equal(error.code, 'KEYS_UNREADABLE')
      const shown = JSON.stringify(error) + String(error.stack)
      return !shown.includes('hunter2') && !shown.includes(VECTOR_SECRET)
    })
  })

  test('refuses each flipped byte of mac, salt and ciphertext', async () => {
    const { file } = cheapFile()
    const params = file.crypto.kdfparams
    for (const [holder, field] of [
      [file.crypto, 'mac'],
      [file.crypto, 'ciphertext'],
      [params, 'salt'],
    ] as const) {
      const original = String(holder[field])
      for (let at = 0; at < original.length; at += 2) {
        holder[field] =
          original.slice(0, at) +
          (Number.parseInt(original.slice(at, at + 2), 16) ^ 1).toString(16).padStart(2, '0') +
          original.slice(at + 2)
        await assert.rejects(opened(file), { code: 'KEYS_UNREADABLE' }, `${field} at ${at}`)
      }
      holder[field] = original
    }
    assert.equal(await opened(file), VECTOR_SECRET)
  })

  test('refuses absurd costs before it allocates or computes anything', async () => {
    const { file } = cheapFile()
    const before = process.memoryUsage().rss
    const absurd = [
      { n: 2 ** 30, r: 8, p: 1 },
      { n: 2 ** 20, r: 8, p: 1 },
      { n: 2, r: 2 ** 30, p: 1 },
      { n: 2, r: 1, p: 2 ** 30 },
      { n: 2 ** 18, r: 1, p: 64 },
      { n: 2 ** 52, r: 2 ** 20, p: 2 ** 20 },
      { n: Number.MAX_SAFE_INTEGER, r: 1, p: 1 },
      { n: 3, r: 1, p: 1 },
      { n: 0, r: 1, p: 1 },
      { n: 1, r: 1, p: 1 },
      { n: -2, r: 1, p: 1 },
      { n: 2.5, r: 1, p: 1 },
      { n: '2', r: 1, p: 1 },
      { n: 2, r: 1, p: 1, dklen: 2 ** 31 },
    ]
    for (const cost of absurd) {
      const changed = { ...file, crypto: { ...file.crypto, kdfparams: { ...file.crypto.kdfparams, ...cost } } }
      await assert.rejects(opened(changed), { code: 'KEYS_UNREADABLE' }, JSON.stringify(cost))
    }
    const slow = { ...PBKDF2_VECTOR, crypto: { ...PBKDF2_VECTOR.crypto, kdfparams: { ...PBKDF2_VECTOR.crypto.kdfparams, c: 2 ** 31 } } }
    await assert.rejects(opened(slow), { code: 'KEYS_UNREADABLE' })
    assert.ok(process.memoryUsage().rss - before < 100e6)
  })

  test('refuses what is no keystore, without quoting it', async () => {
    const { file, text } = cheapFile()
    const secret = 'S3CRET'
    for (const bad of [
      '',
      '{',
      secret,
      '[]',
      'null',
      '{"version":3}',
      text.slice(0, -5),
      text.replace('"version":3', '"version":1'),
      text.replace('aes-128-ctr', 'aes-128-cbc'),
      ' '.repeat(20_000),
    ]) {
      await assert.rejects(
        decryptSecret(bad, PASSWORD),
        (error: Error & { code: string }) => error.code === 'KEYS_UNREADABLE' && !error.message.includes(secret),
      )
    }
    await assert.rejects(opened({ ...file, crypto: { ...file.crypto, kdf: 'argon2' } }), { code: 'KEYS_UNREADABLE' })
  })
})
