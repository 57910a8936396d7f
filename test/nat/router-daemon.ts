/** miniupnpd, the program most home routers run, on a router of the world. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { World } from './world.ts'

/** Starts it and waits until it listens. `speaks` switches its protocols; `-d` keeps it in the foreground. */
export async function startMiniupnpd(world: World, router: string, speaks: { pcp?: boolean; upnp?: boolean } = {}) {
  const { pcp = true, upnp = true } = speaks
  const folder = mkdtempSync(join(tmpdir(), 'byway-nat-'))
  const conf = join(folder, 'miniupnpd.conf')
  const yes = (on: boolean) => (on ? 'yes' : 'no')
  writeFileSync(
    conf,
    `ext_ifname=wan\nlistening_ip=lan\nenable_natpmp=${yes(pcp)}\nenable_upnp=${yes(upnp)}\nmin_lifetime=120\nmax_lifetime=86400
secure_mode=yes\nsystem_uptime=yes\nuuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 192.168.1.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n`,
  )
  const daemon = world.start(router, 'miniupnpd', ['-d', '-f', conf, '-P', join(folder, 'pid')])
  const said: string[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  for (const stream of [daemon.stdout!, daemon.stderr!]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (said.push(line) > 200) said.shift()
      if (process.env.BYWAY_TEST_LOUD) console.error(line)
      // The last thing it says about its sockets.
      if (/listening on|port mapping not possible|HTTP listening/i.test(line)) resolve()
    })
  }
  daemon.once('exit', (code) => {
    rmSync(folder, { recursive: true, force: true })
    reject(new Error(`miniupnpd ended with ${code}:\n${said.join('\n')}`))
  })
  const timer = setTimeout(() => reject(new Error(`miniupnpd does not listen:\n${said.join('\n')}`)), 30_000)
  await promise.finally(() => clearTimeout(timer))
  return { daemon, said }
}
