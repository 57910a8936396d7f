/** git over http: clone and push against git's own server program behind a web server. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Check, MB } from './check.ts'
import { pattern } from './origin.ts'
import { cleanEnv, mustRun } from './programs.ts'

const COMMITS = 20
const BLOB_BYTES = MB
const NOBODY = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@localhost', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@localhost' }
/** Neither the machine's nor the user's configuration: both may name a proxy, or rewrite addresses. */
const ENV = { ...NOBODY, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' }

const git = (args: readonly string[], cwd?: string) => mustRun('git', args, { env: ENV, ...(cwd === undefined ? {} : { cwd }) })

const check = (what: string, scheme: 'http' | 'socks5h'): Check => ({
  client: 'git',
  what,
  needs: ['git'],
  run: async ({ exchange, folder }) => {
    const root = join(folder, `git-${scheme}`)
    const served = await makeRepository(root)
    const origin = createServer((request, response) => backend(root, request, response))
    origin.listen(0, '127.0.0.1')
    await once(origin, 'listening')
    try {
      const copy = join(root, 'copy')
      const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/served.git`
      // git asks for a password when an address has a name and none; any will do.
      const proxy = ['-c', `http.proxy=${scheme}://any:x@${exchange.proxy}`]
      const { ms } = await git([...proxy, 'clone', '-q', url, copy])
      await git(['fsck', '--full', '--strict'], copy)
      const head = async (repository: string) => (await git(['rev-parse', 'HEAD'], repository)).out.trim()
      assert.equal(await head(copy), await head(served))
      const contentOf = async (path: string) =>
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
      assert.equal(await contentOf(join(copy, 'blob')), await contentOf(join(root, 'work', 'blob')))
      await appendFile(join(copy, 'blob'), 'one more\n')
      await git(['commit', '-qam', 'one more'], copy)
      await git([...proxy, 'push', '-q'], copy)
      assert.equal(await head(copy), await head(served))
      const { out } = await git(['rev-list', '--count', 'HEAD'], served)
      return { result: `fsck clean, HEAD equal, ${out.trim()} commits after the push`, bytes: COMMITS * BLOB_BYTES, ms }
    } finally {
      origin.close()
      origin.closeAllConnections()
    }
  },
})

export const gitChecks: readonly Check[] = [
  check('clone, fsck and push over http, HTTP proxy', 'http'),
  check('clone, fsck and push over http, SOCKS5 proxy', 'socks5h'),
]

/** A bare repository of twenty commits, each of them a megabyte that does not compress. */
async function makeRepository(root: string): Promise<string> {
  const [work, served] = [join(root, 'work'), join(root, 'served.git')]
  await mkdir(work, { recursive: true })
  await git(['init', '-q', '-b', 'main'], work)
  const content = Buffer.concat((await pattern(COMMITS * BLOB_BYTES).toArray()) as Buffer[])
  for (let i = 0; i < COMMITS; i++) {
    await writeFile(join(work, 'blob'), content.subarray(i * BLOB_BYTES, (i + 1) * BLOB_BYTES))
    await git(['add', '.'], work)
    await git(['commit', '-qm', `commit ${i}`], work)
  }
  await git(['clone', '-q', '--bare', work, served])
  await git(['config', 'http.receivepack', 'true'], served)
  return served
}

/** `git http-backend` as CGI (RFC 3875). */
function backend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url!, 'http://origin')
  const {
    'content-type': type = '',
    'content-length': length = '',
    'content-encoding': encoding = '',
    'git-protocol': version = '',
  } = request.headers
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: cleanEnv({
      ...ENV,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method!,
      CONTENT_TYPE: type,
      CONTENT_LENGTH: length,
      HTTP_CONTENT_ENCODING: encoding,
      GIT_PROTOCOL: String(version),
    }),
  })
  request.pipe(child.stdin)
  child.stdin.on('error', () => {}) // it may answer before it read everything
  let head = Buffer.alloc(0)
  const onHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    child.stdout.off('data', onHead)
    const fields = head
      .toString('latin1', 0, end)
      .split('\r\n')
      .map((line) => line.split(/:\s*/, 2) as [string, string])
    const status = Number(fields.find(([name]) => name.toLowerCase() === 'status')?.[1].slice(0, 3) ?? 200)
    response.writeHead(status, fields.filter(([name]) => name.toLowerCase() !== 'status').flat())
    response.write(head.subarray(end + 4))
    child.stdout.pipe(response)
  }
  child.stdout.on('data', onHead)
  child.stdout.once('end', () => {
    if (!response.headersSent) response.writeHead(500).end()
  })
}
