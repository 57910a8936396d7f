/**
 * The built-in website: a few pages of somebody's small site, served by Node's own HTTP server the way such servers do (validators, ranges,
 * HEAD, keep-alive, error pages). Nothing in it imitates another server: what a prober measures is what it claims to be.
 *
 * Words, colours and dates follow from the node key, so that two nodes differ and one is the same after every restart. Text made from a known
 * program can be recognised all the same by who looks for it; an owner's own site (`--cover`) is the stronger cover.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

interface Page {
  type: string
  body: Buffer
  etag: string
  modified: Date
}

/** Nothing legitimate sends more to a site that takes no uploads; Node's own default for idle connections stays. */
const MAX_BODY_BYTES = 1_048_576
const DAY_MS = 86_400_000
/** Pages were last changed within the two years before this. */
const NEWEST_MS = Date.UTC(2026, 8, 1)

/** A server of the site that follows from `seed`; not listening yet. */
export function builtInSite(seed: Uint8Array): Server {
  return createServer(siteHandler(seed))
}

/** Answers requests for the site that follows from `seed`. */
export function siteHandler(seed: Uint8Array): (request: IncomingMessage, response: ServerResponse) => void {
  const pages = makePages(seed)
  return (request, response) => {
    let received = 0
    request.on('data', (part: Buffer) => {
      received += part.length
      if (received > MAX_BODY_BYTES) request.destroy()
    })
    const path = pathOf(request.url ?? '/')
    const page = path === undefined ? undefined : pages.get(path)
    if (path === undefined) answerText(request, response, 400, 'Bad Request')
    else if (page === undefined) answerText(request, response, 404, 'Not Found')
    else if (request.method === 'GET' || request.method === 'HEAD') answerPage(request, response, page)
    else {
      response.setHeader('Allow', 'GET, HEAD')
      answerText(request, response, 405, 'Method Not Allowed')
    }
  }
}

/** The path of a request, without query; undefined when it cannot be read. */
function pathOf(target: string): string | undefined {
  try {
    return decodeURIComponent(target.startsWith('/') ? target.split('?', 1)[0]! : new URL(target).pathname)
  } catch {
    // Not a URL, or an escape that stands for no character: the answer is 400.
    return undefined
  }
}

function answerText(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  const body = `<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n<body>\n<pre>${text}</pre>\n</body>\n</html>\n`
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function answerPage(request: IncomingMessage, response: ServerResponse, page: Page): void {
  response.setHeader('Accept-Ranges', 'bytes')
  response.setHeader('Cache-Control', 'public, max-age=0')
  response.setHeader('Last-Modified', page.modified.toUTCString())
  response.setHeader('ETag', page.etag)
  if (isFresh(request, page)) {
    response.writeHead(304).end()
    return
  }
  response.setHeader('Content-Type', page.type)
  const range = rangeOf(request, page)
  if (range === 'unsatisfiable') {
    response.setHeader('Content-Range', `bytes */${page.body.length}`)
    answerText(request, response, 416, 'Range Not Satisfiable')
    return
  }
  const body = range === undefined ? page.body : page.body.subarray(range.from, range.to + 1)
  if (range !== undefined) response.setHeader('Content-Range', `bytes ${range.from}-${range.to}/${page.body.length}`)
  response.writeHead(range === undefined ? 200 : 206, { 'Content-Length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** RFC 9110, section 13.2.2: the entity tag, if one is sent, decides alone. */
function isFresh({ headers }: IncomingMessage, page: Page): boolean {
  const tags = headers['if-none-match']
  if (tags !== undefined)
    return tags.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === page.etag.replace(/^W\//, ''))
  const since = Date.parse(headers['if-modified-since'] ?? '')
  return since >= page.modified.getTime()
}

/** The one range asked for; undefined for none, several, or one that makes no sense: then the whole page is sent. */
function rangeOf({ headers }: IncomingMessage, page: Page): { from: number; to: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.range ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  const size = page.body.length
  const [from, to] =
    match[1] === '' ? [Math.max(0, size - Number(match[2])), size - 1] : [Number(match[1]), match[2] === '' ? size - 1 : Number(match[2])]
  if (from >= size || (match[1] === '' && Number(match[2]) === 0)) return 'unsatisfiable'
  return to < from ? undefined : { from, to: Math.min(to, size - 1) }
}

const NAMES = [
  'Anna',
  'Jonas',
  'Mira',
  'Tomas',
  'Elena',
  'Felix',
  'Ines',
  'Oskar',
  'Lea',
  'Marek',
  'Nora',
  'Pavel',
  'Ruth',
  'Samuel',
  'Vera',
  'Willem',
]
const HOBBIES = [
  'film cameras',
  'sourdough',
  'bicycles',
  'mechanical keyboards',
  'alpine walks',
  'bird song',
  'old radios',
  'houseplants',
  'chess problems',
  'bookbinding',
  'sailing',
  'woodworking',
  'night trains',
  'fountain pens',
  'bee keeping',
  'typography',
]
const VERBS = ['Notes on', 'Thoughts about', 'A small log of', 'Mostly', 'Learning about', 'Years of', 'An archive of', 'Letters on']
const SENTENCES = [
  'I started this page to keep track of what I learn.',
  'There is no schedule; I write when something works.',
  'Comments are closed, but I like to get mail.',
  'Most of the photographs are still on another disk.',
  'The older entries will be moved here when I find the time.',
  'Everything here may be used freely, with a word of thanks.',
  'This site needs no cookies and no scripts.',
  'The weather was better last year.',
  'If something is broken, that is me trying things out.',
  'It runs on a small machine in a cupboard.',
  'The next part will be about what went wrong.',
  'Thanks to everybody who wrote and corrected me.',
]

function makePages(seed: Uint8Array): Map<string, Page> {
  let drawn = 0
  /** The next number below `below` that follows from the seed. */
  const draw = (below: number) => createHash('sha256').update(seed).update(`site ${drawn++}`).digest().readUInt32BE(0) % below
  const pick = (from: readonly string[]) => from[draw(from.length)]!
  const [name, hobby, other] = [pick(NAMES), pick(HOBBIES), pick(HOBBIES)]
  const title = `${pick(VERBS)} ${hobby}`
  const paragraphs = () =>
    Array.from({ length: 3 + draw(4) }, () => `<p>${Array.from({ length: 2 + draw(4) }, () => pick(SENTENCES)).join(' ')}</p>`).join('\n')
  const page = (heading: string, body: string) =>
    `<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>${heading}</title>\n<link rel="stylesheet" href="/style.css">\n</head>\n<body>\n<header><a href="/">${title}</a> <a href="/about.html">about</a></header>\n<main>\n<h1>${heading}</h1>\n${body}\n</main>\n<footer>${name}, ${2019 + draw(7)}</footer>\n</body>\n</html>\n`
  const hue = draw(360)
  const style = `body { max-width: ${36 + draw(12)}em; margin: 2em auto; padding: 0 1em; font: ${16 + draw(3)}px/1.${4 + draw(4)} ${pick(['Georgia, serif', 'system-ui, sans-serif', 'Verdana, sans-serif'])}; color: hsl(${hue} 20% 15%); background: hsl(${hue} 30% 97%) }\na { color: hsl(${hue} 60% 35%) }\nheader, footer { opacity: .7 }\n`
  const files: [string[], string, string][] = [
    [['/', '/index.html'], 'text/html; charset=utf-8', page(title, paragraphs())],
    [
      ['/about.html'],
      'text/html; charset=utf-8',
      page(`About ${name}`, `<p>My name is ${name}. I like ${hobby} and ${other}.</p>\n${paragraphs()}`),
    ],
    [['/style.css'], 'text/css; charset=utf-8', style],
    [['/robots.txt'], 'text/plain; charset=utf-8', 'User-agent: *\nDisallow:\n'],
  ]
  const pages = new Map<string, Page>()
  for (const [paths, type, text] of files) {
    const modified = new Date(NEWEST_MS - draw(730) * DAY_MS - draw(DAY_MS / 1000) * 1000)
    const body = Buffer.from(text)
    const etag = `W/"${body.length.toString(16)}-${modified.getTime().toString(16)}"`
    for (const path of paths) pages.set(path, { type, body, etag, modified })
  }
  return pages
}
