/**
 * Which chain and contracts a command speaks to: settings first, then the file that names all contracts, then what the journal was made with,
 * then the local exchange.
 */
import { readFileSync } from 'node:fs'
import {
  type Addresses,
  type ChannelsClient,
  type Contracts,
  createChannelsClient,
  createRpc,
  DEVNET_CHAIN_ID,
  devnetContracts,
  NETWORKS,
  type Network,
  parseAddresses,
  parseNetwork,
  type Turn,
} from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import type { RecordOf } from '../wallet/records.ts'

export interface NetworkSettings {
  rpc: readonly string[]
  chainId: number | undefined
  channels: Hex | undefined
  token: Hex | undefined
  /** File with the addresses of all contracts. */
  contracts: string | undefined
}

/** Mainnets and rollups may reorganise a block or two; a devnet never does. */
const CONFIRMATIONS = 2
/** A tenth of the fastest common block time, rounded up. */
const POLL_MS = 250

export function networkFor(settings: NetworkSettings, genesis?: RecordOf<'genesis'>): Network {
  const named = addressesIn(settings)
  const chainId = settings.chainId ?? named?.chainId ?? genesis?.chainId ?? DEVNET_CHAIN_ID
  const known = Object.values(NETWORKS).find((network) => network.chainId === chainId)
  const channels = settings.channels ?? named?.contracts.channels ?? genesis?.channels ?? known?.channels
  const dollar = settings.token ?? named?.contracts.dollar ?? genesis?.token ?? known?.dollar
  if (channels === undefined || dollar === undefined) {
    throw new BywayError('SETTING_INVALID', `chain ${chainId} is not known by name, so its contracts must be named`, {
      hint: 'Set --contracts, or --channels and --token.',
    })
  }
  const pace = chainId === DEVNET_CHAIN_ID ? NETWORKS.local! : { confirmations: CONFIRMATIONS, pollMs: POLL_MS }
  return parseNetwork({ chainId, channels, dollar, confirmations: pace.confirmations, pollMs: pace.pollMs })
}

/** `turn`: for whoever sends from a home's wallets, which others may send from too. */
export function clientFor(settings: NetworkSettings, network: Network, turn?: Turn): ChannelsClient {
  return createChannelsClient({ rpc: createRpc({ urls: settings.rpc, chainId: network.chainId }), network, turn })
}

/** All contracts of the chain: those of the file, or of the local exchange. */
export function contractsFor(settings: NetworkSettings, { chainId }: Pick<Network, 'chainId'>): Contracts {
  const named = addressesIn(settings)
  if (named !== undefined) return named.contracts
  if (chainId === DEVNET_CHAIN_ID) return devnetContracts()
  throw new BywayError('SETTING_INVALID', `chain ${chainId} is not known by name, so its contracts must be named`, {
    hint: 'Set --contracts to the file that `byway deploy` wrote.',
  })
}

/** What the file says, if one is named; refused when it is of another chain than the one that was set. */
function addressesIn({ contracts: path, chainId }: NetworkSettings): Addresses | undefined {
  if (path === undefined) return undefined
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new BywayError('SETTING_INVALID', `cannot read ${path}, which should name the contracts`, { cause, facts: { path } })
  }
  const named = parseAddresses(text, path)
  if (chainId === undefined || named.chainId === chainId) return named
  throw new BywayError('SETTING_INVALID', `${path} names the contracts of chain ${named.chainId}, not of chain ${chainId}`, {
    facts: { path, chainId },
    hint: 'Leave out --chain-id, or name the file of that chain.',
  })
}
