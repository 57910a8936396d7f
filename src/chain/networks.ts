/** Every chain Byway knows by name: one table. Anything else is named by RPC URL, chain id and addresses. */
import { z } from 'zod'
import { BywayError } from '../protocol/errors.ts'
import { DEVNET_CHAIN_ID } from './anvil.ts'
import { devnetContracts } from './devnet.ts'
import { addressSchema } from './schemas.ts'

const networkSchema = z.strictObject({
  chainId: z.int().positive(),
  /** The Channels contract. */
  channels: addressSchema,
  /** The token its channels hold. */
  dollar: addressSchema,
  /** Blocks, the transaction's own included, before it counts. */
  confirmations: z.int().min(1).max(1_000),
  /** Pause between two looks for a receipt: a fraction of the block time. */
  pollMs: z.int().min(10).max(60_000),
})

export type Network = z.output<typeof networkSchema>
export type NetworkInput = z.input<typeof networkSchema>

/** A network somebody wrote down: settings of the command, or a row of the table below. */
export function parseNetwork(input: NetworkInput): Network {
  const parsed = networkSchema.safeParse(input)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const key = issue.path.join('.') || 'network'
  throw new BywayError('SETTING_INVALID', `the network is not usable: ${key}: ${issue.message}`, { facts: { key } })
}

const local = devnetContracts()

export const NETWORKS: Readonly<Record<string, Network>> = {
  // Mined at once and never reorganised: one confirmation, short pauses.
  local: parseNetwork({ chainId: DEVNET_CHAIN_ID, channels: local.channels, dollar: local.dollar, confirmations: 1, pollMs: 50 }),
}

export function networkNamed(name: string): Network {
  const network = Object.hasOwn(NETWORKS, name) ? NETWORKS[name] : undefined
  if (network !== undefined) return network
  throw new BywayError('SETTING_INVALID', `no network is called ${JSON.stringify(name.slice(0, 40))}`, {
    hint: `known: ${Object.keys(NETWORKS).join(', ')}; or give an RPC URL, a chain id and the contract addresses`,
  })
}
