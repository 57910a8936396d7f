/**
 * Evidence: what a score is computed from. Everything here was signed and can be checked by anyone; whoever reads it from chain or wire has
 * checked it before it comes here. `proof` names where: a transaction, or the digest of a statement.
 *
 * Signed by whom. Statements are the Registry's: `Statement(kind, stream, counter, content)` by keys of bonded probers, 2f + 1 of a committee
 * drawn after it was called, so that nobody chooses who judges him.
 */

interface Signed {
  /** Unix seconds at which it became known to everybody. */
  readonly atS: number
  readonly proof: string
}

/** A bandwidth audit. Statement of kind `audit`, stream (Audits, operator), counter epoch, content Mbps; the event `Audited` repeats it. */
export interface Audit extends Signed {
  readonly kind: 'audit'
  readonly claimedMbps: number
  readonly provenMbps: number
}

/** A committee was called, and its time passed without a report: `Called` and no `Audited`. The node's fault, or nobody's. */
export interface Silence extends Signed {
  readonly kind: 'silence'
}

/** One hour in which probers asked for a sign of life. Statements of kind `report`, one a prober, counter hour. */
export interface Hour extends Signed {
  readonly kind: 'hour'
  readonly asked: number
  readonly answered: number
}

/**
 * A service agreement that ended. Statement of kind `samples`, after a dispute `appeal`; the event `Ended` of ServiceAgreements. `measured` is
 * false when it ended without a committee: then it says what two parties wished, and counts for nothing.
 */
export interface Agreement extends Signed {
  readonly kind: 'agreement'
  readonly kept: boolean
  readonly measured: boolean
}

/**
 * A session that was paid: the last voucher and the receipt of kind `receipt`, stream session, counter bytes, signed by the node. Proof only to
 * who paid: anybody can pay himself.
 */
export interface Receipt extends Signed {
  readonly kind: 'receipt'
  readonly payer: string
  /** Whether the node carried everything to its end. */
  readonly complete: boolean
}

export type Evidence = Audit | Silence | Hour | Agreement | Receipt
