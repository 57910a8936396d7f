/**
 * A devnet's market maker: keeps burn and mint going where nobody else would buy.
 *
 * It brings what claims left to burn to the auction, buys what is on sale once the price is at par or below, as a market would, and has minted
 * what is due. All of it anybody may do on any chain; only the WAY it pays with is special, because the devnet account holds the genesis.
 */
import { decodeFunctionResult, encodeFunctionData, maxUint256 } from 'viem'
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { burnAuctionAbi, channelsAbi, dollarAbi, emissionsAbi, usageMintAbi, wayAbi } from './abi.ts'
import { devnetCall, sendFromDevAccount } from './devnet.ts'
import type { Contracts } from './plan.ts'
import type { Rpc } from './rpc.ts'
import { DEV_ACCOUNT, DEVNET_PAR } from './terms.ts'

/** The lane of dollars in UsageMint; lane 1 is WAY. */
const DOLLARS = 0n
/** Lots bought in one go at most: twelve make an epoch's dollars. */
const MOST_LOTS = 12

/**
 * Named, not estimated: an estimate made in the second of the last transaction finds votes to overwrite, and a second later they are new,
 * which costs 20,000 gas more.
 */
const GAS = 3_000_000

/** What one round did. */
export interface MarketRound {
  /** Units that went on the way to be burnt. */
  collected: bigint
  /** Units sold by the auction, and WAY burnt for them. */
  sold: bigint
  burnt: bigint
  /** WAY minted to the payees. */
  minted: bigint
}

/** Goes once through all of it for the claims of `payees`. Repeatable at any time. */
export async function makeMarket(rpc: Rpc, contracts: Contracts, payees: readonly Hex[], signal?: AbortSignal): Promise<MarketRound> {
  const { channels, burnAuction, usageMint, way, emissions } = contracts
  const read = (to: Hex, data: Hex) => devnetCall(rpc, to, data, signal)
  const send = (to: Hex, data: Hex) => sendFromDevAccount(rpc, to, data, signal, GAS)
  const round: MarketRound = { collected: 0n, sold: 0n, burnt: 0n, minted: 0n }

  const waitingOf = async (payee: Hex): Promise<bigint> => {
    const data = await read(channels, encodeFunctionData({ abi: channelsAbi, functionName: 'burnOf', args: [payee] }))
    return decodeFunctionResult({ abi: channelsAbi, functionName: 'burnOf', data })[0]
  }
  const owing: Hex[] = []
  for (const payee of payees) {
    const waiting = await waitingOf(payee)
    if (waiting === 0n) continue
    owing.push(payee)
    round.collected += waiting
  }
  if (owing.length > 0) await send(usageMint, encodeFunctionData({ abi: usageMintAbi, functionName: 'collect', args: [DOLLARS, owing] }))

  // A chain that mines on demand stands still while nothing is sent, and with it the price.
  const held = await read(contracts.dollar, encodeFunctionData({ abi: dollarAbi, functionName: 'balanceOf', args: [burnAuction] }))
  if (decodeFunctionResult({ abi: dollarAbi, functionName: 'balanceOf', data: held }) === 0n) return round
  await rpc.request(z.unknown(), 'evm_mine', [], signal)

  const burnedSoFar = async (): Promise<bigint> => {
    const data = await read(way, encodeFunctionData({ abi: wayAbi, functionName: 'burned' }))
    return decodeFunctionResult({ abi: wayAbi, functionName: 'burned', data })
  }
  const before = await burnedSoFar()
  const touched = new Set<bigint>()
  for (let lot = 0; lot < MOST_LOTS; lot++) {
    const data = await read(burnAuction, encodeFunctionData({ abi: burnAuctionAbi, functionName: 'quote' }))
    const { vintage, price, lot: dollars } = decodeFunctionResult({ abi: burnAuctionAbi, functionName: 'quote', data })
    if (dollars === 0n || price > DEVNET_PAR) break
    if (touched.size === 0) {
      await send(way, encodeFunctionData({ abi: wayAbi, functionName: 'approve', args: [burnAuction, maxUint256] }))
    }
    touched.add(vintage)
    await send(burnAuction, encodeFunctionData({ abi: burnAuctionAbi, functionName: 'buy', args: [dollars, dollars * price, DEV_ACCOUNT] }))
    round.sold += dollars
  }

  // The price a moment ago was the most it could cost: it falls until the purchase is mined.
  if (touched.size > 0) round.burnt = (await burnedSoFar()) - before
  for (const vintage of touched) {
    for (const payee of payees) {
      const args = [DOLLARS, vintage, payee] as const
      const data = await read(usageMint, encodeFunctionData({ abi: usageMintAbi, functionName: 'mintable', args }))
      round.minted += decodeFunctionResult({ abi: usageMintAbi, functionName: 'mintable', data })
    }
    await send(usageMint, encodeFunctionData({ abi: usageMintAbi, functionName: 'mint', args: [DOLLARS, vintage, payees] }))
  }
  if (touched.size > 0) await send(emissions, encodeFunctionData({ abi: emissionsAbi, functionName: 'turn' }))
  return round
}
