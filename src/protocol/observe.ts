/**
 * What a room may report without knowing who listens: counters and warnings, each declared here once.
 *
 * Counters become Prometheus metrics (`byway_<name>_total`), warnings are conditions a person should act on; `byway status`, the local API
 * and the logs render the same records. Labels come only from small fixed sets, never from session or peer ids.
 */
export const COUNTERS = {
  bytes: { help: 'Payload bytes metered at the exit stream layer', labels: ['direction'] },
  flows: { help: 'Flows that ended, by result (ok or an error code)', labels: ['result'] },
  sessions: { help: 'Sessions that ended, by reason', labels: ['reason'] },
  vouchers: { help: 'Vouchers signed (consumer) or accepted (provider)', labels: [] },
  vouchers_refused: { help: 'Vouchers the provider refused, by error code', labels: ['reason'] },
  malformed: { help: 'Inputs refused by a parser, by where they arrived', labels: ['where'] },
  blocked: { help: 'Destinations the exit refused, by error code', labels: ['reason'] },
  claims: { help: 'Claim transactions, by result', labels: ['result'] },
  handshakes_failed: { help: 'Tunnel connections that ended before a session was open, by error code', labels: ['reason'] },
} as const satisfies Record<string, { help: string; labels: readonly string[] }>

export type CounterName = keyof typeof COUNTERS

export const WARNINGS = {
  STATE_RESTORED: {
    severity: 'high',
    text: 'This state folder is an older copy: a peer or the chain knows a later voucher. It was adopted; check where the copy came from.',
  },
  PRIVATE_DESTINATIONS_ALLOWED: {
    severity: 'high',
    text: 'Private destinations are allowed (--allow-private): guests can reach addresses of your own network. Never use this on a shared line.',
  },
  CHAIN_UNREACHABLE: {
    severity: 'medium',
    text: 'The chain does not answer. Sessions carry on; opening roots, checking new ones and claiming wait until it is back.',
  },
  CHANNEL_EXPIRES_SOON: { severity: 'high', text: 'A channel with unclaimed vouchers closes soon. Run `byway claim` now.' },
  DEPOSIT_LOW: { severity: 'medium', text: 'The deposit is nearly used up. Fund the wallet or raise --deposit.' },
  METER_DIVERGED: {
    severity: 'medium',
    text: 'A provider counted more bytes than arrived. Its session was closed and it is avoided for a while.',
  },
} as const satisfies Record<string, { severity: 'low' | 'medium' | 'high'; text: string }>

export type WarningCode = keyof typeof WARNINGS

/** Handed to every room that has something to report. */
export interface Observer {
  count(name: CounterName, by?: number, labels?: Readonly<Record<string, string>>): void
  /** Raise (facts) or clear (undefined) a condition. Raising one that stands only refreshes its facts. */
  warn(code: WarningCode, facts: Readonly<Record<string, string | number>> | undefined): void
  /** One line for the log: an event name and its facts. Never a secret, never a destination. */
  log(event: string, facts?: Readonly<Record<string, string | number | boolean>>): void
  /** A voucher left (consumer) or was acknowledged (provider), right after its message was put on the link. Only crash tests listen. */
  voucher?(did: 'sent' | 'acknowledged', voucher: Readonly<Record<string, string | number | bigint>>): void
}

/** Listens to nothing. */
export const silent: Observer = { count: () => {}, warn: () => {}, log: () => {} }
