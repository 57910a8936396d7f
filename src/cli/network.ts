/** Which chain and contracts a command speaks to: settings first, then what the journal was made with, then the local exchange. */
import {
  type ChannelsClient,
  createChannelsClient,
  createRpc,
  DEVNET_CHAIN_ID,
  NETWORKS,
  type Network,
  parseNetwork,
} from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import type { RecordOf } from '../wallet/records.ts'

export interface NetworkSettings {
  rpc: readonly string[]
  chainId: number | undefined
  channels: Hex | undefined
  token: Hex | undefined
}

/** Mainnets and rollups may reorganise a block or two; a devnet never does. */
const CONFIRMATIONS = 2
/** A tenth of the fastest common block time, rounded up. */
const POLL_MS = 250

export function networkFor(settings: NetworkSettings, genesis?: RecordOf<'genesis'>): Network {
  const chainId = settings.chainId ?? genesis?.chainId ?? DEVNET_CHAIN_ID
  const known = Object.values(NETWORKS).find((network) => network.chainId === chainId)
  const channels = settings.channels ?? genesis?.channels ?? known?.channels
  const dollar = settings.token ?? genesis?.token ?? known?.dollar
  if (channels === undefined || dollar === undefined) {
    throw new BywayError('SETTING_INVALID', `chain ${chainId} is not known by name, so its contracts must be named`, {
      hint: 'Set --channels and --token.',
    })
  }
  const pace = chainId === DEVNET_CHAIN_ID ? NETWORKS.local! : { confirmations: CONFIRMATIONS, pollMs: POLL_MS }
  return parseNetwork({ chainId, channels, dollar, confirmations: pace.confirmations, pollMs: pace.pollMs })
}

export function clientFor(settings: NetworkSettings, network: Network): ChannelsClient {
  return createChannelsClient({ rpc: createRpc({ urls: settings.rpc, chainId: network.chainId }), network })
}
