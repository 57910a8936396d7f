/** What a TLS client of any kind is told: messages, alerts, tickets, ALPN and cipher, by `openssl s_client`, from a node and from its cover. */
import { spawn } from 'node:child_process'
import type { Finding } from './acceptance.ts'
import type { World } from './world.ts'

/** Clients that ask for something else each; the last four are refused by ordinary servers, or nearly. */
const CLIENTS = [
  [],
  ['-alpn', 'http/1.1'],
  ['-alpn', 'h2,http/1.1'],
  ['-servername', 'nothing.example'],
  ['-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256'],
  ['-groups', 'P-384'],
  ['-tls1_2'],
  ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA'],
  ['-alpn', 'h2'],
  ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
  ['-groups', 'ffdhe2048'],
]
/** Longer than a handshake takes under load. */
const LIMIT_S = 10

export async function compareHandshakes({ nginx, node, builtIn, site }: World): Promise<Finding> {
  const lines: string[] = []
  let differing = 0
  let refused = 0
  let tickets = 0
  for (const client of CLIENTS) {
    for (const [whose, ours, real] of [
      ['nginx', node.port, nginx.https],
      ['Node https', builtIn.port, site.port],
    ] as const) {
      const [said, expected] = [await askedBy(client, ours), await askedBy(client, real)]
      if (expected.includes('Alert fatal')) refused++
      if (/NewSessionTicket.*ticket lifetime hint/.test(expected)) tickets++
      if (said === expected) continue
      differing++
      lines.push(`openssl s_client ${client.join(' ')}`, `  node: ${said}`, `  ${whose}: ${expected}`)
    }
  }
  lines.push(`${differing} of ${2 * CLIENTS.length} handshakes differ (the real server refused ${refused} and gave tickets in ${tickets})`)
  return {
    what: 'handshakes of unusual clients: messages, alerts, tickets, ALPN, cipher',
    lines,
    passed: differing === 0 && refused > 0 && tickets > 0,
  }
}

async function askedBy(client: readonly string[], port: number): Promise<string> {
  const args = [`${LIMIT_S}`, 'openssl', 's_client', '-connect', `127.0.0.1:${port}`, '-msg', '-ign_eof', ...client]
  const child = spawn('timeout', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => {}).end('GET / HTTP/1.0\r\n\r\n')
  const [out, errors] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()])
  return heardIn(Buffer.concat([...out, ...errors] as Buffer[]).toString('latin1'))
}

/** Names of the server's messages in order, and what was agreed on. Lengths are left out: signatures and the page have different ones each time. */
function heardIn(output: string): string {
  const messages = [...output.matchAll(/<<< TLS 1.\d, (Handshake|Alert) \[length [0-9a-f]+\], (.*)/g)].map(
    ([, kind, name]) => `${kind} ${name}`,
  )
  // What `-msg` has no name for is told apart by its number.
  const agreed = [/ticket lifetime hint: \d+/, /ALPN protocol: \S+/, /Cipher is \S+/, /SSL alert number \d+/].flatMap(
    (found) => found.exec(output)?.[0] ?? [],
  )
  return [...messages.map((name) => name.replace('Handshake ', '')), ...agreed].join(', ')
}
