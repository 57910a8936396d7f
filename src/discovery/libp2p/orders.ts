/** What passes between the program and the thread libp2p runs in. Bytes and plain facts: nothing there is shared. */
import type { Hex } from '../../protocol/bytes.ts'
import type { CounterName } from '../../protocol/observe.ts'
import type { Endpoint, Reachable } from './addresses.ts'
import type { Look } from './courier.ts'
import type { Contact } from './messages.ts'

export interface Setup {
  clockAheadMs: number
  /** Undefined for a node that only looks. */
  serve?: { listen: Endpoint; announce?: string | undefined; upnp: boolean; seed: Uint8Array } | undefined
  reachable: Reachable
  /** Path of a table of autonomous systems; undefined for none. */
  asnTable?: string | undefined
  localAddress?: string | undefined
  /** Host names allowed: the owner named them. */
  bootstrap: readonly Endpoint[]
  /** Known from before. */
  contacts: readonly Contact[]
}

export type Order =
  | { do: 'announce'; bytes: Uint8Array }
  | { do: 'withdraw'; nodeKey: Hex }
  | { do: 'meet'; contacts: Contact[] }
  | { do: 'seek'; country: string }
  | { do: 'look'; turn: number }
  | { do: 'stop' }

export interface NetState {
  /** `looking` for a node that never serves; `private` until others were seen to reach this one. */
  mode: 'looking' | 'private' | 'serving'
  /** Nodes that answered lately. */
  contacts: number
  connections: number
  /** In the routing table. */
  table: number
  /** Offers kept for others, our own included. */
  kept: number
}

export type Report =
  | { did: 'ready'; own: Contact | undefined }
  | { did: 'offer'; bytes: Uint8Array }
  | ({ did: 'looked'; turn: number } & Look)
  | { did: 'announced'; keepers: number }
  | { did: 'contacts'; contacts: Contact[]; own: Contact | undefined; state: NetState }
  | { did: 'count'; name: CounterName; by: number; labels: Readonly<Record<string, string>> }
