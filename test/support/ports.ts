/** Ports for those that cannot take port 0: programs that must be told one, and nodes that come back on the one they had. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Linux gives connections their own ports from 32768 up, and keeps each for a minute after. A port from there that is let go may be taken, by
 * any program, before it is needed again; one from below is nobody's.
 */
const FROM = 12_000
const TO = 32_000

export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = randomInt(FROM, TO)
    const server = createServer()
    const listens = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, host, () => resolve(true))
    })
    if (!listens) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}
