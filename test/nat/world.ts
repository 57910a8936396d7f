/**
 * Network: a small internet made of namespaces, with homes behind real routers (nftables, and miniupnpd where one is wanted).
 *
 * The rule it keeps: everything is torn down by name, nothing outside its own namespaces is touched, and no packet leaves the machine.
 * Start reading at {@link createWorld}; then routers.ts (the kinds of NAT), table.ts (every pair of them).
 *
 * All public addresses are in 45.0.0.0/8, on one bridge: to the programs inside they look like the internet.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { lacks, PATH } from '../support/programs.ts'
import { natRules, type RouterKind } from './routers.ts'

/** The names of all namespaces of tests begin like this; then comes the process. */
export const PREFIX = 'byway-test-'
const FORWARD = 'echo 1 > /proc/sys/net/ipv4/ip_forward'
const env = { ...process.env, PATH }
const ip = (...words: string[]) => execFileSync('ip', words, { env, stdio: ['ignore', 'pipe', 'pipe'] })

/** Why namespaces, or these programs in them, cannot be had here; false when they can. */
export function whyNot(programs: readonly string[]): string | false {
  if (process.platform !== 'linux') return 'namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'namespaces with names take root'
  const missing = lacks('ip', ...programs)
  if (missing !== false) return missing
  // Root in a container may not: the simplest world tells.
  const name = `${PREFIX}${process.pid}-probe`
  try {
    ip('netns', 'add', name)
    ip('-n', name, 'link', 'add', 'one', 'type', 'veth', 'peer', 'name', 'other')
    ip('netns', 'exec', name, 'sh', '-c', FORWARD)
    if (programs.includes('nft'))
      execFileSync('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { env, input: natRules('symmetric', INTERNET), stdio: 'pipe' })
    return false
  } catch (thrown) {
    return `no network namespace can be made and used here: ${(thrown as Error).message.trim().split('\n').at(-1)}`
  } finally {
    remove(name)
  }
}

function remove(ns: string): void {
  try {
    ip('netns', 'del', ns)
  } catch {
    // It never came to be, or went with another's clean-up.
  }
}

/** Namespaces outlive their process. Whoever was killed could not remove its own. */
function sweep(): void {
  for (const line of ip('netns', 'list').toString().split('\n')) {
    const [, name, pid] = new RegExp(`^(${PREFIX}(\\d+)-\\S+)`).exec(line) ?? []
    if (name !== undefined && !existsSync(`/proc/${pid}`)) remove(name)
  }
}

export interface Site {
  /** Namespace of the machine itself. */
  readonly ns: string
  /** Its own address. */
  readonly address: string
  /** The address the internet sees; the same without a router. */
  readonly publicAddress: string
  /** Namespaces of its routers, the home's own first. */
  readonly routers: readonly string[]
}

/** Where everything of the internet that is no home is. */
export const INTERNET = '45.0.0.1'

/**
 * Of its link. A bridge without one of its own takes the lowest among its ports: each new site might change it, and whoever had talked to the
 * internet before then talks to nobody, until it asks anew a dozen seconds later.
 */
const BRIDGE_ADDRESS = '02:00:2d:00:00:01'

/** Gives each world of this process names of its own. */
let worlds = 0

export function createWorld() {
  sweep()
  const name = `${PREFIX}${process.pid}-${++worlds}`
  const namespaces: string[] = []
  const children = new Set<ChildProcess>()
  let sites = 0

  const inside = (ns: string, program: string, ...words: string[]) => ip('netns', 'exec', ns, program, ...words)

  function addNamespace(role: string): string {
    const ns = `${name}-${role}`
    ip('netns', 'add', ns)
    namespaces.push(ns)
    ip('-n', ns, 'link', 'set', 'lo', 'up')
    return ns
  }

  /** A cable: `eth` in `ns` with `address`, its other end in `to` as `port`. */
  function cable(ns: string, eth: string, address: string, to: string, port: string): void {
    ip('link', 'add', eth, 'netns', ns, 'type', 'veth', 'peer', 'name', port, 'netns', to)
    ip('-n', ns, 'addr', 'add', address, 'dev', eth)
    ip('-n', ns, 'link', 'set', eth, 'up')
    ip('-n', to, 'link', 'set', port, 'up')
  }

  const net = addNamespace('net')
  ip('-n', net, 'link', 'add', 'bridge', 'address', BRIDGE_ADDRESS, 'type', 'bridge')
  ip('-n', net, 'link', 'set', 'bridge', 'up')
  ip('-n', net, 'addr', 'add', `${INTERNET}/8`, 'dev', 'bridge')

  /** Connects a namespace to the internet; returns its public address. */
  function plug(ns: string, eth: string): string {
    const n = ++sites
    const address = `45.${n}.0.2`
    cable(ns, eth, `${address}/8`, net, `site${n}`)
    ip('-n', net, 'link', 'set', `site${n}`, 'master', 'bridge')
    return address
  }

  function route(ns: string, program: string): void {
    inside(ns, 'sh', '-c', FORWARD)
    execFileSync('ip', ['netns', 'exec', ns, 'nft', '-f', '-'], { env, input: program, stdio: ['pipe', 'pipe', 'pipe'] })
  }

  /** A machine; its routers from the home outwards. Without any it has a public address itself. */
  function addSite(label: string, kinds: readonly RouterKind[]): Site {
    const ns = addNamespace(label)
    const routers: string[] = []
    let inner = ns
    let address = ''
    for (const i of kinds.keys()) {
      const router = addNamespace(`${label}-router${i}`)
      // The network between two routers is a carrier's.
      const lan = i === 0 ? '192.168.1' : '100.64.1'
      cable(inner, i === 0 ? 'eth' : 'wan', `${lan}.2/24`, router, 'lan')
      ip('-n', router, 'addr', 'add', `${lan}.1/24`, 'dev', 'lan')
      ip('-n', inner, 'route', 'add', 'default', 'via', `${lan}.1`)
      if (i === 0) address = `${lan}.2`
      else route(inner, natRules(kinds[i - 1]!, `${lan}.2`))
      routers.push(router)
      inner = router
    }
    const publicAddress = plug(inner, kinds.length === 0 ? 'eth' : 'wan')
    if (kinds.length > 0) route(inner, natRules(kinds.at(-1)!, publicAddress))
    return { ns, address: address || publicAddress, publicAddress, routers }
  }

  /** Starts a program in a namespace; ended with the world at the latest. */
  function start(ns: string, program: string, words: readonly string[], extra: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', ns, program, ...words], {
      env: { ...env, ...extra, PATH },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    children.add(child)
    child.once('exit', () => children.delete(child))
    return child
  }

  return {
    net,
    inside,
    addSite,
    start,
    /** Ends all programs and removes all namespaces. */
    async close(): Promise<void> {
      const gone = [...children].map((child) => new Promise((resolve) => child.once('exit', resolve)))
      for (const child of children) child.kill('SIGKILL')
      await Promise.all(gone)
      for (const ns of namespaces) remove(ns)
    },
  }
}

export type World = ReturnType<typeof createWorld>
