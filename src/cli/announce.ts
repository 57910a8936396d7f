/** The offer of a provider: announced with the ways there are, each time they change and when it has to be renewed. */
import type { Discovery } from '../discovery/index.ts'
import { type Quote, totalOf } from '../economy/quote.ts'
import type { Hex } from '../protocol/bytes.ts'
import { systemClock } from '../protocol/clock.ts'
import { asBywayError } from '../protocol/errors.ts'
import { encodeOffer, LINES, type Offer, type SignedOffer, signOffer, TIERS, type Transport } from '../protocol/offer.ts'
import { policyHash } from '../tunnel/egress/policy.ts'
import type { Node } from './node.ts'
import type { Settings } from './resolve.ts'
import type { KeysOf } from './settings.ts'

/** An offer lives this long and is renewed at half of it, so that a node that vanished is forgotten within a day. */
export const OFFER_LIFE_S = 86_400
/** How long a start waits for the first way in before it says that there is none yet. A relay is asked within this time. */
const FIRST_WAY_MS = 5_000
/** How often it is looked whether what an offer names besides its ways has changed. */
const BESIDES_EVERY_MS = 5_000
/** Of an offer (docs/protocol.md#offer). */
const MAX_TRANSPORTS = 8

type ShareSettings = Settings<KeysOf<'share'>>['values']

/** What an offer names besides ways in: where its node answers questions about offers. */
type Besides = () => Transport | undefined

/** `pin` is that of our own key, `asked` what the next offer asks. The WebSocket the owner named belongs to the ways whatever else is found. */
export function announceAs(node: Node, settings: ShareSettings, pin: Hex, discovery: Discovery, besides: Besides, asked: () => Quote) {
  const { promise: first, resolve, reject } = Promise.withResolvers<SignedOffer | undefined>()
  setTimeout(() => resolve(undefined), FIRST_WAY_MS).unref()
  const webSockets: Transport[] = settings.wsHost === undefined ? [] : [{ kind: 'ws', host: settings.wsHost, port: settings.wsPort, pin }]
  let ways: Transport[] = webSockets
  let newest: SignedOffer | undefined
  // One after the other: an older offer must not be the last to be written.
  let turn = Promise.resolve()
  const renew = () => {
    if (ways.length === 0) return
    const announcing = async () => {
      const offer = offerOf(node, settings, ways, besides(), asked())
      // Served before the chain names it: who reads there at once must find it.
      newest = offer
      await discovery.announce(offer)
      resolve(offer)
    }
    turn = turn.then(announcing).catch((thrown) => {
      // The first one that fails is a start that fails; later ones are tried again.
      reject(thrown)
      node.observer.log('offer not announced', { why: asBywayError(thrown).message })
    })
  }
  renew()
  // It is found out after the start, and may change.
  let named = besides()
  const watching = setInterval(() => {
    const now = besides()
    if (JSON.stringify(now) === JSON.stringify(named)) return
    named = now
    renew()
  }, BESIDES_EVERY_MS).unref()
  return {
    first,
    renew,
    /** The offer as it was announced last, for who asks this node itself. */
    newest: () => (newest === undefined ? undefined : encodeOffer(newest)),
    stop: () => clearInterval(watching),
    ways(found: Transport[]) {
      // Best first, as consumers try them.
      const next = (['tls', 'ws', 'relay'] as const).flatMap((kind) => [...found, ...webSockets].filter((way) => way.kind === kind))
      ways = next
      node.observer.log('ways in changed', { direct: next.filter(({ kind }) => kind === 'tls').length, ways: next.length })
      renew()
    },
  }
}

export type Announcer = ReturnType<typeof announceAs>

function offerOf(node: Node, settings: ShareSettings, ways: Transport[], besides: Transport | undefined, quote: Quote): SignedOffer {
  const nowS = BigInt(Math.floor(systemClock.nowMs() / 1000))
  const terms: Offer = {
    version: 1,
    nodeKey: node.keys.nodeId,
    payee: node.wallet.address,
    chainId: BigInt(node.network.chainId),
    channels: node.network.channels,
    sequence: nextSequence(),
    issuedAt: nowS,
    expiresAt: nowS + BigInt(OFFER_LIFE_S),
    country: settings.country,
    region: settings.region ?? '',
    city: settings.city ?? '',
    asn: settings.asn,
    line: LINES.indexOf(settings.line),
    mbps: settings.mbps,
    premiums: (['latency', 'scarcity'] as const).filter((name) => quote[name] > 0n).map((name) => ({ name, perGib: quote[name] })),
    transports: besides === undefined ? ways : [...ways.slice(0, MAX_TRANSPORTS - 1), besides],
    pricePerGib: totalOf(quote),
    tier: TIERS.indexOf(settings.policy),
    policyHash: policyHash(settings.policy),
    // Only who can be dialled can bring others together.
    relay: settings.relay && ways.some(({ kind }) => kind === 'tls') ? 1 : 0,
  }
  return signOffer(terms, node.keys.nodeKey)
}

let lastSequence = 0n
/** Milliseconds, but never the same twice: two changes may fall into one. */
function nextSequence(): bigint {
  const nowMs = BigInt(systemClock.nowMs())
  lastSequence = nowMs > lastSequence ? nowMs : lastSequence + 1n
  return lastSequence
}
