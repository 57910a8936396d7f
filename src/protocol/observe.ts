/**
 * What a room may report without knowing who listens: counters and warnings, each declared here once.
 *
 * Counters become Prometheus metrics (`byway_<name>_total`), warnings are conditions a person should act on; `byway status`, the local API
 * and the logs render the same records. Labels come only from small fixed sets, never from session or peer ids.
 */
export const COUNTERS = {
  bytes: { help: 'Payload bytes metered at the exit stream layer', labels: ['direction'] },
  hop_bytes: {
    help: 'Payload bytes a consumer paid each hop of its routes for, the layers of later hops included',
    labels: ['hop', 'direction'],
  },
  flows: { help: 'Flows that ended, by result (ok or an error code)', labels: ['result'] },
  flows_resumed: { help: 'Flows that went on on another link', labels: [] },
  sessions: { help: 'Sessions that ended, by reason', labels: ['reason'] },
  vouchers: { help: 'Vouchers signed (consumer) or accepted (provider)', labels: [] },
  vouchers_refused: { help: 'Vouchers the provider refused, by error code', labels: ['reason'] },
  malformed: { help: 'Inputs refused by a parser, by where they arrived', labels: ['where'] },
  questions_refused: { help: 'Questions and offers of other nodes that got no answer or no place, by why', labels: ['why'] },
  offers_refused: { help: 'Offers of others that were not kept, by reason', labels: ['reason'] },
  offers_evicted: { help: 'Offers that made room for others in a full directory', labels: [] },
  blocked: { help: 'Destinations the exit refused, by error code', labels: ['reason'] },
  datagrams_dropped: { help: 'Datagrams dropped on their way, by where and why', labels: ['why'] },
  claims: { help: 'Claim transactions, by result', labels: ['result'] },
  relayed: { help: 'Next hops reached for consumers, by way (called or dialled)', labels: ['way'] },
  events_indexed: { help: 'Events of contracts the explorer indexed, again after a reorganisation included', labels: [] },
  reorganisations: { help: 'Times the explorer went back because the chain had', labels: [] },
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
  NOT_REACHABLE: {
    severity: 'high',
    text: 'Nobody can reach this node: its port cannot be dialled from outside, and no relay holds a reservation for it. Forward the port, or wait for relays.',
  },
  PORT_NOT_MAPPED: {
    severity: 'low',
    text: 'The router forwards no port to this node. Switch on UPnP, NAT-PMP or PCP in the router, or forward the port by hand, to be reached directly.',
  },
  ROUTER_NOT_PUBLIC: {
    severity: 'low',
    text: 'The router has no public address itself (two routers in a row, or a carrier that shares addresses). Ask the carrier for a public one; relays are used meanwhile.',
  },
  DISCOVERY_DOWN: {
    severity: 'medium',
    text: 'A source of offers does not answer (see `source`). Offers known from before, and other sources, serve meanwhile.',
  },
  DESCRIPTORS_LOW: {
    severity: 'medium',
    text: 'The system lets this process open few files, or nearly all it may are open; each flow takes two, and without them connections are refused. Raise the limit (`ulimit -n`, LimitNOFILE).',
  },
  INDEX_BEHIND: {
    severity: 'medium',
    text: 'The explorer does not keep up: the chain, or the database, does not answer as it should. What it shows is as old as it says.',
  },
  FAST_PATH_OFF: {
    severity: 'low',
    text: 'Bytes are carried by the portable path, which takes more CPU: this machine or this Node cannot run the fast one.',
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
