/** Drives the SOCKS5 parser (socks5.ts) with a connection, then serves the flow it asked for. */
import type { Duplex } from 'node:stream'
import { refuse, serveFlow } from './flow.ts'
import type { Front } from './index.ts'
import { socksReply, socksSucceeded } from './replies.ts'
import { createSocksParser } from './socks5.ts'

/** `onHandshake`: the handshake is over, one way or the other. */
export function serveSocks(client: Duplex, front: Front, onHandshake: () => void): void {
  const parser = createSocksParser()
  client.on('data', onData)
  client.once('end', onEnd)
  client.resume()

  function onData(chunk: Buffer): void {
    const step = parser.push(chunk)
    if (step.kind === 'more') {
      if (step.reply.length > 0) client.write(step.reply)
      return
    }
    client.off('data', onData)
    client.off('end', onEnd)
    onHandshake()
    if (step.kind === 'refused') {
      front.observer.count('malformed', 1, { where: 'socks5' })
      front.observer.log('request-refused', { code: step.error.code })
      refuse(client, step.reply)
      return
    }
    client.pause()
    if (step.reply.length > 0) client.write(step.reply)
    if (step.rest.length > 0) client.unshift(step.rest)
    const { destination, parameters } = step
    void serveFlow(client, { destination, parameters }, ANSWERS, front)
  }

  function onEnd(): void {
    front.observer.count('malformed', 1, { where: 'socks5' })
    client.destroy()
  }
}

const ANSWERS = { connected: () => socksSucceeded, failed: ({ code }: { code: Parameters<typeof socksReply>[0] }) => socksReply(code) }
