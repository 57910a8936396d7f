/**
 * nginx from Debian, as the real cover server and as a CDN: a static site over HTTP and over TLS, and a site that passes WebSockets on to a node.
 *
 * The rule of this folder: whatever is said of the cover is compared with a real web server in the same run, and each finding has a control that
 * shows it could have been found. Start reading at acceptance.ts.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificate, createCertificate } from '../../src/tunnel/index.ts'
import { freePort } from '../support/ports.ts'
import { find } from '../support/programs.ts'

/** Starting takes milliseconds; a machine under load takes a while. */
const START_LIMIT_MS = 60_000

/** Installs the Debian packages of programs that are missing, as root; says what could not be had. */
export function install(programs: Readonly<Record<string, string>>): string[] {
  const missing = Object.keys(programs).filter((program) => find(program) === undefined)
  if (missing.length > 0 && process.getuid?.() === 0) {
    try {
      execFileSync('apt-get', ['install', '-y', '--no-install-recommends', ...missing.map((program) => programs[program]!)], {
        stdio: 'ignore',
      })
    } catch {
      // Said by what is still missing below.
    }
  }
  return missing.filter((program) => find(program) === undefined)
}

export interface Nginx {
  /** The site in the clear and over TLS. */
  http: number
  https: number
  /** Its TLS key and certificate. */
  certificate: Certificate
  /** A site that passes everything on to `node`, over TLS and in the clear. */
  cdn: { encrypted: number; plain: number } | undefined
  stop(): Promise<void>
}

/** Pages of the sizes small sites have. */
export const PAGES: Readonly<Record<string, string>> = {
  'index.html': page('Welcome', 40),
  'about.html': page('About', 12),
  'long.html': page('Archive', 900),
  'style.css': 'body { font: 16px/1.5 serif }\n'.repeat(30),
}

function page(title: string, lines: number): string {
  return `<!DOCTYPE html>\n<title>${title}</title>\n${'<p>The quick brown fox jumps over the lazy dog.</p>\n'.repeat(lines)}`
}

export async function startNginx(node?: number): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'byway-nginx-'))
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = await createCertificate(privateKey, new Date(), '127.0.0.1')
  await mkdir(join(folder, 'site'))
  for (const [name, text] of Object.entries(PAGES)) await writeFile(join(folder, 'site', name), text)
  await writeFile(join(folder, 'cert.pem'), certificate.cert)
  await writeFile(join(folder, 'key.pem'), certificate.key)
  const [http, https, encrypted, plain] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const tls = `ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;`
  const passOn = (port: number, scheme: string) => `
    server { listen 127.0.0.1:${port} ssl; ${tls} location / {
      proxy_pass ${scheme}://127.0.0.1:${node}; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; } }`
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log; user root;
    events { worker_connections 4096; }
    http { access_log off; types { text/html html; text/css css; }
      client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
      server { listen 127.0.0.1:${http}; listen 127.0.0.1:${https} ssl; ${tls} root ${folder}/site; }
      ${node === undefined ? '' : passOn(encrypted, 'https') + passOn(plain, 'http')}
    }`,
  )
  const child = spawn(find('nginx')!, ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' })
  await reachable(https, child)
  return {
    http,
    https,
    certificate,
    cdn: node === undefined ? undefined : { encrypted, plain },
    async stop() {
      const exited = once(child, 'exit')
      child.kill()
      await exited
      await rm(folder, { recursive: true })
    },
  }
}

async function reachable(port: number, child: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + START_LIMIT_MS; Date.now() < deadline && child.exitCode === null; ) {
    const socket = connect(port, '127.0.0.1')
    const there = await new Promise((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)))
    socket.destroy()
    if (there) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('nginx did not start')
}
