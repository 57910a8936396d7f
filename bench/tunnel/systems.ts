/**
 * The systems that are compared. Each has its own client and server on loopback, and is reached through the SOCKS5 port of its client; adding
 * one is adding a line here and a function that starts it.
 */
import { startByway } from './byway.ts'
import { startDante, startHaproxy, startMicrosocks, startShadowsocks, startSplice, startSsh, startStunnel } from './peers.ts'

export interface Running {
  /** Absent: no SOCKS. */
  proxy?: { port: number; username?: string }
  /** Without a proxy: the port that leads to the origin, when it is not the origin's own. */
  entrance?: number
  /** Roots of all its process trees: their CPU counts. */
  pids: readonly number[]
  /** Those whose memory counts: the two sides, not the chain they pay on. Absent: all. */
  sides?: readonly number[]
  /** Of our daemons, which say how late their event loops are. */
  homes?: readonly string[]
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
  /** Its two sides can stand at the two ends of a long path. */
  far?: boolean
  /** What must be there. A package named here is installed when missing, if we are root and `optional` is not set. */
  needs?: { program: string; package: string }[]
  /** Taken when present, or when asked for by name. */
  optional?: boolean
  /** All its files go into `folder`; `origin` is the port of the only destination. Servers listen and are reached at `where`, one after the other. */
  start(folder: string, origin: number, where?: readonly Where[]): Promise<Running>
}

/** IPv4 addresses: where servers listen, and by which their clients reach them. */
export interface Where {
  listen: string
  reach: string
}

/** Everything on loopback. */
export const HERE: readonly [Where] = [{ listen: '127.0.0.1', reach: '127.0.0.1' }]

const byway = (hops: 1 | 2 | 3): System => ({
  name: `byway-d${hops}`,
  about: `Byway, ${hops} ${hops === 1 ? 'hop' : 'hops'}, paid`,
  kind: 'byway',
  quick: true,
  far: true,
  start: (folder, _origin, where) => startByway(folder, { hops, where }),
})

export const SYSTEMS: readonly System[] = [
  {
    name: 'direct',
    about: 'no proxy: what the machine and the load generator can do',
    kind: 'ceiling',
    quick: true,
    far: true,
    start: async () => ({ pids: [], stop: async () => {} }),
  },
  {
    name: 'splice',
    about: 'a relay of our own with splice(2): no encryption, no copies, no SOCKS',
    kind: 'ceiling',
    quick: false,
    start: startSplice,
  },
  byway(1),
  byway(2),
  byway(3),
  {
    name: 'ssh',
    about: 'OpenSSH -D, AES-128-GCM',
    kind: 'encrypted peer',
    quick: true,
    far: true,
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
    far: true,
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
    far: true,
    optional: true,
    needs: [
      { program: 'stunnel4', package: 'stunnel4' },
      { program: 'openssl', package: 'openssl' },
    ],
    start: startStunnel,
  },
  {
    name: 'haproxy',
    about: 'haproxy in TCP mode, one hop, no encryption, no SOCKS',
    kind: 'plain peer',
    quick: false,
    optional: true,
    needs: [{ program: 'haproxy', package: 'haproxy' }],
    start: startHaproxy,
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
