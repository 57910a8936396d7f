/**
 * The systems that are compared. Each has its own client and server on loopback, and is reached through the SOCKS5 port of its client; adding
 * one is adding a line here and a function that starts it.
 */
import { startByway } from './byway.ts'
import { startDante, startMicrosocks, startShadowsocks, startSsh, startStunnel } from './peers.ts'

export interface Running {
  /** Absent: no SOCKS. */
  proxy?: { port: number; username?: string }
  /** Without a proxy: the port that leads to the origin, when it is not the origin's own. */
  entrance?: number
  /** Roots of all its process trees: their CPU counts. */
  pids: readonly number[]
  /** Those whose memory counts: the two sides, not the chain they pay on. Absent: all. */
  sides?: readonly number[]
  /** After the last measurement: facts about the run, checked against the bytes the load carried. Throws when they do not hold. */
  audit?(carriedBytes: number): Promise<Record<string, string | number>>
  stop(): Promise<void>
}

export interface System {
  name: string
  /** What it is, in a few words. */
  about: string
  /** Ratios are to the best peer that encrypts. */
  kind: 'byway' | 'encrypted peer' | 'plain peer' | 'ceiling'
  /** Measured even with --quick. */
  quick: boolean
  /** What must be there. A package named here is installed when missing, if we are root and `optional` is not set. */
  needs?: { program: string; package: string }[]
  /** Taken when present, or when asked for by name. */
  optional?: boolean
  /** All its files go into `folder`; `origin` is the port of the only destination. */
  start(folder: string, origin: number): Promise<Running>
}

export const SYSTEMS: readonly System[] = [
  {
    name: 'direct',
    about: 'no proxy: what the machine and the load generator can do',
    kind: 'ceiling',
    quick: true,
    start: async () => ({ pids: [], stop: async () => {} }),
  },
  { name: 'byway-d1', about: 'Byway, 1 hop, paid', kind: 'byway', quick: true, start: (folder) => startByway(folder, { hops: 1 }) },
  {
    name: 'ssh',
    about: 'OpenSSH -D, AES-128-GCM',
    kind: 'encrypted peer',
    quick: true,
    needs: [
      { program: 'ssh', package: 'openssh-client' },
      { program: 'sshd', package: 'openssh-server' },
    ],
    start: startSsh,
  },
  {
    name: 'shadowsocks',
    about: 'shadowsocks-libev, AES-256-GCM',
    kind: 'encrypted peer',
    quick: true,
    needs: [
      { program: 'ss-local', package: 'shadowsocks-libev' },
      { program: 'ss-server', package: 'shadowsocks-libev' },
    ],
    start: startShadowsocks,
  },
  {
    name: 'stunnel',
    about: 'stunnel, TLS 1.3, a connection each',
    kind: 'encrypted peer',
    quick: false,
    optional: true,
    needs: [
      { program: 'stunnel4', package: 'stunnel4' },
      { program: 'openssl', package: 'openssl' },
    ],
    start: startStunnel,
  },
  {
    name: 'microsocks',
    about: 'microsocks, no encryption',
    kind: 'plain peer',
    quick: false,
    optional: true,
    needs: [{ program: 'microsocks', package: 'microsocks' }],
    start: startMicrosocks,
  },
  {
    name: 'dante',
    about: 'dante, no encryption',
    kind: 'plain peer',
    quick: false,
    optional: true,
    needs: [{ program: 'danted', package: 'dante-server' }],
    start: startDante,
  },
]
