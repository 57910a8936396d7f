/** What an active prober learns: answers to noise, to replays, and how long they take, beside the real cover server's. */
import { randomBytes } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { COVER_LABEL, coverKey, proofOf, upgradeRequest } from '../../src/tunnel/cover/proof.ts'
import type { Counts, Finding } from './acceptance.ts'
import { NODE_KEY } from './node.ts'
import { comparable, type Heard, inParallel, kolmogorovSmirnov, median, probe } from './probe.ts'
import type { World } from './world.ts'

const AT_ONCE = 24
/** The cover keeps connections open after a page: nobody has to wait for their end. */
const KEPT = { afterAnswerMs: 100 }
/** Of the distributions of two samples from one: rarer than this is a difference. */
const LEAST_P = 0.001

/** Random bytes of every length, in the clear and inside TLS, to the node and to the real thing. */
export async function compareProbes({ nginx, node, builtIn, site }: World, { lengths }: Counts): Promise<Finding> {
  const all = Array.from({ length: lengths }, (_, at) => randomBytes(Math.max(1, Math.round(((at + 1) * 4_096) / lengths))))
  const lines: string[] = []
  let differing = 0
  for (const [whose, ours, real] of [
    ['cover nginx', node.port, nginx.https],
    ['built-in site', builtIn.port, site.port],
  ] as const) {
    for (const how of ['tcp', 'tls'] as const) {
      const pairs = await inParallel(all, AT_ONCE, (said) => Promise.all([probe(ours, said, how), probe(real, said, how)]))
      const different = pairs.filter(([a, b]) => comparable(a) !== comparable(b))
      differing += different.length
      const kinds = new Set(pairs.map(([, b]) => firstLine(b)))
      lines.push(
        `${whose}, ${how}: ${different.length} of ${pairs.length} answers differ from the real server's (${kinds.size} kinds: ${[...kinds].slice(0, 4).join('; ')})`,
      )
      for (const [a, b] of different.slice(0, 2)) lines.push(`  node: ${firstLine(a)}   real: ${firstLine(b)}`)
    }
  }
  return { what: `random probes of ${lengths} lengths up to 4,096`, lines, passed: differing === 0 }
}

const firstLine = (heard: Heard) => {
  const line = heard.answer.toString('latin1').split('\r\n', 1)[0]!
  return `${heard.end}, ${heard.answer.length === 0 ? 'nothing' : /^[ -~]+$/.test(line) ? line : `TLS ${heard.answer.toString('hex', 0, 7)}`}`
}

const exporterOf = (socket: TLSSocket) => socket.exportKeyingMaterial(32, COVER_LABEL, Buffer.alloc(0))
const rightProof = (exporter: Uint8Array) => Buffer.from(upgradeRequest('127.0.0.1', proofOf(coverKey(NODE_KEY), exporter)))

/** Proofs that were right once, on other connections, before and after a restart. */
export async function compareReplays(world: World, { replays }: Counts): Promise<Finding> {
  const recorded: Buffer[] = []
  let accepted = 0
  await inParallel(Array.from({ length: Math.min(100, replays) }), AT_ONCE, async () => {
    const heard = await probe(world.node.port, Buffer.alloc(0), 'tls', {
      ...KEPT,
      onReady(socket) {
        const proof = rightProof(exporterOf(socket as TLSSocket))
        recorded.push(proof)
        return proof
      },
    })
    if (heard.answer.toString('latin1').startsWith('HTTP/1.1 101 ')) accepted++
  })
  const different: Heard[] = []
  const replay = async (count: number) => {
    const real = comparable(await probe(world.nginx.https, recorded[0]!, 'tls', KEPT))
    const answers = await inParallel(Array.from({ length: count }), AT_ONCE, () =>
      probe(world.node.port, recorded[Math.floor(Math.random() * recorded.length)]!, 'tls', KEPT),
    )
    different.push(...answers.filter((heard) => comparable(heard) !== real))
    return real
  }
  const real = await replay(Math.ceil(replays / 2))
  await world.restart()
  await replay(Math.floor(replays / 2))
  const lines = [
    `${different.length} of ${replays} replays (half of them after kill -9) got another answer than nginx gives (${real.split('\n', 2)[1]!.trim()})`,
    `control: ${accepted} of ${recorded.length} were right on their own connection`,
  ]
  for (const heard of different.slice(0, 3))
    lines.push(`  node: ${firstLine(heard)}, ${heard.answer.length} bytes after ${Math.round(heard.ms)} ms`)
  return { what: `${replays} replays of recorded proofs`, lines, passed: different.length === 0 && accepted === recorded.length }
}

/** One after the other, in turns, so that all meet the same machine. */
export async function compareTimes({ nginx, node, site, builtIn }: World, { times }: Counts): Promise<Finding> {
  const replay = rightProof(randomBytes(32))
  const visit = Buffer.from(replay.toString('latin1').replace(/Cookie: sid=/, 'Cookie: top='))
  const ways = [
    ['visit, node', node.port, visit],
    ['replay, node', node.port, replay],
    ['visit, nginx', nginx.https, visit],
    ['replay, nginx', nginx.https, replay],
    ['visit, built-in', builtIn.port, visit],
    ['replay, built-in', builtIn.port, replay],
    ['visit, Node https', site.port, visit],
  ] as const
  const samples: Record<string, number[]> = Object.fromEntries(ways.map(([name]) => [name, []]))
  for (let turn = 0; turn < times; turn++) {
    for (const [name, port, said] of ways.toSorted(() => Math.random() - 0.5))
      samples[name]!.push((await probe(port, said, 'tls', KEPT)).ms)
  }
  const us = (values: number[]) => `${Math.round(median(values) * 1000)} us`
  const compare = (a: string, b: string) => {
    const { distance, p } = kolmogorovSmirnov(samples[a]!, samples[b]!)
    return { line: `${a} ${us(samples[a]!)} / ${b} ${us(samples[b]!)}: D ${distance.toFixed(3)}, p ${p.toPrecision(2)}`, p }
  }
  // What is a question of the program: the wrong proof must cost a node nothing that an ordinary request does not cost.
  const judged = [compare('replay, node', 'visit, node'), compare('replay, built-in', 'visit, built-in')]
  // What is a question of the machine: the way through the node is longer than without it, by what is printed here.
  const printed = [
    compare('visit, node', 'visit, nginx'),
    compare('replay, nginx', 'visit, nginx'),
    compare('visit, built-in', 'visit, Node https'),
  ]
  const lines = [...judged.map(({ line }) => line), ...printed.map(({ line }) => `(not judged) ${line}`)]
  return { what: `times to the first byte, ${times} each`, lines, passed: judged.every(({ p }) => p > LEAST_P) }
}
