/**
 * A network namespace for one command and its children: rules and devices made in it touch nothing else. It has no name and ends with the
 * last process in it, so nothing is left behind, however that ends.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { userInfo } from 'node:os'

/** Set for the process inside. */
const INSIDE = 'BYWAY_OWN_NETWORK'

export const isInside = (): boolean => process.env[INSIDE] === '1'

/** As root, or where users may have namespaces of their own. */
const unshare = () => ['--net', ...(userInfo().uid === 0 ? [] : ['--map-root-user'])]

/** Whether a namespace can be had in which this command succeeds. */
export function canEnter(command: readonly string[], input = ''): boolean {
  try {
    execFileSync('unshare', [...unshare(), ...command], { input, stdio: ['pipe', 'ignore', 'ignore'] })
    return true
  } catch {
    return false // no unshare, no right to, or the command is not there
  }
}

/** Runs this Node with these arguments inside, its loopback device up; resolves to its exit code. */
export async function enter(args: readonly string[]): Promise<number> {
  const inside = ['sh', '-c', 'ip link set lo up && exec "$@"', 'sh', process.execPath, ...args]
  const child = spawn('unshare', [...unshare(), ...inside], { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } })
  // The terminal tells the whole group; what only we are told is passed on.
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => child.kill(signal))
  process.on('SIGINT', () => {})
  const [code] = await once(child, 'exit')
  return code ?? 1
}
