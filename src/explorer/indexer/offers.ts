/** Remembers what nodes ask, by their own signed offers: the history of prices. */
import type { Kysely } from 'kysely'
import type { Hex } from '../../protocol/bytes.ts'
import { LINES, type SignedOffer, TIERS } from '../../protocol/offer.ts'
import type { Database } from '../store/index.ts'

// --- Our choices. Safe to change. ---
/** New terms within this time replace the last ones: a node that changes its price each second makes 288 rows a day and no more. */
const LEAST_STRETCH_S = 300
/** How often it is noted that an offer is still there. */
const NOTED_EVERY_S = 60
/** Not found any more for this long, a node is gone, whatever its last offer says. */
export const GONE_AFTER_S = 300
/** Older terms are forgotten: a year and a month, so that a year can be compared with the one before. */
const KEPT_S = 395 * 86_400
const ROWS = 1_000

export interface OfferRecorder {
  /** Writes down what these offers say, found just now. Returns how many nodes changed their terms. */
  record(offers: readonly SignedOffer[], nowS: number): Promise<number>
}

export function offerRecorder(db: Kysely<Database>): OfferRecorder {
  /** Offers already written, and when that was: most of a round is nothing new. */
  const noted = new Map<Hex, { sequence: bigint; atS: number }>()
  return {
    async record(offers, nowS) {
      const fresh = offers.filter(({ body }) => {
        const before = noted.get(body.nodeKey)
        return before === undefined || before.sequence !== body.sequence || nowS - before.atS >= NOTED_EVERY_S
      })
      let changed = 0
      for (let i = 0; i < fresh.length; i += ROWS) changed += await recordSome(db, fresh.slice(i, i + ROWS), nowS)
      const present = new Set(offers.map(({ body }) => body.nodeKey))
      for (const node of noted.keys()) if (!present.has(node)) noted.delete(node)
      for (const { body } of fresh) noted.set(body.nodeKey, { sequence: body.sequence, atS: nowS })
      await db
        .deleteFrom('terms')
        .where('until_s', '<', nowS - KEPT_S)
        .execute()
      return changed
    },
  }
}

function termsOf({ body }: SignedOffer) {
  return {
    node: body.nodeKey,
    payee: body.payee,
    channels: body.channels,
    country: body.country,
    region: body.region,
    city: body.city,
    asn: body.asn,
    line: LINES[body.line]!,
    mbps: body.mbps,
    tier: TIERS[body.tier]!,
    price: body.pricePerGib.toString(),
    relay: body.relay === 1,
    ways: [...new Set(body.transports.map(({ kind }) => kind))].sort().join(' '),
  }
}
type Terms = ReturnType<typeof termsOf>
const COMPARED = [
  'payee',
  'channels',
  'country',
  'region',
  'city',
  'asn',
  'line',
  'mbps',
  'tier',
  'price',
  'relay',
  'ways',
] as const satisfies readonly (keyof Terms)[]

async function recordSome(db: Kysely<Database>, offers: readonly SignedOffer[], nowS: number): Promise<number> {
  const nodes = offers.map(({ body }) => body.nodeKey)
  return db.transaction().execute(async (trx) => {
    const rows = await trx
      .selectFrom('terms')
      .distinctOn('node')
      .selectAll()
      .where('node', 'in', nodes)
      .orderBy('node')
      .orderBy('since_s', 'desc')
      .execute()
    const last = new Map(rows.map((row) => [row.node, row]))
    const upserts = []
    let changed = 0
    for (const offer of offers) {
      const terms = termsOf(offer)
      // What a node says of the future begins now.
      const issuedS = Math.min(Number(offer.body.issuedAt), nowS)
      const untilS = Number(offer.body.expiresAt)
      const before = last.get(terms.node)
      const same = before !== undefined && before.until_s >= issuedS && COMPARED.every((key) => before[key] === terms[key])
      if (!same) changed += 1
      const replaces = before !== undefined && issuedS - before.since_s < LEAST_STRETCH_S
      const sinceS = before !== undefined && (same || replaces) ? before.since_s : issuedS
      upserts.push({ ...terms, since_s: sinceS, until_s: untilS, seen_s: nowS })
      if (before === undefined || sinceS === before.since_s || before.until_s <= issuedS) continue
      await trx
        .updateTable('terms')
        .set({ until_s: issuedS })
        .where('node', '=', terms.node)
        .where('since_s', '=', before.since_s)
        .execute()
    }
    await trx
      .insertInto('terms')
      .values(upserts)
      .onConflict((conflict) =>
        conflict.columns(['node', 'since_s']).doUpdateSet(({ ref }) => ({
          until_s: ref('excluded.until_s'),
          seen_s: ref('excluded.seen_s'),
          ...Object.fromEntries(COMPARED.map((key) => [key, ref(`excluded.${key}`)])),
        })),
      )
      .execute()
    return changed
  })
}
