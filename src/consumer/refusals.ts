/**
 * What a provider's refusals mean to a consumer. A code from the wire is a claim: a provider may only speak of itself, the session and the
 * destination. One that says our wallet is empty, or our state folder broken, is not believed.
 */
import { BywayError, type ErrorCode, errorCode } from '../protocol/errors.ts'

/** What a provider may say of itself and of a session; anything else it says means no more than that it is no use. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'PROVIDER_BUSY',
  'MESSAGE_MALFORMED',
  'MESSAGE_TOO_LARGE',
  'MESSAGE_UNEXPECTED',
  'PROTOCOL_VERSION',
  'SESSION_UNKNOWN',
  'SESSION_PROOF_INVALID',
  'SESSION_TIMEOUT',
  'CHAIN_MISMATCH',
  'CONTRACT_MISMATCH',
  'ROOT_NOT_OPEN',
  'ROOT_EXPIRED',
  'PROOF_INVALID',
  'PROOF_NOT_OURS',
  'PRICE_TOO_LOW',
  'CAP_EXCEEDED',
  'VOUCHER_SIGNER',
  'VOUCHER_LOWER',
  'VOUCHER_AMOUNT',
  'UNPAID',
])

/** What `refused` and `bye` mean here. */
export function refusal({ code, message }: { code: string; message: string }): BywayError {
  const known = errorCode(code, 'PROVIDER_LOST')
  return new BywayError(REFUSALS.has(known) ? known : 'PROVIDER_LOST', message)
}

/** What an exit may say of a destination. */
const FAILURES: ReadonlySet<ErrorCode> = new Set([
  'DESTINATION_INVALID',
  'DESTINATION_BLOCKED',
  'PORT_BLOCKED',
  'DNS_FAILED',
  'CONNECTION_REFUSED',
  'CONNECTION_TIMEOUT',
  'CONNECTION_RESET',
  'HOST_UNREACHABLE',
  'NETWORK_UNREACHABLE',
  'PROVIDER_BUSY',
])

/** What `failed` means here. */
export function failure({ code, message }: { code: string; message: string }): BywayError {
  const known = errorCode(code, 'HOST_UNREACHABLE')
  return new BywayError(FAILURES.has(known) ? known : 'HOST_UNREACHABLE', message)
}
