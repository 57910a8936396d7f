/**
 * What an application asks of a route, written into the proxy username as the market does:
 *
 *   ACCOUNT[-country-xx][-region-NAME][-city-NAME][-asn-N][-type-residential|hosting|mobile][-session-ID][-sessionduration-MIN]
 *          [-split-N][-maxprice-DOLLARS][-provider-KEY][-strict-1][-hops-N]
 *
 * The same keys may come as `Byway-*` request headers (`Byway-Country: de`). Nothing is ignored: an unknown key, a key given twice or a
 * value out of range refuses the request and says why, because traffic through the wrong country is worse than none.
 */
import { parseDollars } from '../../protocol/dollars.ts'
import { BywayError } from '../../protocol/errors.ts'
import { LINES, type Line } from '../../protocol/offer.ts'
import { MAX_HOPS } from '../places.ts'

export interface RouteParameters {
  readonly account: string
  /** Lower-case ISO 3166 code. */
  readonly country?: string
  readonly region?: string
  readonly city?: string
  readonly asn?: number
  /** The kind of line. */
  readonly type?: Exclude<Line, 'unstated'>
  /** Flows with one session id leave through one exit while it lasts; without, each flow may leave elsewhere. */
  readonly sessionId?: string
  readonly sessionMinutes: number
  /** Units per GiB. */
  readonly maxPricePerGib?: bigint
  readonly provider?: string
  /** Nodes on the way, the exit included; the owner's setting when not given. */
  readonly hops?: number
  /** Flows are spread over so many exits; those to one destination use the same. */
  readonly split?: number
  /** Fail rather than move to another provider when the one of the session leaves. */
  readonly strict: boolean
}

// --- Fixed by RFC 1929 and by what other gateways accept. ---
const MAX_USERNAME_BYTES = 255
const DEFAULT_SESSION_MINUTES = 10
const MAX_SESSION_MINUTES = 1_440 // a day
const MAX_ASN = 2 ** 32 - 1

// --- Our choices. ---
export const DEFAULT_ACCOUNT = 'any'
/** More exits than a page has servers are of no use. */
const MAX_SPLIT = 16
/** Longer ids and keys than any market uses, short enough to keep as map keys. */
const MAX_VALUE_BYTES = 128
const HEADER_PREFIX = 'byway-'

const WORD = /^[A-Za-z0-9_.]+$/

const KEYS = [
  'country',
  'region',
  'city',
  'asn',
  'type',
  'session',
  'sessionduration',
  'split',
  'maxprice',
  'provider',
  'strict',
  'hops',
] as const
type Key = (typeof KEYS)[number]

/** Spellings of other gateways, so that a scraper works by changing the host. */
const ALIASES: Readonly<Record<string, Key>> = {
  cc: 'country',
  sessid: 'session',
  sesstime: 'sessionduration',
  ttl: 'sessionduration',
  lifetime: 'sessionduration',
}

const TYPES = LINES.filter((line) => line !== 'unstated')
const TYPE_ALIASES: Readonly<Record<string, string>> = { datacenter: 'hosting', isp: 'residential', cellular: 'mobile' }

type Given = Map<Key, string>
type Draft = { -readonly [K in keyof RouteParameters]: RouteParameters[K] }

/** Throws PROXY_PARAMETER_UNKNOWN or PROXY_PARAMETER_INVALID. `undefined` or empty means no credentials were sent. */
export function parseUsername(username: string | undefined): RouteParameters {
  const text = username ?? ''
  const known = parsed.get(text)
  if (known !== undefined) return known
  const parameters = parseParameters(text, [])
  parsed.set(text, parameters)
  if (parsed.size > MAX_PARSED) parsed.delete(parsed.keys().next().value!)
  return parameters
}

/** An application says the same with each of its connections, thousands of times. */
const parsed = new Map<string, RouteParameters>()
/** Usernames of a scraper with a session each. */
const MAX_PARSED = 1_024

/**
 * `headers` are name and value in turn, as `rawHeaders` has them; other names than `Byway-*` are passed over. A key may come both ways only
 * with the same value.
 */
export function parseParameters(username: string | undefined, headers: readonly string[]): RouteParameters {
  const { account, given } = readUsername(username ?? '')
  for (const [key, value] of readHeaders(headers)) {
    if ((given.get(key) ?? value) !== value) throw invalid(key, 'differs between the username and the header')
    given.set(key, value)
  }
  const parameters: Draft = { account, sessionMinutes: DEFAULT_SESSION_MINUTES, strict: false }
  for (const [key, value] of given) READERS[key](parameters, value)
  return parameters
}

/** Whether a header speaks to this proxy and must not travel on. */
export function isParameterHeader(name: string): boolean {
  return name.toLowerCase().startsWith(HEADER_PREFIX)
}

/** Equal for equal parameters: what may share a pooled connection. */
export function parametersKey(parameters: RouteParameters): string {
  const known = keys.get(parameters)
  if (known !== undefined) return known
  const fields = Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1))
  const key = fields.map(([name, value]) => `${name}=${String(value)}`).join(' ')
  keys.set(parameters, key)
  return key
}

const keys = new WeakMap<RouteParameters, string>()

function readUsername(username: string): { account: string; given: Given } {
  if (username === '') return { account: DEFAULT_ACCOUNT, given: new Map() }
  if (username.length > MAX_USERNAME_BYTES) throw invalid('username', `is longer than ${MAX_USERNAME_BYTES} bytes`)
  const [account = '', ...words] = username.split('-')
  if (!WORD.test(account)) throw invalid('account', 'must be letters, digits, _ or .')
  if (words.length % 2 === 1) throw invalid(words.at(-1)!, 'has no value; write key-value pairs after the account')
  const given: Given = new Map()
  for (let i = 0; i < words.length; i += 2) put(given, words[i]!, words[i + 1]!)
  return { account, given }
}

/** `Byway-Max-Price` and `Byway-MaxPrice` are both `maxprice`: headers are written with hyphens, usernames cannot be. */
function readHeaders(headers: readonly string[]): Given {
  const given: Given = new Map()
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (isParameterHeader(headers[i]!)) put(given, headers[i]!.slice(HEADER_PREFIX.length).replaceAll('-', ''), headers[i + 1]!)
  }
  return given
}

function put(given: Given, name: string, value: string): void {
  const lower = name.toLowerCase()
  const key = Object.hasOwn(ALIASES, lower) ? ALIASES[lower]! : KEYS.find((known) => known === lower)
  if (key === undefined) {
    throw new BywayError('PROXY_PARAMETER_UNKNOWN', `unknown route parameter ${shown(name)}`, { hint: `Known are ${KEYS.join(', ')}.` })
  }
  if (given.has(key)) throw invalid(key, 'is given twice')
  if (value.length > MAX_VALUE_BYTES || !WORD.test(value)) throw invalid(key, `must be 1 to ${MAX_VALUE_BYTES} letters, digits, _ or .`)
  given.set(key, value)
}

const READERS: Readonly<Record<Key, (parameters: Draft, value: string) => void>> = {
  country: (parameters, value) => {
    if (!/^[A-Za-z]{2}$/.test(value)) throw invalid('country', 'must be a two-letter country code')
    parameters.country = value.toLowerCase()
  },
  region: (parameters, value) => {
    parameters.region = value.toLowerCase()
  },
  city: (parameters, value) => {
    parameters.city = value.toLowerCase()
  },
  asn: (parameters, value) => {
    parameters.asn = integer('asn', value, 1, MAX_ASN)
  },
  type: (parameters, value) => {
    const type = TYPES.find((known) => known === (TYPE_ALIASES[value] ?? value))
    if (type === undefined) throw invalid('type', `must be ${TYPES.join(', ')}`)
    parameters.type = type
  },
  session: (parameters, value) => {
    parameters.sessionId = value
  },
  sessionduration: (parameters, value) => {
    parameters.sessionMinutes = integer('sessionduration', value, 1, MAX_SESSION_MINUTES)
  },
  split: (parameters, value) => {
    parameters.split = integer('split', value, 2, MAX_SPLIT)
  },
  maxprice: (parameters, value) => {
    const price = parseDollars(value)
    if (price === undefined) throw invalid('maxprice', 'must be dollars per GiB, such as 0.5')
    parameters.maxPricePerGib = price
  },
  provider: (parameters, value) => {
    parameters.provider = value
  },
  hops: (parameters, value) => {
    parameters.hops = integer('hops', value, 1, MAX_HOPS)
  },
  strict: (parameters, value) => {
    if (value !== '0' && value !== '1') throw invalid('strict', 'must be 0 or 1')
    parameters.strict = value === '1'
  },
}

function integer(key: Key, value: string, min: number, max: number): number {
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= min && number <= max)) throw invalid(key, `must be a number from ${min} to ${max}`)
  return number
}

function invalid(what: string, why: string): BywayError {
  return new BywayError('PROXY_PARAMETER_INVALID', `route parameter ${shown(what)} ${why}`, {
    hint: 'Usernames read ACCOUNT-country-de-session-a1-sessionduration-30.',
  })
}

/** A name from outside, short and harmless enough for a message. */
function shown(name: string): string {
  return JSON.stringify(name.slice(0, 32).replaceAll(/[^\x20-\x7e]/g, '?'))
}
