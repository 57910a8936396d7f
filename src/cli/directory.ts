/** The directory of a consumer's daemon: fed by all its sources, kept in its home, ranked by what it saw itself. */

import { createRpc, followSaid, readUse, type SaidFeed } from '../chain/index.ts'
import { Seen } from '../consumer/index.ts'
import { offerCache } from '../discovery/cache.ts'
import { Directory } from '../discovery/directory/index.ts'
import { createFeed, type Feed } from '../discovery/feed.ts'
import { systemClock } from '../protocol/clock.ts'
import { blockedReason, parseCidr } from '../tunnel/egress/address.ts'
import { type ChainMeritsNeeds, chainMerits } from './merits.ts'
import { contractsFor, type NetworkSettings } from './network.ts'
import type { Node } from './node.ts'
import type { Sources } from './sources.ts'

export interface KnownOffers extends Feed {
  readonly directory: Directory
  readonly seen: Seen
}

export interface DirectorySettings extends NetworkSettings {
  /** Ranges in which nodes may be although they are not of the public internet. */
  allowPrivateNodes: readonly string[]
}

export function openDirectory(node: Node, sources: Sources, settings: DirectorySettings): KnownOffers {
  const { network, observer, paths } = node
  const merits = chainMerits({ read: meritsReader(node, settings), clock: systemClock, observer, random: Math.random })
  const seen = new Seen()
  const rules = { own: [], allowPrivate: settings.allowPrivateNodes.map(parseCidr) }
  const directory = new Directory({
    clock: systemClock,
    observer,
    random: Math.random,
    isPublic: (ip) => blockedReason(ip, rules) === undefined,
    domain: { chainId: network.chainId, channels: network.channels },
    seenOf: seen.of,
    meritsOf: merits.of,
  })
  seen.onChanged = (nodeKey) => directory.judge(nodeKey)
  const cache = offerCache(paths.cachedOffers, { clock: systemClock, observer })
  const feed = createFeed({ directory, sources: sources.feeds, cache, observer })
  merits.follow(directory)
  return {
    directory,
    seen,
    fresh: feed.fresh,
    async close() {
      merits.stop()
      await feed.close()
    },
  }
}

/** Reads the chain, where its contracts are known. */
function meritsReader({ network, wallet }: Node, settings: NetworkSettings): ChainMeritsNeeds['read'] {
  const rpc = createRpc({ urls: settings.rpc, chainId: network.chainId })
  let feed: SaidFeed | undefined
  return async (signal) => {
    const contracts = contractsFor(settings, network)
    feed ??= followSaid(rpc, { audits: contracts.audits, serviceAgreements: contracts.serviceAgreements })
    const [use, said] = await Promise.all([readUse(rpc, contracts, wallet.address, 'zz', signal), feed.events(signal)])
    return { ...use, said }
  }
}
