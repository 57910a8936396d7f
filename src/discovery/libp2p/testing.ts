/** What tests of several rooms need: nodes of the network on this machine, and a reader of what they spread. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../protocol/clock.ts'
import { silent } from '../../protocol/observe.ts'
import { type Contact, type Libp2pDiscovery, type Libp2pOptions, libp2pDiscovery } from './index.ts'

/** Everything on this machine may be dialled. */
export const HERE = { blocked: ['0.0.0.0/0', '::/0'], allowed: ['127.0.0.0/8'] }

/** A node that others can ask; it is reached when this resolves. */
export async function servingNode(clock: Clock, more: Partial<Libp2pOptions> = {}): Promise<Libp2pDiscovery & { contact: Contact }> {
  const host = '127.0.0.1'
  const serve = { listen: { host, port: 0 }, announce: host, upnp: false, seed: randomBytes(32) }
  const node = libp2pDiscovery({ clock, observer: silent, reachable: HERE, bootstrap: [], contacts: [], serve, ...more })
  while (node.own() === undefined) await new Promise((resolve) => setTimeout(resolve, 20))
  return Object.assign(node, { contact: node.own()! })
}

/** A node that only looks, at these. */
export const lookingNode = (clock: Clock, contacts: readonly Contact[], more: Partial<Libp2pOptions> = {}): Libp2pDiscovery =>
  libp2pDiscovery({ clock, observer: silent, reachable: HERE, bootstrap: [], contacts, ...more })
