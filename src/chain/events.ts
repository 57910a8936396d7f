/**
 * What contracts say: the events of every contract of Byway, read from logs.
 *
 * One table from the name of a deployed contract to its interface. A contract that is not in it is not read; an event that the interface does
 * not have is passed over, and so is a log that does not fit it: a chain holds what anybody wrote.
 */
import type { Abi } from 'viem'
import { decodeEventLog } from 'viem/utils'
import type { Hex } from '../protocol/bytes.ts'
import * as code from './abi.ts'

/** As JSON has it: integers beyond 48 bits are decimal strings, bytes and addresses lower-case hex. */
export type EventValue = string | number | boolean | readonly EventValue[] | { readonly [name: string]: EventValue }
export type EventArgs = Readonly<Record<string, EventValue>>

/** Addresses by the name under which a contract was deployed. */
export type NamedContracts = Readonly<Record<string, Hex>>

/** A log as a chain has it. */
export interface ChainLog {
  readonly block: number
  readonly blockHash: Hex
  /** Of its block, Unix seconds, where the node told it with the log. */
  readonly timeS?: number
  /** Place in its block, over all transactions. */
  readonly index: number
  readonly tx: Hex
  readonly address: Hex
  readonly topics: readonly Hex[]
  readonly data: Hex
}

export interface ChainEvent extends Omit<ChainLog, 'topics' | 'data'> {
  /** Name of the contract in the deployment. */
  readonly contract: string
  readonly name: string
  readonly args: EventArgs
  /** Every address and node key it names, each once, in their order: what it is found by. */
  readonly names: readonly string[]
}

/** Interface of each contract that is read, by its name in a deployment: one entry a contract. */
export const CONTRACT_ABIS: Readonly<Record<string, Abi>> = {
  channels: code.channelsAbi,
  wayChannels: code.channelsAbi,
  parameters: code.parametersAbi,
  way: code.wayAbi,
  emissions: code.emissionsAbi,
  burnAuction: code.burnAuctionAbi,
  usageMint: code.usageMintAbi,
  registry: code.registryAbi,
  committee: code.committeeAbi,
  audits: code.auditsAbi,
  capacityRewards: code.epochRootsAbi,
  bootstrapRewards: code.epochRootsAbi,
  regionMultipliers: code.regionMultipliersAbi,
  vaults: code.regionVaultAbi,
  capacityMarket: code.capacityMarketAbi,
  serviceAgreements: code.serviceAgreementsAbi,
  subscription: code.subscriptionAbi,
  governance: code.governanceAbi,
  timelock: code.timelockAbi,
}

const ZERO: Hex = `0x${'00'.repeat(20)}`

/** Said so often, and so little to do with the exchange, that only a part is kept. */
const KEPT: Readonly<Record<string, (args: EventArgs) => boolean>> = {
  // Who gives WAY to whom is his own affair; what comes into being and what burns is everybody's.
  'way.Transfer': ({ from, to }) => from === ZERO || to === ZERO,
  'way.Approval': () => false,
  'vaults.Approval': () => false,
  'vaults.Transfer': () => false,
}

/** `vaults:de` is one of the vaults, of which there is one for each region. */
const kindOf = (name: string): string => name.split(':')[0] ?? name

/** What a deployment names, in one list: `vaults.de` becomes `vaults:de`, the channels of a second dollar `channels:2`. */
export function namedContracts(deployment: object): NamedContracts {
  const named = Object.entries(deployment).flatMap(([name, value]: [string, unknown]): [string, Hex][] => {
    if (typeof value === 'string') return [[name, value as Hex]]
    if (Array.isArray(value)) {
      return value.flatMap((lane: object, i) =>
        Object.entries(lane).map(([part, address]): [string, Hex] => [`${part}:${i + 2}`, address as Hex]),
      )
    }
    return Object.entries(value as object).map(([part, address]) => [`${name}:${part}`, address as Hex])
  })
  return Object.fromEntries(named)
}

/** The contracts of a deployment that can be read, in the order of their names. */
export function readableContracts(contracts: NamedContracts): NamedContracts {
  const known = Object.entries(contracts).filter(([name]) => Object.hasOwn(CONTRACT_ABIS, kindOf(name)))
  return Object.fromEntries(known.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, address]) => [name, address.toLowerCase() as Hex]))
}

/** Reads logs of these contracts; undefined for one that is none of their events, or one that is not kept. */
export function eventReader(contracts: NamedContracts): (log: ChainLog) => ChainEvent | undefined {
  const byAddress = new Map(Object.entries(readableContracts(contracts)).map(([name, address]) => [address, name]))
  return ({ topics, data, ...log }) => {
    const contract = byAddress.get(log.address)
    if (contract === undefined || topics.length === 0) return undefined
    const kind = kindOf(contract)
    try {
      const decoded: object = decodeEventLog({ abi: CONTRACT_ABIS[kind]!, topics: topics as [Hex, ...Hex[]], data, strict: true })
      const { eventName: name, args: said = {} } = decoded as { eventName: string; args?: object }
      const args = plain(said) as EventArgs
      if (KEPT[`${kind}.${name}`]?.(args) === false) return undefined
      return { ...log, contract, name, args, names: [...new Set(namesIn(args))] }
    } catch {
      return undefined // not an event of this interface: nothing that we could say
    }
  }
}

function plain(value: unknown): EventValue {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'string') return /^0x[0-9a-fA-F]*$/.test(value) ? value.toLowerCase() : withoutNul(value)
  if (typeof value === 'number' || typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(Object.entries(value as object).map(([name, item]) => [name, plain(item)]))
}

/** Text on a chain may hold what PostgreSQL refuses to store: the character 0. */
const withoutNul = (text: string): string => text.replaceAll('\u0000', '\uFFFD')

const ADDRESS = /^0x[0-9a-f]{40}$/

function namesIn(args: { readonly [name: string]: EventValue }): string[] {
  return Object.entries(args).flatMap(([name, value]) => {
    if (typeof value === 'string') return (ADDRESS.test(value) && value !== ZERO) || name === 'nodeKey' ? [value] : []
    if (Array.isArray(value))
      return (value as readonly EventValue[]).filter((item) => typeof item === 'string' && ADDRESS.test(item)) as string[]
    return typeof value === 'object' ? namesIn(value as { readonly [name: string]: EventValue }) : []
  })
}
