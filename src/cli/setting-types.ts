/**
 * The types a setting can have: how its text is checked, what is allowed, and how a value is shown.
 *
 * A value arrives as text (a flag, a variable) or as a TOML scalar or array; each schema takes all of these, so that a setting means the
 * same wherever it was written.
 */
import { isIP } from 'node:net'
import { validate as isAddress } from 'ox/Address'
import { z } from 'zod'
import { formatDollars, parseDollars } from '../protocol/dollars.ts'

export interface SettingType<T> {
  readonly schema: z.ZodType<T>
  /** Ends the sentence "allowed: ...". */
  readonly allowed: string
  /** Stands for the value in `--flag <placeholder>`; undefined for a switch, which takes none. */
  readonly placeholder: string | undefined
  /** May be given several times, or once with commas. */
  readonly many: boolean
  /** A file or folder: relative to the current folder, or to the config file's own when written there. */
  readonly path: boolean
  /** May hold a secret: `show` masks it, and an error does not repeat what was given. */
  readonly secret: boolean
  readonly show: (value: T) => string
}

/** A config file and a command line stay readable below this; nothing legitimate comes near. */
const MAX_TEXT = 4096
const MAX_LIST = 64
/** A double keeps fifteen decimal digits exactly, so an amount written as a bare TOML number is still what was typed. */
const EXACT_DIGITS = 15

const text = z
  .union([z.string(), z.number(), z.bigint(), z.boolean()])
  .refine((raw) => typeof raw !== 'number' || String(raw).replace(/\D/g, '').length <= EXACT_DIGITS)
  .transform((raw) => String(raw).trim())
  .pipe(z.string().min(1).max(MAX_TEXT))

/** A type from a function that reads one text; `undefined` means refused. */
function scalar<T>(
  placeholder: string,
  allowed: string,
  read: (text: string) => T | undefined,
  show: (value: T) => string = String,
): SettingType<T> {
  const schema = text.transform((raw, context) => {
    const value = read(raw)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: allowed })
    return z.NEVER
  })
  return { schema, allowed, placeholder, many: false, path: false, secret: false, show }
}

/** Several of a kind: an array in the file, commas or repetition elsewhere. */
export function listOf<T>(type: SettingType<T>): SettingType<readonly T[]> {
  const split = z.union([z.array(z.unknown()), text.transform((raw) => raw.split(',').map((part) => part.trim()))])
  return {
    schema: split.pipe(z.array(type.schema).max(MAX_LIST)),
    allowed: `${type.allowed}; several with commas, or the flag several times`,
    placeholder: type.placeholder,
    many: true,
    path: false,
    secret: type.secret,
    show: (values) => (values.length === 0 ? 'none' : values.map(type.show).join(', ')),
  }
}

export function wholeNumber(placeholder: string, min: number, max: number): SettingType<number> {
  return scalar(placeholder, `a whole number from ${min} to ${max}`, (raw) => {
    const value = /^\d{1,15}$/.test(raw) ? Number(raw) : Number.NaN
    return value >= min && value <= max ? value : undefined
  })
}

export function oneOf<const T extends string>(placeholder: string, words: readonly T[]): SettingType<T> {
  return scalar(placeholder, words.join(', '), (raw) => words.find((word) => word === raw))
}

export const dollars: SettingType<bigint> = scalar(
  'dollars',
  'dollars with at most six decimals, such as 0.50',
  parseDollars,
  formatDollars,
)

/** A price, or `auto`: what use of the region makes of it. */
export const price: SettingType<bigint | 'auto'> = scalar(
  'dollars',
  'dollars with at most six decimals, such as 0.50, or auto',
  (raw) => (raw === 'auto' ? raw : parseDollars(raw)),
  (value) => (value === 'auto' ? value : formatDollars(value)),
)

export const port = wholeNumber('port', 0, 65_535)

/** A name or address another machine could connect to: no scheme, no port, no spaces. */
export const host = scalar('host', 'a host name or an IP address', (raw) =>
  isIP(raw) !== 0 || /^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/.test(raw)
    ? raw
    : undefined,
)

/** An address with capitals must have the right ones (EIP-55), which catches a mistyped digit; all lower case is taken as it is. */
export const address = scalar('address', 'an address of 0x and 40 hexadecimal digits', (raw): `0x${string}` | undefined =>
  isAddress(raw) ? (raw.toLowerCase() as `0x${string}`) : undefined,
)

export const country = scalar('country', 'two letters, such as de (zz: not said)', (raw) =>
  /^[a-z]{2}$/i.test(raw) ? raw.toLowerCase() : undefined,
)

/** Where a node answers: `203.0.113.7:4434`, `[2001:db8::7]:4434`, `boot.example:4434`. */
export const endpoint: SettingType<{ host: string; port: number }> = scalar(
  'host:port',
  'a host and a port, such as boot.example:4434 or [2001:db8::7]:4434',
  (raw) => {
    const [, inner, plain = '', port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(raw) ?? []
    const name = inner ?? plain
    const known = inner === undefined ? host.schema.safeParse(name).success : isIP(name) === 6
    return known && Number(port) >= 1 && Number(port) <= 65_535 ? { host: name, port: Number(port) } : undefined
  },
  ({ host: name, port }) => (isIP(name) === 6 ? `[${name}]:${port}` : `${name}:${port}`),
)

/** A name as the proxy username takes it, so without hyphens: `new_york`. */
export const placeName = scalar('name', 'at most 32 letters, digits, _ and ., such as new_york', (raw) =>
  /^[a-z0-9_.]{1,32}$/i.test(raw) ? raw.toLowerCase() : undefined,
)

export const cidr = scalar('cidr', 'a range such as 127.0.0.0/8 or fd00::/8', (raw) => {
  const [base = '', prefix = '', ...rest] = raw.split('/')
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(base)] ?? -1
  return rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits ? raw.toLowerCase() : undefined
})

/** Shown without its path, query and password: that is where RPC services put the customer's key. */
export const rpcUrl: SettingType<string> = {
  ...scalar(
    'url',
    'an http or https address, such as http://127.0.0.1:8545',
    (raw) => {
      const url = URL.canParse(raw) ? new URL(raw) : undefined
      return url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:') ? raw : undefined
    },
    (value) => {
      const url = new URL(value)
      const hidden = url.username !== '' || url.password !== '' || url.search !== '' || url.pathname !== '/'
      return hidden ? `${url.origin}/***` : url.origin
    },
  ),
  secret: true,
}

/** Shown without user, password and query. */
export const databaseUrl: SettingType<string> = {
  ...scalar(
    'url',
    'a PostgreSQL address, such as postgres://user:password@host:5432/database',
    (raw) => (/^postgres(ql)?:\/\//.test(raw) && URL.canParse(raw) ? raw : undefined),
    (value) => `postgres://***@${new URL(value).host}${new URL(value).pathname}`,
  ),
  secret: true,
}

/** Where a website answers; the path, if any, is not part of it. */
export const website = scalar('url', 'an http or https address, such as http://127.0.0.1:8080', (raw) => {
  const url = URL.canParse(raw) ? new URL(raw) : undefined
  const plain = url !== undefined && url.username === '' && url.password === '' && url.pathname === '/' && url.search === ''
  return plain && (url.protocol === 'http:' || url.protocol === 'https:') ? url.origin : undefined
})

export const filePath: SettingType<string> = { ...scalar('path', 'a path', (raw) => raw), path: true }

/** On or off. A bare flag means on. */
export const toggle: SettingType<boolean> = {
  ...scalar('', 'true or false', (raw) => (raw === 'true' || raw === '1' ? true : raw === 'false' || raw === '0' ? false : undefined)),
  placeholder: undefined,
}
