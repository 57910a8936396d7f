/** Asking a relay how it sees us, and whether it can reach our port. */
import type { Hex } from '../../protocol/bytes.ts'
import { BywayError, errorCode } from '../../protocol/errors.ts'
import { type MessageBody, PROTOCOL_VERSION } from '../../protocol/messages.ts'
import type { Link } from '../../tunnel/index.ts'

/** The relay itself dials for up to three seconds. */
const ANSWER_TIMEOUT_MS = 5_000

/** Asks on a fresh link and ends it. `port` 0 asks for the address alone. */
export async function askHowSeen(
  link: Link,
  { nodeKey, port, pin }: { nodeKey: Hex; port: number; pin: Hex },
): Promise<MessageBody<'observed'>> {
  const { promise, resolve, reject } = Promise.withResolvers<MessageBody<'observed'>>()
  const timer = setTimeout(() => reject(new BywayError('PROVIDER_UNREACHABLE', 'the relay did not answer in time')), ANSWER_TIMEOUT_MS)
  link.listen({
    onMessage: (message) => {
      if (message.name === 'observed') resolve(message.body)
      else if (message.name === 'refused') reject(new BywayError(errorCode(message.body.code, 'PROVIDER_BUSY'), message.body.message))
      else reject(new BywayError('MESSAGE_UNEXPECTED', `${message.name} is no answer to observe`))
    },
    onData: () => reject(new BywayError('MESSAGE_UNEXPECTED', 'data instead of an answer')),
    onClose: (error) => reject(error ?? new BywayError('PROVIDER_LOST', 'the relay closed the connection')),
  })
  link.send('observe', { version: PROTOCOL_VERSION, nodeKey, port, pin })
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    link.unlisten()
    link.destroy()
  }
}
