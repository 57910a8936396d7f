/**
 * What the contracts cost: gas of real transactions on a local anvil, payout included.
 *
 *     node bench/gas.ts           one line each: `name GAS`
 *     node bench/gas.ts --json    one object
 *
 * Steady state is measured: every slot a transaction writes already holds something (payee and contract hold dollars, the payer keeps
 * some, allowances are infinite), except for what a line is there to create. `-10` and `-100` are that many payers' vouchers for one
 * payee in one transaction, divided by their number. The tree has 1,000 leaves (depth 10); steady claims do not depend on it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Address,
  concatHex,
  createTestClient,
  type Hex,
  http,
  keccak256,
  maxUint256,
  numberToHex,
  parseSignature,
  publicActions,
  signatureToCompactSignature,
  slice,
  type TransactionReceipt,
  toBytes,
  toHex,
  walletActions,
  zeroAddress,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { channelsAbi, channelsBytecode, dollarAbi, dollarBytecode, parametersAbi, parametersBytecode } from '../src/chain/abi.ts'
import { buildTree } from '../src/protocol/tree.ts'
import { DOMAIN_NAME, DOMAIN_VERSION, domainSeparator, rootIdOf, signDigest, voucherDigest } from '../src/protocol/voucher.ts'

const PAYERS = 100
const LEAVES = 1_000
const PAYEE_INDEX = 500
const CAP = 50_000n // five cents: what a consumer puts behind one of many providers
const TICK = 1_234n // units by which each voucher exceeds the last
const GRACE_S = 172_800n
const LIFETIME_S = 28 * 86_400
const LOOK_EVERY_MS = 5
const START_S = 1_800_000_000 // a fixed clock gives fixed root ids, hence the same gas in every run

const payeeKey = keyOf('payee')
const payee = privateKeyToAccount(payeeKey)

/** Keys that are the same in every run, so that the numbers are too (a zero byte in a signature saves 12 gas). */
function keyOf(name: string): Hex {
  return keccak256(toHex(`byway/bench/${name}`))
}

/** Starts anvil itself, not its launcher: the launcher does not pass signals on, and the process would outlive us. */
async function startAnvil(): Promise<{ anvil: ChildProcess; url: string }> {
  const require = createRequire(import.meta.url)
  const arch = process.arch === 'x64' ? 'amd64' : process.arch
  const home = dirname(require.resolve(`@foundry-rs/anvil-${process.platform}-${arch}/package.json`))
  const flags = ['--port', '0', '--hardfork', 'osaka', '--accounts', String(PAYERS + 1), '--timestamp', String(START_S)]
  const anvil = spawn(join(home, 'bin', 'anvil'), flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  const address = await new Promise<string>((resolve, reject) => {
    let seen = ''
    anvil.stdout.on('data', (chunk) => {
      seen += chunk
      const match = /Listening on (\S+)/.exec(seen)
      if (match) resolve(match[1]!)
    })
    anvil.once('error', reject)
    anvil.once('exit', (code) => reject(new Error(`anvil left with code ${code}:\n${seen}`)))
  })
  return { anvil, url: `http://${address}` }
}

async function measure(url: string): Promise<Record<string, number>> {
  const chain = createTestClient({ mode: 'anvil', chain: foundry, transport: http(url) })
    .extend(publicActions)
    .extend(walletActions)
  const [operator, ...payers] = (await chain.getAddresses()) as [Address, ...Address[]]

  /** By asking: this chain makes a block for each transaction, and who begins to watch blocks after that one waits for a next for ever. */
  async function mined(hash: Hex): Promise<TransactionReceipt> {
    for (;;) {
      const receipt = await chain.getTransactionReceipt({ hash }).catch((error: Error) => {
        if (error.name !== 'TransactionReceiptNotFoundError') throw error
        return undefined
      })
      if (receipt !== undefined) return receipt
      await delay(LOOK_EVERY_MS)
    }
  }
  /** Waits for a transaction and returns its gas; a reverted one is a broken benchmark. */
  async function gasOf(sent: Promise<Hex>): Promise<number> {
    const receipt = await mined(await sent)
    if (receipt.status !== 'success') throw new Error(`transaction ${receipt.transactionHash} reverted`)
    return Number(receipt.gasUsed)
  }
  async function deployed(sent: Promise<Hex>): Promise<Address> {
    const { contractAddress } = await mined(await sent)
    if (!contractAddress) throw new Error('a contract was not deployed')
    return contractAddress
  }

  const dollar = await deployed(chain.deployContract({ account: operator, abi: dollarAbi, bytecode: dollarBytecode }))
  const parameters = await deployed(
    chain.deployContract({ account: operator, abi: parametersAbi, bytecode: parametersBytecode, args: [operator, zeroAddress] }),
  )
  const address = await deployed(
    chain.deployContract({
      account: operator,
      abi: channelsAbi,
      bytecode: channelsBytecode,
      args: [dollar, GRACE_S, parameters, operator],
    }),
  )
  const channels = { address, abi: channelsAbi } as const
  const separator = domainSeparator({ chainId: foundry.id, channels: address })

  // --- One tree for every payer; the payee is leaf 500. ---
  const leaves = Array.from({ length: LEAVES }, (_, i) => ({
    payee: i === PAYEE_INDEX ? payee.address : slice(keyOf(`payee/${i}`), 12),
    cap: CAP,
    salt: keyOf(`salt/${i}`),
  }))
  const tree = buildTree(leaves)
  const proof = tree.proof(PAYEE_INDEX)
  const expiry = START_S + LIFETIME_S
  const books = payers.map((payer, i) => {
    const signer = privateKeyToAccount(keyOf(`signer/${i}`)).address
    const descriptor = { payer, signer, root: tree.root, sum: tree.sum, expiry, depth: tree.depth, nonce: 1n }
    return {
      key: toBytes(keyOf(`signer/${i}`)),
      payer,
      rootId: rootIdOf(descriptor),
      descriptor: { ...descriptor, expiry: BigInt(expiry) },
    }
  })
  type Book = (typeof books)[number]

  const activations = (some: readonly Book[]) =>
    some.map(({ descriptor }) => ({
      descriptor,
      index: PAYEE_INDEX,
      cap: CAP,
      salt: proof.salt,
      siblingHashes: proof.siblings.map((sibling) => sibling.hash),
      siblingSums: proof.siblings.map((sibling) => sibling.sum),
    }))
  const vouchers = (some: readonly Book[], cumulative: bigint) =>
    concatHex(
      some.map(({ rootId, key }) => {
        const digest = voucherDigest(separator, { rootId, index: PAYEE_INDEX, payee: payee.address, cumulative })
        return concatHex([rootId, numberToHex(PAYEE_INDEX, { size: 4 }), numberToHex(cumulative, { size: 12 }), signDigest(digest, key)])
      }),
    )
  const send = { ...channels, account: operator }
  const claim = (some: readonly Book[], cumulative: bigint, first = false) =>
    gasOf(
      chain.writeContract({
        ...send,
        functionName: 'claim',
        args: [payee.address, first ? activations(some) : [], vouchers(some, cumulative)],
      }),
    )
  async function claimFor(some: readonly Book[], cumulative: bigint): Promise<number> {
    const packed = vouchers(some, cumulative)
    const order = { fee: 100n, submitter: operator, deadline: BigInt(expiry) }
    const signature = await payee.signTypedData({
      domain: { name: DOMAIN_NAME, version: DOMAIN_VERSION, chainId: foundry.id, verifyingContract: address },
      types: {
        FeeOrder: [
          { name: 'payee', type: 'address' },
          { name: 'claimsHash', type: 'bytes32' },
          { name: 'submitter', type: 'address' },
          { name: 'fee', type: 'uint96' },
          { name: 'deadline', type: 'uint64' },
        ],
      },
      primaryType: 'FeeOrder',
      message: { payee: payee.address, claimsHash: keccak256(packed), ...order },
    })
    const { r, yParityAndS } = signatureToCompactSignature(parseSignature(signature))
    return gasOf(chain.writeContract({ ...send, functionName: 'claimFor', args: [payee.address, [], packed, order, r, yParityAndS] }))
  }

  // --- Everybody who will receive or pay dollars holds some already. ---
  const mint = (to: Address) =>
    chain.writeContract({ address: dollar, abi: dollarAbi, account: operator, functionName: 'mint', args: [to, 1_000_000_000n] })
  for (const holder of [operator, payee.address, address, ...payers]) await gasOf(mint(holder))
  for (const payer of payers) {
    const args = [address, maxUint256] as const
    await gasOf(chain.writeContract({ address: dollar, abi: dollarAbi, account: payer, functionName: 'approve', args }))
  }

  const gas: Record<string, number> = {}
  for (const { payer, descriptor } of books) {
    gas['open-1000'] = await gasOf(chain.writeContract({ ...channels, account: payer, functionName: 'open', args: [descriptor] }))
  }
  const [one, ten, rest] = [books.slice(0, 1), books.slice(1, 11), books.slice(11)]
  gas['claim-first'] = await claim(one, TICK, true)
  const firstOfTen = (await claim(ten, TICK, true)) / ten.length
  const firstOfRest = (await claim(rest, TICK, true)) / rest.length
  gas['claim-1'] = await claim(one, 2n * TICK)
  gas['claim-10'] = (await claim(ten, 2n * TICK)) / ten.length
  await claim(rest, 2n * TICK)
  gas['claim-100'] = (await claim(books, 3n * TICK)) / books.length

  gas['claim-first-10'] = firstOfTen
  gas[`claim-first-${rest.length}`] = firstOfRest
  gas['claimFor-1'] = await claimFor(one, 4n * TICK)
  await claim(books.slice(1), 4n * TICK)
  gas['claimFor-100'] = (await claimFor(books, 5n * TICK)) / books.length

  await chain.increaseTime({ seconds: LIFETIME_S + Number(GRACE_S) })
  const close = (book: Book, listed: { index: number; payee: Address }[]) =>
    gasOf(chain.writeContract({ ...send, functionName: 'close', args: [book.descriptor, listed] }))
  gas['close-root-only'] = await close(books[0]!, [])
  gas['close-1-channel'] = await close(books[1]!, [{ index: PAYEE_INDEX, payee: payee.address }])
  return Object.fromEntries(Object.entries(gas).map(([name, value]) => [name, Math.ceil(value)]))
}

const { anvil, url } = await startAnvil()
try {
  const gas = await measure(url)
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(gas, null, 2)}\n`)
  else for (const [name, value] of Object.entries(gas)) process.stdout.write(`${name} ${value}\n`)
} finally {
  anvil.kill('SIGTERM')
}
