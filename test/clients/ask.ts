/** A request through the proxy without any program of others, and waiting for what nobody announces. */
import { spawnSync } from 'node:child_process'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** A plain GET through the proxy; `username` as in `any-country-de`. */
export function ask(proxy: { host: string; port: number }, url: string, username = 'any'): Promise<Answer> {
  const headers = { host: new URL(url).host, 'proxy-authorization': `Basic ${Buffer.from(`${username}:`).toString('base64')}` }
  return new Promise((resolve, reject) => {
    request({ ...proxy, path: url, headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts).toString('utf8') })
      })
    })
      .on('error', reject)
      .end()
  })
}

/** Whether anybody accepts a connection there. */
export function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Processes whose command line names the folder, as every process of an exchange does. */
export function processesOf(folder: string): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
  const lines = stdout.split('\n').filter((line) => line.includes(folder))
  return lines.map((line) => Number.parseInt(line, 10)).filter((pid) => pid !== process.pid)
}

const UNTIL_LIMIT_MS = 30_000
const UNTIL_STEP_MS = 50

/** Resolves once `holds` does; for what gives no sign of its own, such as the end of a process that is not our child. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = UNTIL_LIMIT_MS): Promise<void> {
  for (const deadline = performance.now() + limitMs; !(await holds()); await delay(UNTIL_STEP_MS)) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${what}`)
  }
}
