/** How each peer is started: keys and settings in a folder of its own, the fastest cipher it and this processor have in common. */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, runProgram, startPeer } from './processes.ts'
import { HERE, type Running, type Where } from './systems.ts'

/** sshd separates privileges into this folder, which Debian makes at boot. */
const SSHD_FOLDER = '/run/sshd'
/** Idle flows must not be closed while they are counted. */
const IDLE_S = 3_600

const file = (folder: string, name: string, text: string) => {
  const path = join(folder, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

export async function startSsh(folder: string, _origin: number, [at = HERE[0]]: readonly Where[] = HERE): Promise<Running> {
  const { listen, reach } = at
  const [port, socks] = [await freePort(), await freePort()]
  for (const name of ['host', 'user']) {
    runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bench', '-f', join(folder, name)])
  }
  const authorized = file(folder, 'authorized', readFileSync(join(folder, 'user.pub'), 'utf8'))
  const known = file(folder, 'known', `[${reach}]:${port} ${readFileSync(join(folder, 'host.pub'), 'utf8')}`)
  const settings = {
    ListenAddress: `${listen}:${port}`,
    HostKey: join(folder, 'host'),
    AuthorizedKeysFile: authorized,
    PidFile: 'none',
    StrictModes: 'no',
    UsePAM: 'no',
    PermitRootLogin: 'prohibit-password',
    PasswordAuthentication: 'no',
    Compression: 'no',
    AllowTcpForwarding: 'local',
  }
  const config = file(
    folder,
    'sshd_config',
    Object.entries(settings)
      .map(([key, value]) => `${key} ${value}\n`)
      .join(''),
  )
  const made = userInfo().uid === 0 && !existsSync(SSHD_FOLDER)
  if (made) mkdirSync(SSHD_FOLDER, { mode: 0o755 })
  const server = await startPeer(folder, port, 'sshd', ['-D', '-e', '-f', config], listen)
  const options = {
    UserKnownHostsFile: known,
    StrictHostKeyChecking: 'yes',
    IdentitiesOnly: 'yes',
    BatchMode: 'yes',
    ExitOnForwardFailure: 'yes',
    Compression: 'no',
  }
  const named = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  const how = ['-N', '-F', 'none', '-c', 'aes128-gcm@openssh.com', '-i', join(folder, 'user'), ...named]
  const where = ['-D', `127.0.0.1:${socks}`, '-p', `${port}`, `${userInfo().username}@${reach}`]
  try {
    const client = await startPeer(folder, socks, 'ssh', [...how, ...where])
    return {
      proxy: { port: socks },
      pids: [client.pid, server.pid],
      async stop() {
        await client.stop()
        await server.stop()
        if (made) rmdirSync(SSHD_FOLDER)
      },
    }
  } catch (thrown) {
    await server.stop()
    throw thrown
  }
}

export async function startShadowsocks(folder: string, _origin: number, [at = HERE[0]]: readonly Where[] = HERE): Promise<Running> {
  const { listen, reach } = at
  const [port, socks] = [await freePort(), await freePort()]
  const key = randomBytes(16).toString('hex')
  const shared = ['-p', `${port}`, '-k', key, '-m', 'aes-256-gcm', '-t', `${IDLE_S}`, '--no-delay']
  const server = await startPeer(folder, port, 'ss-server', ['-s', listen, ...shared], listen)
  const client = await startPeer(folder, socks, 'ss-local', ['-s', reach, ...shared, '-b', '127.0.0.1', '-l', `${socks}`])
  return pair(socks, client, server)
}

/** Its SOCKS refuses loopback, so it is a fixed tunnel to the origin, which spares it the handshake of the others. */
export async function startStunnel(folder: string, origin: number, [at = HERE[0]]: readonly Where[] = HERE): Promise<Running> {
  const { listen, reach } = at
  const [port, entrance] = [await freePort(), await freePort()]
  const cert = join(folder, 'cert.pem')
  const key = join(folder, 'key.pem')
  const name = ['-subj', '/CN=localhost', '-days', '2', '-nodes', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  runProgram('openssl', ['req', ...name, '-keyout', key, '-out', cert])
  const common = 'foreground = yes\npid =\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\nsslVersionMin = TLSv1.3\n'
  const idle = `TIMEOUTidle = ${IDLE_S}\n`
  const serverConfig = `${common}[server]\naccept = ${listen}:${port}\nconnect = 127.0.0.1:${origin}\ncert = ${cert}\nkey = ${key}\n${idle}`
  const clientConfig = `${common}[client]\nclient = yes\naccept = 127.0.0.1:${entrance}\nconnect = ${reach}:${port}\n${idle}`
  const server = await startPeer(folder, port, 'stunnel4', [file(folder, 'server.conf', serverConfig)], listen)
  const client = await startPeer(folder, entrance, 'stunnel4', [file(folder, 'client.conf', clientConfig)])
  const { proxy, ...rest } = pair(entrance, client, server)
  return { ...rest, entrance: proxy!.port }
}

export async function startHaproxy(folder: string, origin: number): Promise<Running> {
  const entrance = await freePort()
  const config = file(
    folder,
    'haproxy.cfg',
    `global
  maxconn 16384
defaults
  mode tcp
  timeout connect 5s
  timeout client ${IDLE_S}s
  timeout server ${IDLE_S}s
listen relay
  bind 127.0.0.1:${entrance}
  server origin 127.0.0.1:${origin}
`,
  )
  const server = await startPeer(folder, entrance, 'haproxy', ['-db', '-f', config])
  return { entrance, pids: [server.pid], stop: server.stop }
}

const RELAY = fileURLToPath(new URL('./relay.ts', import.meta.url))

export async function startSplice(_folder: string, origin: number): Promise<Running> {
  const relay = fork(RELAY, [String(origin)], { execArgv: ['--disable-warning=ExperimentalWarning'] })
  const [{ port }] = (await once(relay, 'message')) as [{ port: number }]
  return {
    entrance: port,
    pids: [relay.pid!],
    async stop() {
      relay.kill('SIGKILL')
    },
  }
}

export async function startMicrosocks(folder: string): Promise<Running> {
  const socks = await freePort()
  const server = await startPeer(folder, socks, 'microsocks', ['-i', '127.0.0.1', '-p', `${socks}`])
  return { proxy: { port: socks }, pids: [server.pid], stop: server.stop }
}

export async function startDante(folder: string): Promise<Running> {
  const socks = await freePort()
  const config = file(
    folder,
    'danted.conf',
    `logoutput: stderr
internal: 127.0.0.1 port = ${socks}
external: lo
clientmethod: none
socksmethod: none
timeout.io: ${IDLE_S}
client pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }
socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }
`,
  )
  const server = await startPeer(folder, socks, 'danted', ['-f', config, '-p', join(folder, 'danted.pid')])
  return { proxy: { port: socks }, pids: [server.pid], stop: server.stop }
}

function pair(port: number, client: { pid: number; stop(): Promise<void> }, server: { pid: number; stop(): Promise<void> }): Running {
  return {
    proxy: { port },
    pids: [client.pid, server.pid],
    async stop() {
      await client.stop()
      await server.stop()
    },
  }
}
