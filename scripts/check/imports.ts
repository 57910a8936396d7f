/**
 * Import directions: which room may know which. Rules of thumb live in heads; this one lives in a table.
 *
 * Ideas point downwards: protocol and economy know nobody, the wallet, the chain, discovery and the tunnel know the protocol, the two
 * daemons know the rooms they use, api and cli may show anything, and main.js wires. An import of a type counts like any other.
 */
import { posix } from 'node:path'

const MONEY_AND_BYTES = ['protocol', 'economy', 'chain', 'wallet', 'discovery', 'tunnel'] as const
const ALL = [...MONEY_AND_BYTES, 'prober', 'provider', 'consumer', 'explorer', 'api', 'cli'] as const

/** A room, and the others it may import from. `main` is src/main.js. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  economy: [],
  chain: ['protocol'],
  wallet: ['protocol'],
  discovery: ['protocol', 'economy'],
  tunnel: ['protocol'],
  prober: ['protocol', 'economy', 'chain'],
  provider: MONEY_AND_BYTES,
  consumer: MONEY_AND_BYTES,
  // Of the wallet only the lock on a folder, of the api only how problems are written: it holds no money and runs beside the daemons.
  explorer: ['protocol', 'economy', 'chain', 'wallet', 'discovery', 'api'],
  api: [...MONEY_AND_BYTES, 'provider', 'consumer'],
  cli: ALL,
  main: ALL,
}

/** Rooms that compute and nothing else: no disk, no network, no process. */
const PURE = ['protocol', 'economy']
const OUTSIDE_WORLD =
  /^node:(fs|net|tls|http|https|http2|dgram|dns|child_process|cluster|worker_threads|process|os|readline|tty|ffi|sqlite)(\/|$)/

/** Looks at text, touches nothing, although its module can do much more. */
const HARMLESS = /^\{ (isIP|isIPv4|isIPv6)(, (isIP|isIPv4|isIPv6))* \}$/

export interface Import {
  readonly target: string
  /** What stands between `import` and `from`, on one line. */
  readonly names: string
}

/** Every import, re-export and dynamic import, types included. */
export function importsOf(source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const statements = code.matchAll(/^\s*(?:import|export)\b(?:([^'"`;()=]*?)\bfrom)?\s*(['"])([^'"\n]+)\2/gm)
  const calls = code.matchAll(/\bimport()\(\s*(['"])([^'"\n]+)\2/g)
  return [...statements, ...calls].map((match) => ({ target: match[3]!, names: (match[1] ?? '').trim().replace(/\s+/g, ' ') }))
}

export function checkImports(files: ReadonlyMap<string, string>): string[] {
  const findings: string[] = []
  for (const [path, source] of files) {
    if (!path.startsWith('src/') || !/\.(tsx?|js)$/.test(path)) continue
    for (const found of importsOf(source)) {
      const rule = broken(path, found)
      if (rule !== undefined) findings.push(`${path}: imports ${found.target}: ${rule}`)
    }
  }
  return findings
}

/** The rule an import breaks, or undefined. */
function broken(path: string, { target, names }: Import): string | undefined {
  const room = roomOf(path)
  const allowed = ROOMS[room]
  if (allowed === undefined) return `the room ${room} is not in the table of scripts/check/imports.ts`
  const isTest = path.endsWith('.test.ts')
  if (!target.startsWith('.')) {
    return PURE.includes(room) && !isTest && OUTSIDE_WORLD.test(target) && !HARMLESS.test(names)
      ? `${room} is pure: disk, network and process come in as parameters`
      : undefined
  }
  const found = posix.join(posix.dirname(path), target)
  if (!found.startsWith('src/'))
    return isTest && found.startsWith('test/') ? undefined : 'src imports only from src, and its tests also from test'
  const other = roomOf(found)
  if (other === room || allowed.includes(other)) return undefined
  return `${room} may import ${allowed.length === 0 ? 'no other room' : `only ${allowed.join(', ')}`}`
}

/** `src/wallet/book.ts` is in wallet; `src/main.js` is main. */
const roomOf = (path: string): string => (path.split('/')[1] ?? '').replace(/\.(tsx?|js)$/, '')
