/**
 * The tables of docs/ that repeat what a table in the code says. `npx node scripts/docs.ts` writes them, a test compares them.
 *
 * A table stands between `<!-- table:name -->` and `<!-- end -->`; the prose around it is a person's. So are two columns of the errors: the
 * generator keeps what stands there and leaves `?` for a new code, which the test refuses until somebody has explained it.
 */
import { GAUGES, HOP_GAUGES } from '../../src/api/metrics.ts'
import { defaultText } from '../../src/cli/resolve.ts'
import { DEBUG_SWITCHES, kebab, SETTING_KEYS, SETTINGS, variable } from '../../src/cli/settings.ts'
import { ROUTES } from '../../src/explorer/api/app.ts'
import { MEASURES } from '../../src/explorer/indexer/entries.ts'
import { ERRORS } from '../../src/protocol/errors.ts'
import { COUNTERS, WARNINGS } from '../../src/protocol/observe.ts'
import { REASON_CODES } from '../../src/wallet/ledger.ts'

type Row = readonly string[]
/** The rows of a table, title first. `old` gives the cells a person wrote, by the first cell of their row. */
type Table = (old: ReadonlyMap<string, Row>) => Row[]

const TABLES: Readonly<Record<string, Table>> = {
  errors: (old) => [
    ['code', 'meaning', 'HTTP', 'Proxy-Status', 'SOCKS', 'exit', 'retry', 'what to do'],
    ...Object.entries(ERRORS).map(([code, { status, proxyStatus, socks, exit, retry }]) => {
      const written = old.get(`\`${code}\``)
      const facts = [String(status), `\`${proxyStatus}\``, String(socks), String(exit), retry ? 'yes' : 'no']
      return [`\`${code}\``, written?.[1] || '?', ...facts, written?.at(-1) || '?']
    }),
  ],
  reasons: () => [
    ['code', 'the session brought no money because'],
    ...Object.entries(REASON_CODES).map(([code, text]) => [`\`${code}\``, text]),
  ],
  settings: () => [
    ['setting', 'flag', 'variable', 'what it is', 'allowed', 'default', 'commands'],
    ...SETTING_KEYS.map((key) => {
      const { about, type, commands, alias, fallbackText } = SETTINGS[key]
      const flags = [...(alias === undefined ? [] : [`\`--${alias.flag}\` (on ${alias.on.join(', ')})`]), `\`--${kebab(key)}\``].join(', ')
      const shown = fallbackText ?? `\`${defaultText(key).replace(/^default: /, '')}\``
      const where = commands.length > 9 ? 'all' : commands.join(', ')
      return [
        `\`${kebab(key)}\``,
        flags,
        `\`${variable(key)}\``,
        about,
        `${type.allowed}${type.secret ? ' (may hold a secret: masked)' : ''}`,
        shown,
        where,
      ]
    }),
  ],
  debug: () => [['variable', 'what it does'], ...Object.entries(DEBUG_SWITCHES).map(([name, text]) => [`\`${name}\``, text])],
  counters: () => [
    ['metric', 'labels', 'what it counts'],
    ...Object.entries(COUNTERS).map(([name, { help, labels }]) => [
      `\`byway_${name}_total\``,
      labels.map((label) => `\`${label}\``).join(', ') || 'none',
      help,
    ]),
  ],
  gauges: () => [['metric', 'what it tells'], ...Object.entries(GAUGES).map(([name, help]) => [`\`byway_${name}\``, help])],
  hops: () => [['metric', 'what it tells'], ...Object.entries(HOP_GAUGES).map(([name, help]) => [`\`byway_${name}\``, help])],
  routes: () => [
    ['path', 'what it answers', 'parameters'],
    ...ROUTES.map(({ path, summary, query }) => [
      `\`${path}\``,
      summary,
      Object.keys(query.shape)
        .map((name) => `\`${name}\``)
        .join(', ') || 'none',
    ]),
  ],
  measures: () => [['measure', 'what it is'], ...Object.entries(MEASURES).map(([name, about]) => [`\`${name}\``, about])],
  warnings: () => [
    ['code', 'severity', 'what it says'],
    ...Object.entries(WARNINGS).map(([code, { severity, text }]) => [`\`${code}\``, severity, text]),
  ],
}

const PLACE = /<!-- table:(\w+) -->\n([\s\S]*?)<!-- end -->/g

/** A page with each of its tables written anew. */
export function withTables(page: string): string {
  return page.replace(PLACE, (_all, name: string, old: string) => {
    const table = TABLES[name]
    if (table === undefined) throw new Error(`there is no table ${name}; there are ${Object.keys(TABLES).join(', ')}`)
    const [title = [], ...rows] = table(new Map(cellsOf(old).map((cells) => [cells[0] ?? '', cells])))
    const lines = [title, title.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cellText).join(' | ')} |`)
    return `<!-- table:${name} -->\n${lines.join('\n')}\n<!-- end -->`
  })
}

/** Names of the tables on a page. */
export const tablesOn = (page: string): string[] => [...page.matchAll(PLACE)].map((match) => match[1]!)
export const TABLE_NAMES = Object.keys(TABLES)

/** Cells of every row of a Markdown table, as they would be passed to `cellText`. */
export function cellsOf(markdown: string): string[][] {
  return markdown
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    )
}

const cellText = (cell: string): string => cell.replaceAll('|', '\\|')
