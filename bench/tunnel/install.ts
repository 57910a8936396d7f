/** Brings missing peers from Debian. Packages stay installed; no service of theirs is started. */
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { programPath } from './processes.ts'
import type { System } from './systems.ts'

/** Debian asks this file whether a package may start its service: 101 is no. */
const POLICY = '/usr/sbin/policy-rc.d'

/** Packages a system still needs. */
export function missingFor(system: System): string[] {
  return [...new Set((system.needs ?? []).filter(({ program }) => programPath(program) === undefined).map((need) => need.package))]
}

/** Installs packages, if this machine is a Debian and we are root. False when they are still missing. */
export function install(packages: readonly string[]): boolean {
  if (userInfo().uid !== 0 || programPath('apt-get') === undefined) return false
  const ours = !existsSync(POLICY)
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]) => execFileSync('apt-get', ['-qq', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    try {
      apt('install', '-y', '--no-install-recommends', ...packages)
    } catch {
      // The list of packages may be old, or not there at all.
      apt('update')
      apt('install', '-y', '--no-install-recommends', ...packages)
    }
    return true
  } catch {
    return false // apt has said why
  } finally {
    if (ours) rmSync(POLICY, { force: true })
  }
}
