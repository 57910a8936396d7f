/** Malformed datagrams: from an application, in a flow, and questions to a name server. Targets of wire.ts. */
import { formatSocksDatagram, parseSocksDatagram } from '../../src/consumer/proxy/udp.ts'
import { DatagramReader, encodeDatagram } from '../../src/protocol/datagram.ts'
import { parseDestination } from '../../src/protocol/destination.ts'
import { questionAllowed, readQuestion, refusal } from '../../src/tunnel/egress/questions.ts'
import type { Random } from './mutate.ts'
import { must, NOISE, type Outcome, outcome } from './recording.ts'
import type { Target } from './run.ts'

const datagrams = [
  { endpoint: parseDestination('9.8.7.6', 443), payload: Buffer.alloc(1_200, 1) },
  { endpoint: parseDestination('2001:db8::1', 53), payload: Buffer.from('hello') },
  { endpoint: parseDestination('a.example', 443), payload: Buffer.alloc(0) },
]
const question = Buffer.from('abcd010000010000000000010161076578616d706c6500001c000100002904d0000000000000', 'hex')

/** What was accepted is written and read again, whatever its pieces were. */
function throughReader(pieces: readonly Buffer[]): Outcome {
  const reader = new DatagramReader()
  const written: Buffer[] = []
  return outcome(() => {
    for (const piece of pieces) reader.push(piece, (datagram) => written.push(encodeDatagram(datagram)))
    const again = Buffer.concat(written)
    let count = 0
    new DatagramReader().push(again, () => count++)
    must(count === written.length, 'what was written is read otherwise')
  }, ['MESSAGE_MALFORMED'])
}

function fromApplication(pieces: readonly Buffer[]): Outcome {
  const datagram = parseSocksDatagram(Buffer.concat(pieces))
  if (datagram === undefined) return 'refused'
  const again = parseSocksDatagram(formatSocksDatagram(datagram))
  must(again !== undefined && again.endpoint.host === datagram.endpoint.host, 'another endpoint the second time')
  return 'accepted'
}

function asQuestion(pieces: readonly Buffer[], _random: Random): Outcome {
  const message = Buffer.concat(pieces)
  const read = readQuestion(message)
  if (read === undefined) return 'refused'
  if (!questionAllowed(read)) must(refusal(message, read).length === read.end, 'a refusal of another length')
  return 'accepted'
}

export const DATAGRAM_TARGETS: readonly Target[] = [
  {
    name: 'datagram-flow',
    corpus: [Buffer.concat(datagrams.map(encodeDatagram)), ...datagrams.map(encodeDatagram), NOISE],
    take: throughReader,
  },
  { name: 'datagram-socks', corpus: [...datagrams.map(formatSocksDatagram), NOISE], take: fromApplication },
  { name: 'dns-question', corpus: [question, NOISE], take: asQuestion },
]
