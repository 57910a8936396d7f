/** What an observer on the path makes of links: nDPI's class, and the rule against fully encrypted traffic. */
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { duplexPair } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { HELLO } from '../../src/tunnel/cover/hello.ts'
import { connectLink } from '../../src/tunnel/index.ts'
import type { Counts, Finding } from './acceptance.ts'
import { classify } from './dpi.ts'
import { exemption } from './first-payload.ts'
import { NODE_KEY } from './node.ts'
import { inParallel, probe } from './probe.ts'
import type { World } from './world.ts'

const REQUEST = Buffer.from('GET /long.html HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
/** Enough that every flow is whole in the capture, few enough that none is dropped. */
const AT_ONCE = 8
/** ndpiReader forgets flows that were idle for 30 s, without a word: captures are shorter than that. */
const BATCH = 100

/** Each link carries a message and some payload there and back; each visit fetches a page; the control says random bytes. */
export async function askDpi({ nginx, node }: World, { flows }: Counts): Promise<Finding> {
  const noise = createServer((socket) => socket.on('error', () => {}).on('data', () => socket.write(randomBytes(randomInt(1, 1_000)))))
  noise.listen(0, '127.0.0.1')
  await once(noise, 'listening')
  const noisePort = (noise.address() as { port: number }).port
  const found = { byPort: new Map<number, Map<string, number>>(), unknown: 0 }
  let controls = 0
  for (let done = 0; done < flows; done += BATCH) {
    const each = Array.from({ length: Math.min(BATCH, flows - done) }, (_, at) => at)
    const few = each.slice(0, Math.ceil(each.length / 10))
    controls += few.length
    const { byPort, unknown } = await classify([node.port, nginx.https, noisePort], async () => {
      await inParallel(each, AT_ONCE, () => useLink(node.port, nginx.certificate.pin))
      await inParallel(each, AT_ONCE, () => probe(nginx.https, REQUEST, 'tls'))
      await inParallel(few, AT_ONCE, () => sayNoise(noisePort))
    })
    found.unknown += unknown
    for (const [port, classes] of byPort) {
      const sum = found.byPort.get(port) ?? new Map<string, number>()
      for (const [name, count] of classes) sum.set(name, (sum.get(name) ?? 0) + count)
      found.byPort.set(port, sum)
    }
  }
  noise.close()
  const [ours, cover, control] = [node.port, nginx.https, noisePort].map((port) => found.byPort.get(port)!)
  const show = (counts: Map<string, number>) => [...counts].map(([name, count]) => `${name} ${count}`).join(', ') || 'none'
  const [only = ''] = cover!.keys()
  const lines = [
    `links:   ${show(ours!)}`,
    `nginx:   ${show(cover!)} (the node's own connections to it among them)`,
    `control: ${show(control!)}; unknown ${found.unknown} of ${controls} flows of random bytes`,
  ]
  const passed =
    cover!.size === 1 &&
    cover!.get(only)! >= flows &&
    ours!.get(only) === flows &&
    ours!.size === 1 &&
    !control!.has(only) &&
    found.unknown > 0
  return { what: `ndpiReader, ${flows} links`, lines, passed }
}

async function useLink(port: number, pin: `0x${string}`): Promise<void> {
  const link = await connectLink({ kind: 'tls', host: '127.0.0.1', port, pin }, NODE_KEY)
  const bytes = randomInt(100, 20_000)
  let got = 0
  const done = Promise.withResolvers<void>()
  link.listen({
    onMessage: () => link.sendData(randomBytes(bytes), () => {}),
    onData(chunk) {
      got += chunk.length
      if (got === bytes) done.resolve()
    },
    onClose: (error) => done.reject(error ?? new Error('the link closed')),
  })
  link.send('ping', { nonce: 1n })
  await done.promise
  const closed = once(link.wire, 'close')
  link.close()
  await closed
}

async function sayNoise(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  for (let turn = 0; turn < 5; turn++) {
    socket.write(randomBytes(randomInt(50, 1_000)))
    await once(socket, 'data')
  }
  socket.destroy()
}

/** The first payload of a link is its hello: of all kinds of transport the same. */
export async function blockedPayloads(_world: World, { payloads }: Counts): Promise<Finding> {
  const names = ['', 'example.org', 'www.a-rather-long-name-of-a-site.example.com']
  let blocked = 0
  let withoutTls = 0
  let control = 0
  for (let at = 0; at < payloads; at++) {
    const hello = await firstPayload(names[at % names.length]!)
    const exempt = exemption(hello)
    if (exempt === undefined) blocked++
    if (exempt === undefined || exempt === 'protocol') withoutTls++
    if (exemption(randomBytes(randomInt(1, 4_097))) === undefined) control++
  }
  const lines = [
    `links blocked: ${blocked} of ${payloads} (if TLS were not exempt: ${withoutTls})`,
    `control: ${control} of ${payloads} payloads of random bytes blocked`,
  ]
  return { what: 'rule against fully encrypted traffic', lines, passed: blocked === 0 && control > payloads / 2 }
}

async function firstPayload(servername: string): Promise<Buffer> {
  const [near, far] = duplexPair()
  const socket = connectTls({ ...HELLO, socket: near, ...(servername === '' ? {} : { servername }) }).on('error', () => {})
  const [hello] = (await once(far, 'data')) as [Buffer]
  socket.destroy()
  return hello
}
