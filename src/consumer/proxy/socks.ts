/** Drives the SOCKS5 parser (socks5.ts) with a connection, then serves the flow or the association it asked for. */
import type { Duplex } from 'node:stream'
import { refuse, serveFlow } from './flow.ts'
import type { Front } from './index.ts'
import { socksReply, socksSucceeded } from './replies.ts'
import { createSocksParser } from './socks5.ts'
import { serveAssociation } from './udp.ts'

/** `onHandshake`: the handshake is over, one way or the other. `said`: bytes of our answers that the client has heard already. */
export function serveSocks(client: Duplex, front: Front, { onHandshake, said = 0 }: { onHandshake: () => void; said?: number }): void {
  const parser = createSocksParser()
  let heard = said
  client.on('data', onData)
  client.once('end', onEnd)
  client.resume()

  function onData(chunk: Buffer): void {
    const step = parser.push(chunk)
    if (step.kind === 'more') {
      say(step.reply)
      return
    }
    client.off('data', onData)
    client.off('end', onEnd)
    onHandshake()
    if (step.kind === 'refused') {
      front.observer.count('malformed', 1, { where: 'socks5' })
      front.observer.log('request-refused', { code: step.error.code })
      refuse(client, unheard(step.reply))
      return
    }
    client.pause()
    say(step.reply)
    if (step.kind === 'associate') {
      void serveAssociation(client, step, front)
      return
    }
    if (step.rest.length > 0) client.unshift(step.rest)
    const { destination, parameters } = step
    void serveFlow(client, { destination, parameters }, ANSWERS, front)
  }

  function say(reply: Buffer): void {
    const words = unheard(reply)
    if (words.length > 0) client.write(words)
  }

  function unheard(reply: Buffer): Buffer {
    const words = reply.subarray(heard)
    heard -= reply.length - words.length
    return words
  }

  function onEnd(): void {
    front.observer.count('malformed', 1, { where: 'socks5' })
    client.destroy()
  }
}

const ANSWERS = { connected: () => socksSucceeded, failed: ({ code }: { code: Parameters<typeof socksReply>[0] }) => socksReply(code) }
