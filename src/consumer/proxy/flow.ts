/**
 * One flow of an application: dial, answer, carry. SOCKS5 and HTTP CONNECT differ only in the bytes of the answer.
 */
import type { Duplex } from 'node:stream'
import { asBywayError, BywayError } from '../../protocol/errors.ts'
import { splice } from '../../tunnel/splice.ts'
import type { Count } from './count.ts'
import type { Answers, Carried, Dialed, Dialer, DialRequest, Front } from './index.ts'

/** Time for an application to read the refusal before its connection goes, whatever it still sends. */
const LINGER_MS = 1_000

/** `client` is paused or not yet read. Resolves when the flow is over, or asks another exit; never rejects. */
export async function serveFlow(client: Duplex, request: DialRequest, answers: Answers, front: Front, isFirst = true): Promise<void> {
  const { dialer, observer } = front
  let wentElsewhere = false
  // Once: an application that waits for the second exit as well is told that it did not answer.
  const elsewhere = (back: Duplex) => {
    wentElsewhere = true
    if (front.admit(back)) void serveFlow(back, request, answers, front, false)
  }
  const gone = new AbortController()
  const onClose = () => gone.abort(new BywayError('CONNECTION_RESET', 'the application went away'))
  client.once('close', onClose)
  // Keeps reading up to one buffer, so that a reset is noticed while we wait for the exit.
  client.read(0)
  let begun: Carried | Dialed
  try {
    const told = isFirst ? { ...answers, elsewhere } : answers
    begun = (await dialer.carry?.(request, client, told, gone.signal)) ?? (await dialer.dial(request, gone.signal))
  } catch (thrown) {
    const error = asBywayError(thrown)
    observer.log('flow-refused', { code: error.code })
    refuse(client, answers.failed(error))
    return
  } finally {
    client.off('close', onClose)
  }
  if ('over' in begun) {
    // A failure was told to the application already.
    begun.opened.catch((error) => {
      if (!wentElsewhere) observer.log('flow-refused', { code: asBywayError(error).code })
    })
    // Not waited for here: whoever waits keeps what the flow began with, which is more than the flow itself.
    return begun.over
  }
  const { stream, route } = begun
  if (client.destroyed) {
    stream.on('error', () => {}) // our own reset, nobody is left to hear of it
    stream.destroy(new BywayError('CONNECTION_RESET', 'the application went away'))
    return
  }
  client.write(answers.connected(route))
  const over = splice(client, stream)
  // An application that sent its end while we dialled said so before splice could listen.
  if (client.readableEnded) stream.end()
  client.resume()
  await over
}

/** The last words on a connection: sent, then the connection ends even if the application keeps talking. */
export function refuse(client: Duplex, words: Uint8Array): void {
  if (client.destroyed) return
  client.end(words)
  // Read on and throw away: closing with bytes unread would send a reset that overtakes the words.
  client.resume()
  const timer = setTimeout(() => client.destroy(), LINGER_MS)
  client.once('close', () => clearTimeout(timer))
}

/** A dialer that holds no more streams open at once than may be counted, and knows which. */
export function limitFlows(inner: Dialer, count: Count): { dialer: Dialer; open: ReadonlySet<Duplex> } {
  const open = new Set<Duplex>()
  const admit = () => {
    if (count.take()) return
    throw new BywayError('PROXY_TOO_MANY_FLOWS', `more than ${count.most} flows are open`, { hint: 'Close some, or raise the limit.' })
  }
  const carry = inner.carry?.bind(inner)
  const carryCounted = async (...request: Parameters<NonNullable<Dialer['carry']>>): Promise<Carried | undefined> => {
    admit()
    try {
      const flow = await carry!(...request)
      if (flow === undefined) count.give()
      else void flow.over.then(() => count.give())
      return flow
    } catch (thrown) {
      count.give()
      throw thrown
    }
  }
  const dialer: Dialer = {
    ...(carry === undefined ? {} : { carry: carryCounted }),
    dial: async (request, signal) => {
      admit()
      try {
        const dialed = await inner.dial(request, signal)
        open.add(dialed.stream)
        dialed.stream.once('close', () => {
          open.delete(dialed.stream)
          count.give()
        })
        return dialed
      } catch (thrown) {
        count.give()
        throw thrown
      }
    },
  }
  return { dialer, open }
}
