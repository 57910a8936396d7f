/** What wallets sign besides transactions and vouchers: a token permit, an order to open a root, a payee's offer to a submitter. EIP-712. */
import { hashTypedData } from 'viem/utils'
import { fromHex, type Hex } from '../protocol/bytes.ts'
import { type Descriptor, DOMAIN_NAME, DOMAIN_VERSION, type Domain } from '../protocol/voucher.ts'
import { splitSignature, type Wallet } from './wallet.ts'

/** A token's own signing domain (ERC-5267). */
export interface TokenDomain {
  name: string
  version: string
  chainId: bigint
  verifyingContract: Hex
}

/** What a submitter keeps, who it is (zero: anyone) and until when (Unix seconds). */
export interface FeeOrderTerms {
  fee: bigint
  submitter: Hex
  deadline: number
}

export interface FeeOrder extends FeeOrderTerms {
  payee: Hex
  /** The payee's, 64 bytes r | vs. */
  signature: Hex
}

const PERMIT = [
  { name: 'owner', type: 'address' },
  { name: 'spender', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'nonce', type: 'uint256' },
  { name: 'deadline', type: 'uint256' },
] as const

const OPEN_ORDER = [
  { name: 'payer', type: 'address' },
  { name: 'signer', type: 'address' },
  { name: 'root', type: 'bytes32' },
  { name: 'sum', type: 'uint96' },
  { name: 'expiry', type: 'uint64' },
  { name: 'depth', type: 'uint8' },
  { name: 'nonce', type: 'uint64' },
  { name: 'deadline', type: 'uint64' },
] as const

const FEE_ORDER = [
  { name: 'payee', type: 'address' },
  { name: 'claimsHash', type: 'bytes32' },
  { name: 'submitter', type: 'address' },
  { name: 'fee', type: 'uint96' },
  { name: 'deadline', type: 'uint64' },
] as const

const typedDomain = ({ chainId, channels }: Domain) => ({
  name: DOMAIN_NAME,
  version: DOMAIN_VERSION,
  chainId,
  verifyingContract: channels,
})
const sign = (wallet: Wallet, digest: Hex) => wallet.sign(fromHex(digest, 32))

/** Lets `spender` take `value`, once. In the shape the contract's `Permit` has. */
export function signPermit(wallet: Wallet, domain: TokenDomain, spender: Hex, value: bigint, nonce: bigint, deadline: bigint) {
  const message = { owner: wallet.address, spender, value, nonce, deadline }
  const { r, s, yParity } = splitSignature(
    sign(wallet, hashTypedData({ domain, types: { Permit: PERMIT }, primaryType: 'Permit', message })),
  )
  return { value, deadline, v: 27 + yParity, r, s }
}

/** Says for which tree a permit is: without it a stranger could spend the permit on a tree of his own. */
export function signOpenOrder(wallet: Wallet, domain: Domain, descriptor: Descriptor, deadline: bigint): Hex {
  const message = { ...descriptor, expiry: BigInt(descriptor.expiry), deadline }
  return sign(wallet, hashTypedData({ domain: typedDomain(domain), types: { OpenOrder: OPEN_ORDER }, primaryType: 'OpenOrder', message }))
}

export function signFeeOrder(wallet: Wallet, domain: Domain, claimsHash: Hex, terms: FeeOrderTerms): FeeOrder {
  const message = { ...terms, payee: wallet.address, claimsHash, deadline: BigInt(terms.deadline) }
  const digest = hashTypedData({ domain: typedDomain(domain), types: { FeeOrder: FEE_ORDER }, primaryType: 'FeeOrder', message })
  return { ...terms, payee: wallet.address, signature: sign(wallet, digest) }
}
