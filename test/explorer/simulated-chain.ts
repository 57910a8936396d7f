/**
 * A chain without a node: blocks with events of every contract, made from a seed, which can be taken back and replaced.
 *
 * The rule it keeps: what a block holds follows from its own hash and the blocks below it, so two chains with one history are one chain. The
 * events are encoded as contracts encode them, so everything from the log to the answer is the code that runs against a real one.
 */
import { type AbiEvent, type AbiParameter, encodeAbiParameters, encodeEventTopics, zeroAddress } from 'viem'
import { CONTRACT_ABIS } from '../../src/chain/events.ts'
import type { Block, BlockSource, ChainLog, NamedContracts } from '../../src/chain/index.ts'
import { type Hex, keccak } from '../../src/protocol/bytes.ts'

const hashOf = (text: string): Hex => keccak(Buffer.from(text))
const addressOf = (text: string): Hex => hashOf(text).slice(0, 42) as Hex

/** One contract of each kind, and a vault for each of two regions. */
export const SIMULATED: NamedContracts = Object.fromEntries(
  Object.keys(CONTRACT_ABIS)
    .flatMap((name) => (name === 'vaults' ? ['vaults:de', 'vaults:jp'] : [name]))
    .map((name) => [name, addressOf(`contract ${name}`)]),
)
/** Those who act in it. */
export const PEOPLE = Array.from({ length: 24 }, (_, i) => addressOf(`person ${i}`))
export const NODE_KEYS = Array.from({ length: 12 }, (_, i) => hashOf(`node ${i}`))
export const REGIONS = ['de', 'jp', 'us', 'br', 'eu-we']

/** The first block; the chain began on a day of its own. */
export const START_S = 1_780_000_000
export const BLOCK_S = 12

/** As on a real chain, WAY moves more often than all else happens: so minting and burning are in each history, whichever contracts there are. */
const WAY_MOVES = 8
/** Events that are said, by contract: all that their interfaces have. */
const EVENTS = Object.entries(SIMULATED).flatMap(([contract, address]) => {
  const abi = CONTRACT_ABIS[contract.split(':')[0]!]!
  const events = abi.filter((item) => item.type === 'event').map((event) => ({ contract, address, event: event as AbiEvent }))
  return events.flatMap((said) => Array<typeof said>(contract === 'way' && said.event.name === 'Transfer' ? WAY_MOVES : 1).fill(said))
})

/** Numbers from a seed. */
export function dice(seed: string) {
  let turn = 0
  const bits = () => BigInt(hashOf(`${seed}/${turn++}`))
  const below = (limit: number) => Number(bits() % BigInt(limit))
  return { bits, below, pick: <T>(list: readonly T[]): T => list[below(list.length)]! }
}
type Dice = ReturnType<typeof dice>

interface SimulatedBlock extends Block {
  readonly logs: readonly ChainLog[]
}

export interface SimulatedChain extends BlockSource {
  /** Adds blocks. */
  mine(count: number): void
  /** Takes the newest blocks back and puts others in their place. */
  reorganise(depth: number, length: number): void
  readonly height: number
  /** How many questions it has answered. */
  readonly asked: () => number
}

export function simulatedChain(seed: string, eventsABlock = 2): SimulatedChain {
  let blocks: SimulatedBlock[] = []
  let branch = 0
  let asked = 0
  const mine = (count: number) => {
    for (let i = 0; i < count; i++) {
      const number = blocks.length
      const parent = blocks.at(-1)?.hash ?? hashOf(`${seed} genesis`)
      const hash = hashOf(`${parent} ${branch}`)
      blocks.push({ number, hash, parent, timeS: START_S + number * BLOCK_S, logs: logsOf({ number, hash }, dice(hash), eventsABlock) })
    }
  }
  mine(1)
  const answer = <T>(value: T): Promise<T> => {
    asked += 1
    return Promise.resolve(value)
  }
  return {
    chainId: 31_337,
    get height() {
      return blocks.length - 1
    },
    asked: () => asked,
    mine,
    reorganise(depth, length) {
      branch += 1
      blocks = blocks.slice(0, Math.max(1, blocks.length - depth))
      mine(length)
    },
    head: () => answer(blocks.at(-1)!),
    block: (number) => answer(blocks[number]),
    logsOf: ({ number, hash }) => answer(blocks[number]?.hash === hash ? [...blocks[number].logs] : undefined),
    logsIn: (from, to) => answer(blocks.slice(from, to + 1).flatMap(({ logs }) => logs)),
  }
}

function logsOf({ number, hash }: Pick<Block, 'number' | 'hash'>, random: Dice, most: number): ChainLog[] {
  return Array.from({ length: random.below(2 * most + 1) }, (_, index) => {
    const { contract, address, event } = random.pick(EVENTS)
    const values = Object.fromEntries(
      event.inputs.map((input) => [input.name!, sample(input, random, { contract, event: event.name, number })]),
    )
    const plain = event.inputs.filter((input) => !input.indexed)
    return {
      block: number,
      blockHash: hash,
      index,
      tx: hashOf(`${hash} ${index >> 1}`),
      address,
      topics: encodeEventTopics({ abi: [event], eventName: event.name, args: values as never }) as Hex[],
      data: encodeAbiParameters(
        plain,
        plain.map((input) => values[input.name!]),
      ),
    }
  })
}

interface Where {
  contract: string
  event: string
  number: number
}

/** A value that such a parameter might have. */
function sample(input: AbiParameter, random: Dice, where: Where): unknown {
  const { type, name = '' } = input
  if (type.endsWith('[]')) {
    return Array.from({ length: 1 + random.below(3) }, () => sample({ ...input, type: type.slice(0, -2) } as AbiParameter, random, where))
  }
  if (type === 'tuple' && 'components' in input)
    return Object.fromEntries(input.components.map((part) => [part.name!, sample(part, random, where)]))
  if (type === 'address')
    return where.contract === 'way' && where.event === 'Transfer' && random.below(3) === 0 ? zeroAddress : random.pick(PEOPLE)
  if (type === 'bytes32' && name === 'id') return hashOf(`id ${random.below(1 + (where.number >> 6))}`)
  if (type === 'bytes32') return name === 'nodeKey' ? random.pick(NODE_KEYS) : hashOf(`${random.bits()}`)
  if (type === 'bytes6') return `0x${Buffer.from(random.pick(REGIONS)).toString('hex').padEnd(12, '0')}`
  if (type === 'bool') return random.below(2) === 0
  if (type === 'string') return random.pick(['Lower the burn share', 'Raise the base fee', 'Ein Satz mit Umlauten: äöü', ''])
  if (type.startsWith('bytes')) return '0x'
  return whole(type, name, random, where)
}

function whole(type: string, name: string, random: Dice, { number, contract }: Where): bigint | number {
  const bits = Number(type.slice('uint'.length))
  // What leaves names what came: a thaw of some block not far below. Small numbers, so that some of them meet.
  if (/^(id|proposalId|line|topic)$/i.test(name)) return sized(BigInt(1 + random.below(1 + (number >> 4))), bits)
  if (/epoch|period|vintage|lane|first|last/i.test(name)) return sized(BigInt(number >> 5), bits)
  if (/time|until|end|expiry|start|deadline|voteStart/i.test(name))
    return sized(BigInt(START_S + number * BLOCK_S + random.below(1_000)), bits)
  if (name === 'state') return sized(BigInt(4 + random.below(3)), bits)
  if (/support|role|depth/i.test(name)) return sized(BigInt(random.below(3)), bits)
  if (/^gb$/.test(name)) return sized(BigInt(1 + random.below(1_000)), bits)
  // A thousand WAY or a thousand dollars, each in its smallest unit.
  const inWay = /^(way|emissions|usageMint|capacityRewards|bootstrapRewards|registry|regionMultipliers|governance)/.test(contract)
  return sized(random.bits() % (inWay ? 10n ** 21n : 10n ** 9n), bits)
}

/** viem wants numbers up to 48 bits. */
function sized(value: bigint, bits: number): bigint | number {
  const fits = value % 2n ** BigInt(bits)
  return bits <= 48 ? Number(fits) : fits
}
