/** `byway deploy` on a chain that is nobody's devnet: a key from a keystore, terms from a file, and a node that finds its way by the result. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { ETHER, startAnvil, walletFromKey } from '../../src/chain/index.ts'
import { encryptSecret } from '../../src/wallet/keystore.ts'
import { byway } from '../crash/main.ts'
import { NodeProcess } from '../crash/process.ts'
import { temporaryFolder } from '../support/folders.ts'

const CHAIN_ID = 7_777
const SOMEBODY = `0x${'5b'.repeat(20)}`
/** Weak, because nothing of worth is behind it. */
const CHEAP = { n: 2 ** 10, r: 8, p: 1 }

interface Deployed {
  sent: number
  contracts: { channels: string; dollar: string; vaults: Record<string, string> }
  readings: { right: boolean }[]
}

test('deploys by a key, says what is on chain, and every command can use the file', async (t) => {
  const folder = temporaryFolder()
  const anvil = await startAnvil({ chainId: CHAIN_ID })
  t.after(() => anvil.stop())
  const key = randomBytes(32)
  const wallet = walletFromKey(key)
  const file = (name: string) => join(folder, name)
  await writeFile(file('key.json'), await encryptSecret(key, 'open sesame', CHEAP))
  await writeFile(file('passphrase'), 'open sesame\n')
  const terms = (dollars = 'dollars = []') =>
    `guardian = "${SOMEBODY}"\nholder = "${SOMEBODY}"\n${dollars}\nregions = ["de", "us"]\nepoch-s = 3600\n`
  await writeFile(file('terms.toml'), terms())
  const args = ['deploy', '--json', '--home', folder, '--rpc', anvil.url, '--chain-id', `${CHAIN_ID}`]
  const files = ['--keystore', file('key.json'), '--terms', file('terms.toml'), '--contracts', file('contracts.json')]
  const run = async (passphrase = 'passphrase') => {
    const { status, stdout } = await byway([...args, ...files, '--passphrase-file', file(passphrase)])
    return { status, said: JSON.parse(stdout.trim().split('\n').at(-1)!) as Deployed & { code?: string } }
  }

  assert.equal((await run()).said.code, 'WALLET_EMPTY', 'without gas nothing happens')
  await anvil.rpc.request(z.unknown(), 'anvil_setBalance', [wallet.address, `0x${ETHER.toString(16)}`])
  const first = await run()
  assert.equal(first.status, 0)
  assert.deepEqual(Object.keys(first.said.contracts.vaults), ['de', 'us'])
  assert.ok(first.said.sent > 20 && first.said.readings.length > 80)
  assert.ok(first.said.readings.every(({ right }) => right))
  const again = await run()
  assert.deepEqual([again.said.sent, again.said.contracts], [0, first.said.contracts], 'a second time finds everything there')

  const node = new NodeProcess('provider', 'share', join(folder, 'provider'), {})
  t.after(() => node.kill())
  await node.configure({ rpc: [anvil.url], contracts: file('contracts.json'), port: 0, offers: file('offers') })
  node.start()
  await node.ready()
  const [line = ''] = (await readFile(node.journal, 'utf8')).split('\n')
  const genesis = JSON.parse(line.slice(line.indexOf('{'))) as Record<string, unknown>
  const { channels, dollar } = first.said.contracts
  assert.deepEqual([genesis.chainId, genesis.channels, genesis.token], [CHAIN_ID, channels, dollar])

  // What is not said is not guessed.
  await writeFile(file('terms.toml'), terms(''))
  assert.equal((await run()).said.code, 'SETTING_INVALID')
  await writeFile(file('terms.toml'), `deployer = "${SOMEBODY}"\n${terms()}`)
  assert.equal((await run()).said.code, 'SETTING_INVALID', 'another key would mean other addresses')
  await writeFile(file('wrong'), 'open')
  assert.equal((await run('wrong')).said.code, 'KEYS_UNREADABLE')
})
