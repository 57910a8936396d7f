import assert from 'node:assert/strict'
import { createPublicKey, createSign, createVerify, sign, verify } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { inspect } from 'node:util'
import { addressOf, recoverSigner, signDigest } from '../protocol/voucher.ts'
import { realDisk } from './disk.ts'
import { FakeDisk, PowerCut } from './fake-disk.ts'
import { Keys, openKeys } from './keys.ts'
import { homePaths } from './paths.ts'

const SEED = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex')
const base = await mkdtemp(join(tmpdir(), 'byway-keys-'))
after(() => rm(base, { recursive: true }))
let homes = 0
const freshHome = () => homePaths(join(base, `home-${homes++}`))
const disk = realDisk()
const env = {}
/** Next to nothing: what these tests are about does not depend on it. */
const cost = { n: 2, r: 1, p: 1 }

/** Made once and never to be changed: other values mean that every node would become another one. */
const GOLDEN = {
  wallet: '0x78b5dce2ce7dc7e4b8508f04f85e20e4c49ac4a4',
  node: '0xbc2a04e1cff86c9953568f1689afd79af7da4e2dc39b1ff673c21da1eb4e2274',
  tls: '6_d9FIdbVQG89YOkrISrpoB3zDHTp6z3OzuV2nTERbE',
  session0: '0xd16f7845f2effa51af6da88562d223857e6994a7',
  session1: '0x84a20ec979b54d94c2c2b5e0d7c5e37380859536',
  payer3: '0x521a93bf3bc2a2a160715f3c2b17b64a3389e81b',
  turn: 0.4445841750014061,
}

suite('keys of a seed', () => {
  test('are the same for ever: the labels are part of the format', () => {
    const keys = new Keys(SEED)
    assert.deepEqual(
      {
        wallet: keys.wallet.address,
        node: keys.nodeId,
        tls: createPublicKey(keys.tlsKey).export({ format: 'jwk' }).x,
        session0: keys.sessionKey(0n).address,
        session1: keys.sessionKey(1n).address,
        payer3: keys.payer(3).address,
        turn: keys.turnOf(`0x${'11'.repeat(32)}`),
      },
      GOLDEN,
    )
  })

  test('sign, each in its own way', () => {
    const keys = new Keys(SEED)
    const digest = Buffer.alloc(32, 5)
    assert.equal(recoverSigner(digest, signDigest(digest, keys.wallet.secret())), keys.wallet.address)
    assert.equal(addressOf(keys.sessionKey(7n).secret()), keys.sessionKey(7n).address)
    const message = Buffer.from('an offer')
    assert.ok(verify(null, message, createPublicKey(keys.nodeKey), sign(null, message, keys.nodeKey)))
    assert.equal(keys.nodeId.length, 2 + 64)
    const signature = createSign('sha256').update(message).sign(keys.tlsKey)
    assert.ok(createVerify('sha256').update(message).verify(createPublicKey(keys.tlsKey), signature))
    assert.equal(keys.tlsKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  })

  test('differ from each other and from those of another seed', () => {
    const secrets = (seed: Uint8Array) => {
      const keys = new Keys(seed)
      return [keys.wallet, keys.sessionKey(0n), keys.sessionKey(1n), keys.sessionKey(2n ** 64n)].map((key) =>
        Buffer.from(key.secret()).toString('hex'),
      )
    }
    assert.equal(new Set([...secrets(SEED), ...secrets(Buffer.alloc(32, 1))]).size, 8)
  })

  test('are never shown', () => {
    const keys = new Keys(SEED)
    const session = keys.sessionKey(3n)
    const holder = { keys, wallet: keys.wallet, session, deep: { deeper: [keys, keys.nodeKey, keys.tlsKey] } }
    const shown = [
      JSON.stringify(holder),
      inspect(holder, { depth: 10, showHidden: true }),
      String(keys as unknown) + String(session as unknown),
      JSON.stringify(Object.entries(keys)),
    ].join('\n')
    const scalar = keys.tlsKey.export({ format: 'jwk' }).d!
    const nodeSecret = keys.nodeKey.export({ format: 'jwk' }).d!
    const secrets = [SEED, keys.wallet.secret(), session.secret(), Buffer.from(scalar, 'base64url'), Buffer.from(nodeSecret, 'base64url')]
    for (const secret of secrets) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) assert.ok(!shown.includes(Buffer.from(secret).toString(encoding)))
      assert.ok(
        !shown.includes([...secret].slice(0, 8).join(',')) &&
          !shown.includes(Buffer.from(secret).toString('hex').match(/../g)!.slice(0, 8).join(' ')),
      )
    }
    assert.ok(shown.includes(keys.wallet.address), 'what is public is shown')
  })
})

suite('keys of a home', () => {
  test('are made once, readable by their owner only, and opened again', async () => {
    const paths = freshHome()
    const made = await openKeys({ cost, disk, paths, env })
    const again = await openKeys({ cost, disk, paths, env })
    assert.equal(again.wallet.address, made.wallet.address)
    assert.equal(again.nodeId, made.nodeId)
    assert.deepEqual((await readdir(paths.home)).sort(), ['keys.json', 'passphrase'])
    for (const path of [paths.keys, paths.passphrase]) assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal(Buffer.from((await readFile(paths.passphrase, 'utf8')).trim(), 'base64url').length, 32)
    const other = await openKeys({ cost, disk, paths: freshHome(), env })
    assert.notEqual(other.wallet.address, made.wallet.address)
  })

  test('take the passphrase from the named file, then the systemd credential, then the file beside them', async () => {
    const paths = freshHome()
    const credentials = await mkdtemp(join(base, 'credentials-'))
    await writeFile(join(credentials, 'passphrase'), 'from systemd\n')
    const named = join(base, 'named')
    await writeFile(named, 'from the owner\r\n')
    const withSystemd = { CREDENTIALS_DIRECTORY: credentials }
    const made = await openKeys({ cost, disk, paths, env: withSystemd, passphraseFile: named })
    assert.deepEqual(await readdir(paths.home), ['keys.json'], 'the owner keeps the passphrase: none is left beside the keys')
    await assert.rejects(openKeys({ cost, disk, paths, env: withSystemd }), { code: 'KEYS_UNREADABLE' })
    await assert.rejects(openKeys({ cost, disk, paths, env }), { code: 'KEYS_UNREADABLE' })
    await writeFile(join(credentials, 'passphrase'), 'from the owner')
    assert.equal((await openKeys({ cost, disk, paths, env: withSystemd })).wallet.address, made.wallet.address)
    await assert.rejects(openKeys({ cost, disk, paths, env, passphraseFile: join(base, 'none') }), { code: 'KEYS_UNREADABLE' })
    for (const content of ['', '\n', 'x'.repeat(5_000)]) {
      await writeFile(named, content)
      await assert.rejects(openKeys({ cost, disk, paths, env, passphraseFile: named }), { code: 'KEYS_UNREADABLE' })
    }
  })

  test('are not made anew beside a journal: its money answers to the old ones', async () => {
    const paths = freshHome()
    await disk.makeFolder(paths.home)
    await writeFile(paths.journal, '')
    await assert.rejects(openKeys({ cost, disk, paths, env }), { code: 'KEYS_UNREADABLE', message: /missing/ })
    await rm(paths.journal)
    await openKeys({ cost, disk, paths, env })
  })

  test('two processes that start at once end with the same keys', async () => {
    const paths = freshHome()
    const [one, two] = await Promise.all([openKeys({ cost, disk, paths, env }), openKeys({ cost, disk, paths, env })])
    assert.equal(one.wallet.address, two.wallet.address)
    assert.equal((await openKeys({ cost, disk, paths, env })).wallet.address, one.wallet.address)
  })

  test('a power cut while they are made leaves none or all, and keys once given are kept', async () => {
    const paths = homePaths('/home')
    for (let cutAt = 0, done = false; !done; cutAt++) {
      const cut = new FakeDisk({ cutAt })
      const keys = await openKeys({ cost, disk: cut, paths, env }).catch((error) => assert.ok(error instanceof PowerCut))
      done = keys !== undefined
      for (const { files } of cut.survivors()) {
        const after = await openKeys({ cost, disk: new FakeDisk({}, files), paths, env })
        if (keys !== undefined) assert.equal(after.wallet.address, keys.wallet.address)
      }
    }
  })
})
