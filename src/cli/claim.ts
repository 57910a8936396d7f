/**
 * `byway claim`: turns vouchers into dollars on chain. A running daemon claims itself; else this command opens the home and does it.
 *
 * A provider without gas writes an order (`--order`), which anyone with gas submits (`--submit`) for the fee the provider signed.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { callDaemon } from '../api/client.ts'
import { socketPath } from '../api/socket.ts'
import { asBywayError, BywayError } from '../protocol/errors.ts'
import type { ClaimResult } from '../provider/index.ts'
import { claimOrder, orderText, readOrder } from './claim-order.ts'
import { formatUsd } from './format.ts'
import { chainOf, type NodeHome, readHomes } from './homes.ts'
import { openNode } from './node.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'
import type { Env } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'
import { claimsOf } from './share.ts'

type Home = NodeHome<KeysOf<'claim'>>

/** A claim waits for its block and confirmations. */
const CLAIM_TIMEOUT_MS = 300_000

const units = z.string().transform(BigInt)
const claimAnswer = z.object({
  claims: z.array(
    z.object({ tx: z.string().transform((s) => s as `0x${string}`), vouchers: z.number(), amount: units, fee: units, burnt: units }),
  ),
})

export function claimShape(command: Command): void {
  command
    .option('--order <file>', 'Write an order that lets somebody else submit the claim for --submitter-fee, and send nothing.')
    .option('--submit <file>', 'Submit the claim order in a file, of any provider, and keep its fee.')
}

export async function claim(command: Command, env: Env, output: Output): Promise<void> {
  const { order, submit } = command.opts<{ order?: string; submit?: string }>()
  if (submit !== undefined) return submitOrder(command, submit, env, output)
  const homes = await readHomes(command, keysOf('claim'), env, 'provider')
  if (order !== undefined) return writeOrder(homes, order, env, output)
  const progress = createProgress(output)
  const nodes: { name: string; claims: ClaimResult[] }[] = []
  for (const home of homes) {
    const claims = await progress.step(`claiming for ${home.name}`, () => claimHome(home, env))
    nodes.push({ name: home.name, claims })
    for (const { tx, vouchers, amount, fee, burnt } of claims) {
      output.line(
        `${home.name}: ${formatUsd(amount)} for ${vouchers} channels, fee ${formatUsd(fee)}, burnt ${formatUsd(burnt)}, transaction ${tx}`,
      )
    }
    if (claims.length === 0) output.line(`${home.name}: nothing to claim`)
  }
  output.result({ nodes }, () => {})
  if (homes.length === 1 && nodes[0]!.claims.length === 0) {
    throw new BywayError('CLAIM_NOTHING', 'there is no voucher the contract has not paid', { hint: 'See `byway ledger`.' })
  }
}

async function claimHome(home: Home, env: Env): Promise<ClaimResult[]> {
  try {
    const answer = await callDaemon(socketPath(home.paths.home, env), 'POST /v1/claim', { timeoutMs: CLAIM_TIMEOUT_MS })
    return claimAnswer.parse(answer).claims
  } catch (thrown) {
    const error = asBywayError(thrown)
    if (error.code === 'CLAIM_NOTHING') return []
    if (error.code !== 'DAEMON_UNREACHABLE') throw error
  }
  const node = await openNode({ role: 'provider', paths: home.paths, settings: { ...home.settings, logLevel: 'warn' }, env })
  try {
    return await claimsOf(node).claim()
  } catch (thrown) {
    if (asBywayError(thrown).code === 'CLAIM_NOTHING') return []
    throw thrown
  } finally {
    await node.close()
  }
}

async function writeOrder(homes: readonly Home[], file: string, env: Env, output: Output): Promise<void> {
  const home = onlyOne(homes)
  const node = await openNode({ role: 'provider', paths: home.paths, settings: { ...home.settings, logLevel: 'warn' }, env })
  try {
    const orders = await claimOrder(node, claimsOf(node), home.settings.submitterFee)
    await writeFile(file, orderText(orders))
    const owed = orders.reduce((sum, { batch }) => sum + batch.owed, 0n)
    const fee = orders.reduce((sum, { order }) => sum + order.fee, 0n)
    output.result({ file, orders: orders.length, owed, fee }, () =>
      output.line(
        `${file}: ${formatUsd(owed)} to claim, ${formatUsd(fee)} of it for whoever submits it with \`byway claim --submit ${file}\``,
      ),
    )
  } finally {
    await node.close()
  }
}

async function submitOrder(command: Command, file: string, env: Env, output: Output): Promise<void> {
  const orders = readOrder(
    await readFile(file, 'utf8').catch((cause) => {
      throw new BywayError('ARGUMENT_INVALID', `cannot read ${file}`, { cause })
    }),
  )
  const home = onlyOne(await readHomes(command, keysOf('claim'), env))
  const { client } = chainOf(home)
  const node = await openNode({ role: home.genesis.role, paths: home.paths, settings: { ...home.settings, logLevel: 'warn' }, env })
  try {
    const progress = createProgress(output)
    const claims: object[] = []
    for (const { order, batch } of orders) {
      const done = await progress.step(`submitting for ${order.payee}`, () => client.claimFor(order, batch, node.wallet))
      claims.push(done)
      output.line(`${formatUsd(done.amount)} claimed for ${order.payee}, ${formatUsd(done.fee)} kept, transaction ${done.tx}`)
    }
    output.result({ claims }, () => {})
  } finally {
    await node.close()
  }
}

function onlyOne(homes: readonly Home[]): Home {
  if (homes.length === 1) return homes[0]!
  throw new BywayError('ARGUMENT_INVALID', 'an order concerns one node', {
    hint: `Name one with --home: ${homes.map(({ paths }) => paths.home).join(', ')}.`,
  })
}
