/** Records for tests: short makers, and random journals in which every record may legally follow the ones before. */
import fc from 'fast-check'
import type { Hex } from '../protocol/bytes.ts'
import { numeratorOf, owed, unitsOf } from '../protocol/price.ts'
import { apply, Book, type Channel, type Session } from './book.ts'
import type { CloseReason, JournalRecord, RecordOf, Role } from './records.ts'

/** `length` bytes of hex, different for each `seed`. */
export const hexOf = (length: number, seed: number | string): Hex => {
  const digits = Buffer.from(String(seed)).toString('hex')
  return `0x${digits.padStart(length * 2, '0').slice(-length * 2)}`
}

export const WALLET = hexOf(20, 'wallet')
export const ROOT = hexOf(32, 'root')

export const genesis = (role: Role = 'provider'): RecordOf<'genesis'> => ({
  kind: 'genesis',
  version: 1,
  role,
  chainId: 31337,
  channels: hexOf(20, 'channels'),
  token: hexOf(20, 'token'),
  wallet: WALLET,
  atMs: 1,
})

export const descriptorOf = (rootId: Hex = ROOT, sum = 10n ** 9n) => ({
  payer: hexOf(20, 'payer'),
  signer: hexOf(20, 'signer'),
  root: rootId,
  sum,
  expiry: 2_000_000_000,
  depth: 4,
  nonce: 0n,
})

export const accepted = (index = 0, cap = 10n ** 9n, rootId = ROOT): RecordOf<'channel-accepted'> => ({
  kind: 'channel-accepted',
  rootId,
  index,
  descriptor: descriptorOf(rootId),
  payee: WALLET,
  cap,
  salt: hexOf(32, index),
  siblings: [],
  atMs: 2,
})

export const planned = (caps: readonly bigint[], rootId = ROOT): RecordOf<'root-planned'> => ({
  kind: 'root-planned',
  rootId,
  descriptor: descriptorOf(
    rootId,
    caps.reduce((a, b) => a + b, 0n),
  ),
  leaves: caps.map((cap, index) => ({ payee: hexOf(20, `payee${index}`), cap, salt: hexOf(32, index) })),
  signerNonce: 0n,
  atMs: 2,
})

export const rootOpened = (rootId = ROOT): RecordOf<'root-opened'> => ({ kind: 'root-opened', rootId, tx: hexOf(32, 'open'), atMs: 2 })

interface SessionFields {
  base?: bigint
  index?: number
  pricePerGib?: bigint
  rootId?: Hex
  carriedUp?: bigint
  carriedDown?: bigint
}

export const opened = (id: number | string, fields: SessionFields = {}): RecordOf<'session-opened'> => ({
  kind: 'session-opened',
  rootId: ROOT,
  index: 0,
  sessionId: hexOf(16, id),
  peer: hexOf(32, 'peer'),
  country: 'DE',
  pricePerGib: 1_000_000n,
  base: 0n,
  carriedUp: 0n,
  carriedDown: 0n,
  atMs: 3,
  ...fields,
})

/** The voucher that pays for `up` + `down` bytes of a session opened with the same fields. */
export const voucher = (
  id: number | string,
  up: bigint,
  down: bigint,
  fields: SessionFields & { disputed?: bigint; signature?: Hex } = {},
): RecordOf<'voucher'> => {
  const { base = 0n, index = 0, pricePerGib = 1_000_000n, rootId = ROOT, disputed = 0n } = fields
  const numerator = owed(base, up + down, pricePerGib)
  const cumulative = unitsOf(numerator)
  const signature = fields.signature ?? hexOf(64, `signature of ${cumulative}`)
  return { kind: 'voucher', rootId, index, sessionId: hexOf(16, id), up, down, disputed, numerator, cumulative, signature, atMs: 4 }
}

export const closed = (
  id: number | string,
  up: bigint,
  down: bigint,
  reason: CloseReason = 'done',
  index = 0,
): RecordOf<'session-closed'> => ({
  kind: 'session-closed',
  rootId: ROOT,
  index,
  sessionId: hexOf(16, id),
  up,
  down,
  reason,
  atMs: 5,
})

export const claimSent = (tx: number, cumulative: bigint, index = 0): RecordOf<'claim-sent'> => ({
  kind: 'claim-sent',
  tx: hexOf(32, tx),
  vouchers: [{ rootId: ROOT, index, cumulative }],
  atMs: 6,
})

export const claimSettled = (tx: number, paid: bigint, fee = 0n, index = 0, burnt = 0n): RecordOf<'claim-settled'> => ({
  kind: 'claim-settled',
  tx: hexOf(32, tx),
  amount: paid,
  fee,
  burnt,
  channels: [{ rootId: ROOT, index, paid }],
  atMs: 7,
})

/** One step of a random journal: what to try, and numbers to do it with. */
interface Step {
  action: string
  pick: number
  bytes: bigint
  /** Thousandths of whatever the action divides. */
  part: number
}

const CHANNELS = 4
const CAP = 5_000_000n
const SECOND_ROOT = hexOf(32, 'root2')

/**
 * Random journals of a role, of up to `length` records. Each action becomes a record that may follow the ones before, or nothing when there
 * is none; some records come twice, as after a crash.
 */
export function journals(role: Role, length = 60): fc.Arbitrary<JournalRecord[]> {
  const actions = role === 'provider' ? PROVIDER_ACTIONS : CONSUMER_ACTIONS
  const step = fc.record({
    action: fc.constantFrom(...Object.keys(actions)),
    pick: fc.nat(1000),
    bytes: fc.bigInt({ min: 0n, max: 2n ** 28n }),
    part: fc.nat(1000),
  })
  // Small numbers are what most runs would get; the interesting journals have middling ones.
  return fc.array(fc.noBias(step), { maxLength: length, size: 'max' }).map((steps) => write(role, actions, steps))
}

type Actions = Record<string, (book: Book, step: Step) => JournalRecord | undefined>

function write(role: Role, actions: Actions, steps: readonly Step[]): JournalRecord[] {
  const book = new Book()
  const records: JournalRecord[] = []
  const add = (record: JournalRecord | undefined) => {
    if (record === undefined) return
    apply(book, record)
    records.push(record)
  }
  add(genesis(role))
  if (role === 'consumer')
    for (const record of [planned([CAP, CAP]), rootOpened(), planned([CAP, CAP], SECOND_ROOT), rootOpened(SECOND_ROOT)]) add(record)
  else for (let index = 0; index < CHANNELS; index++) add(accepted(index, CAP, index < 2 ? ROOT : SECOND_ROOT))
  for (const [position, step] of steps.entries()) {
    const record = actions[step.action]!(book, step)
    add(record === undefined ? undefined : { ...record, atMs: 10 + position })
    if (record !== undefined && step.pick % 7 === 0 && record.kind !== 'session-closed') add({ ...record, atMs: 10 + position })
  }
  return records
}

const among = <T>(items: readonly T[], { pick }: Step): T | undefined => items[pick % items.length]
const openChannels = (book: Book) => [...book.channels.values()].filter(({ root }) => root.state === 'open')
const part = (of: bigint, thousandths: number): bigint => (of * BigInt(thousandths)) / 1000n

const SESSION_ACTIONS: Actions = {
  open(book, step) {
    const channel = among(openChannels(book), step)
    if (channel === undefined) return undefined
    const { rootId, index } = channel
    const owing = book.genesis?.role === 'provider' ? book.counterparty(channel.root.descriptor.payer).unpaidBytes : 0n
    const carriedDown = step.pick % 3 === 0 ? owing : 0n
    return opened(`s${book.sessions.size}`, { rootId, index, base: channel.numerator, pricePerGib: BigInt(step.pick * 1000), carriedDown })
  },
  pay(book, step) {
    const payable = [...book.sessions.values()].filter(({ channel }) => channel.root.state === 'open')
    // Mostly the newest: an older one is below its channel's debt once another has paid.
    const session = among(step.pick % 4 === 0 ? payable : payable.slice(-1), step)
    return session && paying(session, step)
  },
  close(book, step) {
    const session = among([...book.sessions.values()], step)
    if (session === undefined) return undefined
    const { channel, up, down, id } = session
    const more = step.pick % 2 === 0 ? step.bytes : 0n
    return {
      kind: 'session-closed',
      rootId: channel.rootId,
      index: channel.index,
      sessionId: id,
      up: up + more,
      down,
      reason: 'done',
      atMs: 0,
    }
  },
  highWater(book, step) {
    const channel = among(openChannels(book), step)
    if (channel === undefined || step.pick % 3 !== 0) return undefined
    const { rootId, index, cumulative, cap } = channel
    const mark = cumulative + part(cap - cumulative, step.part)
    const seen = step.pick % 2 === 0 ? { signature: hexOf(64, mark.toString()), numerator: numeratorOf(mark) + 7n } : {}
    return { kind: 'high-water', rootId, index, cumulative: mark, source: step.pick % 5 === 0 ? 'chain' : 'peer', ...seen, atMs: 0 }
  },
  start: () => ({ kind: 'started', atMs: 0 }),
}

function paying(session: Session, { bytes, part: thousandths, pick }: Step): JournalRecord | undefined {
  const { channel, base, pricePerGib, id } = session
  const up = session.up + part(bytes, thousandths)
  const down = session.down + bytes - part(bytes, thousandths)
  const numerator = owed(base, up + down, pricePerGib)
  const cumulative = unitsOf(numerator)
  if (cumulative > channel.cap || cumulative < channel.cumulative) return undefined
  const { rootId, index } = channel
  const disputed = session.disputed + (pick % 11 === 0 ? 1n : 0n)
  return {
    kind: 'voucher',
    rootId,
    index,
    sessionId: id,
    up,
    down,
    disputed,
    numerator,
    cumulative,
    signature: hexOf(64, cumulative.toString()),
    atMs: 0,
  }
}

const claimOf = (channels: readonly Channel[], { part: thousandths }: Step) =>
  channels.map(({ rootId, index, paid, cumulative }) => ({ rootId, index, cumulative: paid + part(cumulative - paid, thousandths) }))

const PAY_OFTEN: Actions = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`pay${n}`, SESSION_ACTIONS.pay!]))

const PROVIDER_ACTIONS: Actions = {
  ...SESSION_ACTIONS,
  ...PAY_OFTEN,
  send(book, step) {
    const channels = openChannels(book).filter(({ index }) => (step.pick >> index) % 2 === 0)
    return channels.length === 0
      ? undefined
      : { kind: 'claim-sent', tx: hexOf(32, `tx${book.length}`), vouchers: claimOf(channels, step), atMs: 0 }
  },
  settle(book, step) {
    const claim = among([...book.pendingClaims.values()], step)
    return claim && settling(book, claim.tx, claim.vouchers, step)
  },
  settleForeign(book, step) {
    return settling(book, hexOf(32, `foreign${book.length}`), claimOf(openChannels(book), step), step)
  },
  failClaim(book, step) {
    const claim = among([...book.pendingClaims.values()], step)
    return claim && { kind: 'claim-failed', tx: claim.tx, why: 'reverted', atMs: 0 }
  },
  closeRoot(book, step) {
    const root = among([...book.roots.values()], step)
    if (root === undefined || step.pick % 5 !== 0) return undefined
    return { kind: 'root-closed', rootId: root.rootId, refund: 0n, tx: hexOf(32, `close${book.length}`), atMs: 0 }
  },
}

function settling(book: Book, tx: Hex, claimed: readonly { rootId: Hex; index: number; cumulative: bigint }[], step: Step): JournalRecord {
  const channels = claimed.map(({ rootId, index, cumulative }) => {
    // A claim overtaken by another finds more paid than it asked for; now and then the chain knows of vouchers this folder lost.
    const { paid, cap } = book.channel(rootId, index)!
    const now = cumulative > paid ? cumulative : paid
    return { rootId, index, paid: step.pick % 13 === 0 ? now + part(cap - now, step.part) : now }
  })
  const amount = channels.reduce((sum, { rootId, index, paid }) => sum + paid - book.channel(rootId, index)!.paid, 0n)
  const most = book.paid + amount - book.fees - book.burnt
  const fee = step.pick % 2 === 0 ? 0n : part(most < amount ? most : amount, step.part)
  const left = most - fee < amount - fee ? most - fee : amount - fee
  const burnt = step.pick % 3 === 0 ? 0n : left / 10n
  return { kind: 'claim-settled', tx, amount, fee, burnt, channels, atMs: 0 }
}

const CONSUMER_ACTIONS: Actions = {
  ...SESSION_ACTIONS,
  ...PAY_OFTEN,
  closeRoot(book, step) {
    const root = among([...book.roots.values()], step)
    if (root?.state !== 'open' && root?.state !== 'closed') return undefined
    const left = root.descriptor.sum - root.refunded
    const refund = step.pick % 2 === 0 ? left : part(left, step.part)
    return { kind: 'root-closed', rootId: root.rootId, refund, tx: hexOf(32, `close${book.length}`), atMs: 0 }
  },
}
