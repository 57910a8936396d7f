/**
 * forge itself, in contracts/: `npm run contracts:test`, or `node contracts/scripts/forge.ts build`, whatever comes after goes to forge.
 *
 * The launcher in npm's package ends with 0 whatever forge ended with, and passes no signals on when it was killed: a red test would be
 * green. Everything here that believes a status starts forge through this file.
 */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'

export const CONTRACTS = resolve(import.meta.dirname, '..')

export function forgePath(): string {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch
  const home = dirname(createRequire(import.meta.url).resolve(`@foundry-rs/forge-${process.platform}-${arch}/package.json`))
  return join(home, 'bin', 'forge')
}

/**
 * The compiler behind forge needs our own node in the path, and nothing else is there: forge would ask git about submodules at every start,
 * which takes twenty processes and half of its time.
 */
export const forgeEnv = (): NodeJS.ProcessEnv => ({ ...process.env, PATH: dirname(process.execPath) })

if (import.meta.main) {
  const child = spawn(forgePath(), process.argv.slice(2), { cwd: CONTRACTS, env: forgeEnv(), stdio: 'inherit' })
  child.on('error', ({ message }) => {
    process.stderr.write(`forge: ${message}\n`)
    process.exitCode = 1
  })
  child.on('close', (status) => {
    process.exitCode = status ?? 1
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal))
}
