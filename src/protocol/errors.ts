/**
 * Every error Byway raises on purpose, in one table.
 *
 * A code is stable: it is printed by the command, sent between nodes, put in `Proxy-Status`, and documented in
 * docs/errors.md, which a test compares with this table in both directions.
 *
 *   status       HTTP status the local proxy or API answers with
 *   proxyStatus  RFC 9209 error type
 *   socks        RFC 1928 reply
 *   exit         exit code of the `byway` command: 1 broken world, 2 wrong words, 3 refused by a peer or the chain, 4 money
 *   retry        whether the same request may succeed later or elsewhere without anybody changing it
 */
interface ErrorSpec {
  status: number
  proxyStatus: string
  socks: number
  exit: 1 | 2 | 3 | 4
  retry: boolean
}

const DENIED = 'http_request_denied'
const spec = (status: number, proxyStatus: string, socks: number, exit: ErrorSpec['exit'], retry: boolean): ErrorSpec => ({
  status,
  proxyStatus,
  socks,
  exit,
  retry,
})

export const ERRORS = {
  // --- The local proxy: what an application asked for ---
  PROXY_MALFORMED: spec(400, 'http_request_error', 0x01, 2, false),
  PROXY_PARAMETER_UNKNOWN: spec(400, 'http_request_error', 0x01, 2, false),
  PROXY_PARAMETER_INVALID: spec(400, 'http_request_error', 0x01, 2, false),
  PROXY_COMMAND_UNSUPPORTED: spec(501, 'http_request_error', 0x07, 2, false),
  PROXY_ADDRESS_UNSUPPORTED: spec(400, 'http_request_error', 0x08, 2, false),
  PROXY_TIMEOUT: spec(408, 'http_request_error', 0x01, 2, true),
  PROXY_TOO_MANY_FLOWS: spec(429, 'connection_limit_reached', 0x01, 3, true),
  DESTINATION_INVALID: spec(400, 'http_request_error', 0x08, 2, false),

  // --- Choosing and reaching a provider ---
  NO_PROVIDER: spec(503, 'destination_unavailable', 0x03, 3, true),
  PROVIDER_UNREACHABLE: spec(503, 'destination_unavailable', 0x03, 3, true),
  PROVIDER_LOST: spec(502, 'connection_terminated', 0x01, 3, true),
  PROVIDER_BUSY: spec(429, 'connection_limit_reached', 0x01, 3, true),
  PIN_MISMATCH: spec(502, 'tls_certificate_error', 0x01, 3, false),

  // --- The exit: what happened at the destination ---
  DESTINATION_BLOCKED: spec(403, 'destination_ip_prohibited', 0x02, 3, false),
  PORT_BLOCKED: spec(403, 'destination_ip_prohibited', 0x02, 3, false),
  DNS_FAILED: spec(502, 'dns_error', 0x04, 3, true),
  CONNECTION_REFUSED: spec(502, 'connection_refused', 0x05, 3, true),
  CONNECTION_TIMEOUT: spec(504, 'connection_timeout', 0x06, 3, true),
  HOST_UNREACHABLE: spec(502, 'destination_ip_unroutable', 0x04, 3, true),
  NETWORK_UNREACHABLE: spec(502, 'destination_ip_unroutable', 0x03, 3, true),
  CONNECTION_RESET: spec(502, 'connection_terminated', 0x01, 3, true),
  DESTINATION_MALFORMED: spec(502, 'http_protocol_error', 0x01, 3, false),

  // --- The wire between two nodes ---
  MESSAGE_MALFORMED: spec(502, 'proxy_internal_error', 0x01, 3, false),
  MESSAGE_TOO_LARGE: spec(502, 'proxy_internal_error', 0x01, 3, false),
  MESSAGE_UNEXPECTED: spec(502, 'proxy_internal_error', 0x01, 3, false),
  PROTOCOL_VERSION: spec(502, 'proxy_internal_error', 0x01, 3, false),
  SESSION_UNKNOWN: spec(502, 'connection_terminated', 0x01, 3, true),
  FLOW_UNKNOWN: spec(502, 'connection_terminated', 0x01, 3, true),
  SESSION_PROOF_INVALID: spec(502, 'proxy_internal_error', 0x01, 3, false),
  SESSION_TIMEOUT: spec(504, 'connection_timeout', 0x01, 3, true),
  OFFER_MALFORMED: spec(502, 'proxy_internal_error', 0x01, 3, false),
  OFFER_SIGNATURE: spec(502, 'proxy_internal_error', 0x01, 3, false),
  OFFER_FUTURE: spec(502, 'proxy_internal_error', 0x01, 3, true),
  OFFER_EXPIRED: spec(503, 'destination_unavailable', 0x03, 3, true),
  OFFER_STALE: spec(503, 'destination_unavailable', 0x03, 3, true),
  RELAY_OFF: spec(502, 'destination_unavailable', 0x03, 3, true),
  RESERVATION_INVALID: spec(502, 'proxy_internal_error', 0x01, 3, false),
  CALL_UNKNOWN: spec(502, 'connection_terminated', 0x01, 3, true),

  // --- Money between two nodes ---
  CHAIN_MISMATCH: spec(502, DENIED, 0x02, 3, false),
  CONTRACT_MISMATCH: spec(502, DENIED, 0x02, 3, false),
  ROOT_NOT_OPEN: spec(402, DENIED, 0x02, 4, true),
  ROOT_EXPIRED: spec(402, DENIED, 0x02, 4, false),
  PROOF_INVALID: spec(402, DENIED, 0x02, 4, false),
  PROOF_NOT_OURS: spec(402, DENIED, 0x02, 4, false),
  PRICE_TOO_LOW: spec(402, DENIED, 0x02, 4, false),
  CAP_EXCEEDED: spec(402, DENIED, 0x02, 4, true),
  VOUCHER_SIGNER: spec(402, DENIED, 0x02, 4, false),
  VOUCHER_LOWER: spec(402, DENIED, 0x02, 4, false),
  VOUCHER_AMOUNT: spec(402, DENIED, 0x02, 4, false),
  UNPAID: spec(402, DENIED, 0x02, 4, true),
  METER_DIVERGED: spec(502, DENIED, 0x02, 4, false),
  DEPOSIT_EXHAUSTED: spec(402, DENIED, 0x02, 4, true),
  WALLET_EMPTY: spec(402, DENIED, 0x02, 4, false),

  // --- The chain ---
  RPC_UNREACHABLE: spec(502, 'proxy_internal_error', 0x01, 1, true),
  RPC_WRONG_CHAIN: spec(502, 'proxy_internal_error', 0x01, 2, false),
  CONTRACT_MISSING: spec(502, 'proxy_internal_error', 0x01, 2, false),
  TRANSACTION_FAILED: spec(502, 'proxy_internal_error', 0x01, 3, true),
  CLAIM_NOTHING: spec(409, DENIED, 0x01, 4, true),
  CLAIM_FEE_TOO_HIGH: spec(409, DENIED, 0x01, 4, true),

  // --- The token economy: what its contracts refuse ---
  AMOUNT_TOO_LARGE: spec(409, DENIED, 0x01, 4, false),
  VALUE_OUT_OF_BOUNDS: spec(409, DENIED, 0x01, 2, false),
  UNKNOWN_ON_CHAIN: spec(404, DENIED, 0x01, 2, false),
  TOO_EARLY: spec(409, DENIED, 0x01, 4, true),
  TOO_LATE: spec(409, DENIED, 0x01, 4, false),
  STATE_WRONG: spec(409, DENIED, 0x01, 4, false),
  STRUCK_OFF: spec(403, DENIED, 0x01, 4, false),
  VOTES_TOO_FEW: spec(403, DENIED, 0x01, 4, false),
  SIGNATURE_MISSING: spec(403, DENIED, 0x01, 4, false),
  DEPOSITS_PAUSED: spec(503, DENIED, 0x01, 4, true),
  NOTHING_DUE: spec(409, DENIED, 0x01, 4, true),

  // --- The network, as `byway doctor` finds it ---
  NETWORK_MTU: spec(503, 'destination_unavailable', 0x01, 1, false),
  NETWORK_CLOCK: spec(503, 'destination_unavailable', 0x01, 1, false),
  NETWORK_DNS: spec(503, 'dns_error', 0x01, 1, true),
  NETWORK_NAT: spec(503, 'destination_unavailable', 0x01, 1, false),
  NETWORK_CARRIER_NAT: spec(503, 'destination_unavailable', 0x01, 1, false),
  NETWORK_TUCKED: spec(503, 'destination_unavailable', 0x01, 1, false),
  NETWORK_UNREACHED: spec(503, 'destination_unavailable', 0x01, 1, true),
  NETWORK_UDP: spec(503, 'destination_unavailable', 0x01, 1, true),
  NETWORK_SLOW: spec(503, 'destination_unavailable', 0x01, 1, false),
  NETWORK_FAR: spec(503, 'destination_unavailable', 0x01, 1, true),

  // --- The state on disk ---
  STATE_LOCKED: spec(503, 'proxy_internal_error', 0x01, 1, true),
  STATE_CORRUPT: spec(500, 'proxy_internal_error', 0x01, 1, false),
  STATE_RESTORED: spec(503, 'proxy_internal_error', 0x01, 1, true),
  STATE_OTHER_CHAIN: spec(500, 'proxy_internal_error', 0x01, 1, false),
  STATE_NEWER: spec(500, 'proxy_internal_error', 0x01, 1, false),
  STATE_MISSING: spec(404, 'proxy_internal_error', 0x01, 2, false),
  DISK_FAILED: spec(500, 'proxy_internal_error', 0x01, 1, false),
  KEYS_UNREADABLE: spec(500, 'proxy_internal_error', 0x01, 1, false),
  VERIFY_DIFFERENCE: spec(409, DENIED, 0x01, 4, false),

  // --- The explorer ---
  STORE_UNREACHABLE: spec(503, 'proxy_internal_error', 0x01, 1, true),
  NOT_KNOWN: spec(404, 'http_request_error', 0x01, 2, true),
  TOO_MANY_REQUESTS: spec(429, 'connection_limit_reached', 0x01, 3, true),

  // --- The command ---
  ARGUMENT_INVALID: spec(400, 'http_request_error', 0x01, 2, false),
  SETTING_UNKNOWN: spec(400, 'http_request_error', 0x01, 2, false),
  SETTING_INVALID: spec(400, 'http_request_error', 0x01, 2, false),
  CONFIRMATION_NEEDED: spec(400, 'http_request_error', 0x01, 2, false),
  CONFIRMATION_REFUSED: spec(409, 'http_request_error', 0x01, 1, false),
  PORT_BUSY: spec(503, 'proxy_internal_error', 0x01, 1, true),
  CHILD_FAILED: spec(500, 'proxy_internal_error', 0x01, 1, true),
  ROUTE_UNKNOWN: spec(404, 'http_request_error', 0x01, 2, false),
  SOCKET_UNSAFE: spec(500, 'proxy_internal_error', 0x01, 1, false),
  DAEMON_UNREACHABLE: spec(503, 'proxy_internal_error', 0x01, 1, true),
  INTERNAL: spec(500, 'proxy_internal_error', 0x01, 1, false),
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof ERRORS
export type Facts = Readonly<Record<string, string | number | bigint | boolean>>

/**
 * An error with a stable code, the facts that explain it and what the reader can do.
 * `message` says what we were doing and to what, in words a user may see; it never carries a secret or a destination.
 */
export class BywayError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly facts: Facts

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string; facts?: Facts } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'BywayError'
    this.code = code
    this.hint = options.hint
    this.facts = options.facts ?? {}
  }
}

/** What was thrown, as a BywayError: unchanged if it is one, else `fallback` with the original kept as cause. */
export function asBywayError(thrown: unknown, fallback: ErrorCode = 'INTERNAL'): BywayError {
  if (thrown instanceof BywayError) return thrown
  return new BywayError(fallback, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown })
}

/** Narrows a string from the wire; a code this version does not know becomes `fallback`. */
export function errorCode(text: string, fallback: ErrorCode): ErrorCode {
  return Object.hasOwn(ERRORS, text) ? (text as ErrorCode) : fallback
}
