/** Small mistakes in Solidity, made one at a time by text: what mutate.ts plants. Pure: text in, mutants out. */

export interface Mutant {
  readonly file: string
  readonly line: number
  /** What was done, in a word or two. */
  readonly kind: string
  readonly before: string
  readonly after: string
  /** The whole file with the mistake in it. */
  readonly text: string
}

/** Where a text may be changed: outside comments, strings, imports, and declarations that only name things. */
function codeMask(text: string): boolean[] {
  const mask = new Array<boolean>(text.length).fill(true)
  const hide = (pattern: RegExp): void => {
    for (const match of text.matchAll(pattern)) mask.fill(false, match.index, match.index + match[0].length)
  }
  hide(/\/\/[^\n]*/g)
  hide(/\/\*[\s\S]*?\*\//g)
  hide(/"(?:[^"\\\n]|\\.)*"/g)
  hide(/^(?:pragma|import|using)\b[^;]*;/gm)
  hide(/^\s*(?:error|event)\s[^;]*;/gm)
  hide(/^\s*(?:struct|enum)\s[^}]*\}/gm)
  hide(/^\s*emit\s[^;]*;/gm)
  return mask
}

interface Swap {
  kind: string
  pattern: RegExp
  to: (found: string) => string
}

const table = (kind: string, pairs: Record<string, string>, pattern: RegExp): Swap => ({
  kind,
  pattern,
  to: (found) => found.replace(found.trim(), pairs[found.trim()]!),
})

const SWAPS: readonly Swap[] = [
  table('boundary', { '<': '<=', '<=': '<', '>': '>=', '>=': '>' }, / (?:<=|>=|<|>) /g),
  table('negated', { '==': '!=', '!=': '==' }, / (?:==|!=) /g),
  table('logic', { '&&': '||', '||': '&&' }, /(?<=\s)(?:&&|\|\|)(?=\s)/g),
  table('arithmetic', { '+': '-', '-': '+', '*': '/', '/': '*' }, / [+\-*/] /g),
  table('assignment', { '+=': '-=', '-=': '+=' }, / (?:\+=|-=) /g),
  table('min and max', { 'Math.min(': 'Math.max(', 'Math.max(': 'Math.min(' }, /Math\.(?:min|max)\(/g),
  table('rounding', { 'Rounding.Ceil': 'Rounding.Floor' }, /Rounding\.Ceil/g),
  table('truth', { true: 'false', false: 'true' }, /\b(?:true|false)\b/g),
  { kind: 'constant', pattern: /(?<![\w.])\d[\d_]*(?![\w.])/g, to: (found) => (found === '0' ? '1' : `(${found} + 1)`) },
]

/** Statements that can be taken out: refusals, and effects. Declarations and returns would not compile without them. */
const REMOVALS: readonly { kind: string; pattern: RegExp }[] = [
  { kind: 'no refusal', pattern: /(?<=\n) *(?:else )?if \((?:[^{};]|\n)*?\) revert [^;]*;/g },
  { kind: 'no refusal', pattern: /(?<=\n) *if \([^{};]*?\) \{\s*revert [^;]*;\s*\}/g },
  {
    kind: 'no statement',
    pattern: /(?<=[;{}]\n) {8,}(?:delete |\+\+|--)?[A-Za-z_][\w.[\]()]*(?:\[[^\n=]*\]|\.\w+)*(?: [-+]?= [^;{}]*|\([^;{}]*\));(?=\n)/g,
  },
]

/** Calls of two plain arguments, in the other order; not of those that mean the same either way. */
const SWAPPED = /(?<=\w\()(?<!\b(?:add|mul|and|or|xor|eq|min|max)\()([\w.]+), ([\w.]+)(?=\))/g

const lineOf = (text: string, at: number): number => text.slice(0, at).split('\n').length

/** The lines that `from` and `to` touch, without indentation. */
function lines(text: string, from: number, to: number): string {
  const start = text.lastIndexOf('\n', from - 1) + 1
  const end = text.indexOf('\n', to)
  return text
    .slice(start, end === -1 ? text.length : end)
    .replace(/\s+/g, ' ')
    .trim()
}

export function mutantsOf(file: string, text: string): Mutant[] {
  const mask = codeMask(text)
  const mutants: Mutant[] = []
  const add = (kind: string, at: number, from: string, to: string): void => {
    if (from === to || !mask.slice(at, at + from.length).every(Boolean)) return
    const changed = text.slice(0, at) + to + text.slice(at + from.length)
    const first = at + (from.length - from.trimStart().length)
    mutants.push({
      file,
      kind,
      line: lineOf(text, first),
      before: lines(text, first, at + from.length),
      after: lines(changed, Math.min(first, at + to.length), at + to.length),
      text: changed,
    })
  }
  for (const { kind, pattern, to } of SWAPS) for (const match of text.matchAll(pattern)) add(kind, match.index, match[0], to(match[0]))
  for (const { kind, pattern } of REMOVALS) for (const match of text.matchAll(pattern)) add(kind, match.index, match[0], '')
  for (const match of text.matchAll(SWAPPED)) add('swapped', match.index, match[0], `${match[2]}, ${match[1]}`)
  return mutants
}
