/** ssh over SOCKS: a command, and 20 MB each way through a real sshd with keys of its own. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/ports.ts'
import { find } from '../support/programs.ts'
import { type Check, MB } from './check.ts'
import { pattern, patternSha256 } from './origin.ts'
import { mustRun } from './programs.ts'

const BYTES = 20 * MB
/** sshd says so within milliseconds. */
const START_LIMIT_MS = 15_000

export const sshChecks: readonly Check[] = [
  {
    client: 'ssh',
    what: `SOCKS5 ProxyCommand: a command, ${BYTES / MB} MB up and down`,
    needs: ['ssh', 'sshd', 'ssh-keygen'],
    run: async ({ exchange, folder }) => {
      const server = await startSshd(join(folder, 'ssh'))
      try {
        const { host, port } = exchange.ready.proxy
        const pipe = [process.execPath, join(import.meta.dirname, 'socks-pipe.ts'), host, port, '%h', '%p'].join(' ')
        const options = [
          `ProxyCommand=${pipe}`,
          'BatchMode=yes',
          `UserKnownHostsFile=${server.knownHosts}`,
          'StrictHostKeyChecking=yes',
          'IdentitiesOnly=yes',
        ]
        const flags = ['-F', 'none', '-i', server.key, '-p', `${server.port}`, ...options.flatMap((option) => ['-o', option])]
        const ssh = (command: string, input?: ReturnType<typeof pattern>) =>
          mustRun('ssh', [...flags, `${userInfo().username}@127.0.0.1`, command], input === undefined ? {} : { input })
        assert.equal((await ssh('echo $((6 * 7))')).out, '42\n')
        assert.equal((await ssh('sha256sum', pattern(BYTES))).out.split(' ')[0], patternSha256(BYTES))
        const file = join(folder, 'ssh', 'file')
        await writeFile(file, pattern(BYTES))
        assert.equal((await ssh(`cat '${file}'`)).sha256, patternSha256(BYTES))
        return { result: 'the command ran, sha256 equal both ways', bytes: 2 * BYTES }
      } finally {
        await server.stop()
      }
    },
  },
]

/** A server for this user alone: its own host key, one client key, no passwords, no PAM. */
async function startSshd(folder: string) {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const [hostKey, key, config, authorized, knownHosts] = ['host_key', 'client_key', 'sshd_config', 'authorized_keys', 'known_hosts'].map(
    (name) => join(folder, name),
  ) as [string, string, string, string, string]
  for (const path of [hostKey, key]) await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path])
  const port = await freePort()
  await writeFile(authorized, await readFile(`${key}.pub`), { mode: 0o600 })
  const [type, base64] = (await readFile(`${hostKey}.pub`, 'utf8')).split(' ')
  await writeFile(knownHosts, `[127.0.0.1]:${port} ${type} ${base64}\n`)
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorized}`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'UsePAM no',
    // The folder lies under /tmp, which everybody may write to.
    'StrictModes no',
    'PidFile none',
  ]
  await writeFile(config, `${lines.join('\n')}\n`)
  await chmod(config, 0o600)
  // Debian makes this folder when the service starts; sshd run by hand as root asks for it too.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
  const server = spawn(find('sshd')!, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()))
  let words = ''
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`sshd does not listen: ${words}`)), START_LIMIT_MS)
    server.stderr.on('data', (chunk: Buffer) => {
      words += chunk.toString('utf8')
      if (!words.includes('Server listening')) return
      clearTimeout(timer)
      resolve()
    })
    void ended.then(() => reject(new Error(`sshd ended: ${words}`)))
  })
  return {
    port,
    key,
    knownHosts,
    async stop() {
      server.kill()
      await ended
    },
  }
}
