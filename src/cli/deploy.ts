/**
 * `byway deploy`: puts all contracts on a chain, reads them back, and writes down where they are.
 *
 * Repeat it after whatever went wrong: what is there is found by its address, and only the rest is sent. The same key, terms and code always mean
 * the same addresses.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { parse } from 'smol-toml'
import {
  addressesText,
  createRpc,
  createTransactions,
  DEVNET_CHAIN_ID,
  deploy as deployPlan,
  type Plan,
  parseTerms,
  planOf,
  type Reading,
  type Rpc,
  readBack,
  type Terms,
  type Wallet,
  walletFromKey,
} from '../chain/index.ts'
import { BywayError } from '../protocol/errors.ts'
import { passphraseIn } from '../wallet/keys.ts'
import { decryptSecret } from '../wallet/keystore.ts'
import { counted } from './format.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'
import { type Env, loadSettings, required } from './resolve.ts'
import { keysOf } from './settings.ts'

/** Each contract is looked for again before the next one needs it, and a repetition finds what a reorganisation took. */
const CONFIRMATIONS = 1
/** A fraction of the fastest block time. */
const POLL_MS = 250

export async function deploy(command: Command, env: Env, output: Output): Promise<void> {
  const settings = await loadSettings(command, keysOf('deploy'), env)
  const { rpc: urls } = settings.values
  const chainId = required(settings, 'chainId')
  const file = required(settings, 'contracts')
  const termsFile = required(settings, 'terms')
  const wallet = await walletOf(required(settings, 'keystore'), required(settings, 'passphraseFile'))
  const terms = termsIn(await read(termsFile), termsFile, wallet.address)
  if (terms.deployer !== wallet.address) {
    throw new BywayError('SETTING_INVALID', 'the terms name another deployer than the key, so the addresses would be others', {
      facts: { deployer: terms.deployer, key: wallet.address },
      hint: 'open the keystore of that deployer, or leave the line out',
    })
  }
  if (terms.dollars.length === 0 && chainId !== DEVNET_CHAIN_ID) {
    output.note(
      output.style('yellow', 'warning: without `dollars` a test dollar is deployed, which anybody may mint: for test networks only'),
    )
  }
  const rpc = createRpc({ urls, chainId })
  const plan = planOf(terms)
  const sent = await carryOut(rpc, plan, wallet, output)
  const readings = await createProgress(output).step('reading everything back', () => readBack(rpc, plan))
  show(readings, output)
  const wrong = readings.filter(({ right }) => !right)
  if (wrong.length > 0) {
    const { contract, what, expected, found, address } = wrong[0]!
    throw new BywayError('CONTRACT_MISMATCH', `${contract} says another ${what} than the terms`, {
      facts: { address, expected: expected ?? 'within its bounds', found },
      hint: 'use none of these contracts',
    })
  }
  await writeFile(file, addressesText({ chainId, contracts: plan.contracts }))
  output.result({ chainId, deployer: wallet.address, sent, contracts: plan.contracts, readings, file }, () => {
    output.line()
    output.line(`${counted(readings.length, 'reading')} as the terms say; addresses are in ${file}`)
    output.line(`Use them: byway share --rpc URL --contracts ${file}`)
  })
}

/** Returns how many transactions it took. */
async function carryOut(rpc: Rpc, plan: Plan, wallet: Wallet, output: Output): Promise<number> {
  const transactions = createTransactions({ rpc, confirmations: CONFIRMATIONS, pollMs: POLL_MS })
  let sent = 0
  await createProgress(output).step('deploying', (detail) =>
    deployPlan(
      rpc,
      plan,
      async (doing, to, data, signal) => {
        await transactions.send(wallet, doing, async () => ({ to, data }), {}, signal)
        sent++
      },
      { progress: (name, done, all) => detail(`${name}, ${done} of ${all}`) },
    ),
  )
  return sent
}

function show(readings: readonly Reading[], output: Output): void {
  output.table(
    [{ title: 'contract' }, { title: 'address' }, { title: 'what' }, { title: 'on chain' }, { title: '' }],
    readings.map(({ contract, address, what, found, expected, right }) => [
      contract,
      address,
      what,
      found,
      right ? output.style('green', 'right') : output.style('red', `the terms say ${expected ?? 'within its bounds'}`),
    ]),
  )
}

async function walletOf(keystore: string, passphraseFile: string): Promise<Wallet> {
  return walletFromKey(await decryptSecret(await read(keystore), passphraseIn(await read(passphraseFile), passphraseFile)))
}

/** Terms are TOML; the deployer is whoever holds the key, and `dollars` is never left to a default. */
function termsIn(content: Buffer, path: string, deployer: string): Terms {
  let written: Record<string, unknown>
  try {
    written = parse(content.toString(), { integersAsBigInt: 'asNeeded', unsafeKeyBehaviour: 'throw', maxDepth: 4 })
  } catch (cause) {
    throw new BywayError('SETTING_INVALID', `${path} is not valid TOML`, { cause, facts: { path } })
  }
  return parseTerms({ deployer, ...(camelKeys(written) as object) })
}

/** `epoch-s` in the file is `epochS` here, as for every setting. */
function camelKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const entries = Object.entries(value).map(([key, item]) => [key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()), item])
  return Object.fromEntries(entries.map(([key, item]) => [key, camelKeys(item)]))
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new BywayError('SETTING_INVALID', `cannot read ${path}`, { cause, facts: { path }, hint: 'it must be a file that you may read' })
  }
}
