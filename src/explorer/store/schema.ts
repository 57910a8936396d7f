/**
 * The tables as TypeScript sees them; migrations.ts makes them.
 *
 * What comes from the chain is only ever inserted, and each row names its block: going back to a block is deleting what lies above it. What
 * holds now (stake, supply, tallies) is not stored but summed up when somebody asks, so nothing can be forgotten on the way back.
 */
import type { ColumnType, JSONColumnType } from 'kysely'
import type { EventArgs } from '../../chain/index.ts'

/** 96 bits and more: a decimal string both ways, never a double. */
type Amount = ColumnType<string, string | bigint, string | bigint>

/** Blocks of the chain with at least one event of ours. */
export interface BlocksTable {
  number: number
  hash: string
  time_s: number
}

/** Where indexing stood: the newest is the head, the others serve to find where two branches part. */
export interface CheckpointsTable {
  number: number
  hash: string
  time_s: number
}

/** What contracts said, word for word. */
export interface EventsTable {
  block: number
  /** Place of the log in its block. */
  place: number
  tx: string
  /** Name of the contract in the deployment. */
  contract: string
  address: string
  name: string
  args: JSONColumnType<EventArgs>
}

/** Who is named in an event: address or node key. */
export interface MentionsTable {
  name: string
  block: number
  place: number
}

/** What an event amounts to: so much, of what, whose. Sums over it are supply, burns, rewards, stake. */
export interface EntriesTable {
  block: number
  place: number
  /** An event may make several. */
  part: number
  measure: string
  unit: string
  /** Whose: an address, or '' when nobody's. */
  owner: string
  region: string
  amount: Amount
  time_s: number
}

/** For how long a node asked the same terms, as its signed offers say. */
export interface TermsTable {
  node: string
  /** Issue of the first offer with these terms, and end of the last. */
  since_s: number
  until_s: number
  /** When it was last found; may lag a minute. */
  seen_s: number
  payee: string
  channels: string
  country: string
  /** Part of the country, and city; '' when the offer does not say. */
  region: string
  city: string
  /** 0 when the offer does not say. */
  asn: number
  line: string
  /** What the line is said to carry; 0 when the offer does not say. */
  mbps: number
  tier: string
  /** Units per GiB. */
  price: Amount
  relay: boolean
  /** How it is reached, in words: `tls`, `ws`, `relay`. */
  ways: string
}

/** Facts about the store itself. */
export interface MetaTable {
  key: string
  value: string
}

export interface Database {
  blocks: BlocksTable
  checkpoints: CheckpointsTable
  events: EventsTable
  mentions: MentionsTable
  entries: EntriesTable
  terms: TermsTable
  meta: MetaTable
}
