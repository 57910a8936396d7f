/**
 * How well links that carry HTTPS can be told from visits and WebSockets by sizes and directions of their first records:
 * `node test/cover/tls-in-tls.ts --captures 2000`. Prints the share of links found at 0.1 % false positives, with padding off and on; the
 * classifier is trained anew for each, so it knows the padding. A number to watch, not one to pass.
 */
import { parseArgs } from 'node:util'
import type { Finding } from './acceptance.ts'
import { train, truePositiveRate } from './boosting.ts'
import { type Capture, openStudio } from './captures.ts'
import { inParallel } from './probe.ts'

const RECORDS = 20
const BURSTS = 8
const AT_ONCE = 8
const FOLDS = 4
const FALSE_POSITIVES = 0.001

/** Sizes with their direction, the same summed over bursts, and where the client's first large and the server's first large burst stand. */
function features(capture: Capture): number[] {
  const first = Array.from({ length: RECORDS }, (_, at) => capture[at] ?? 0)
  const bursts: number[] = []
  for (const size of capture.slice(0, RECORDS)) {
    const last = bursts.at(-1)
    if (last !== undefined && last > 0 === size > 0) bursts[bursts.length - 1] = last + size
    else bursts.push(size)
  }
  const summed = Array.from({ length: BURSTS * 2 }, (_, at) => bursts[at] ?? 0)
  const pairs = summed.slice(1).map((size, at) => size + summed[at]!)
  const up = first.filter((size) => size > 0)
  const down = first.filter((size) => size < 0)
  const sum = (sizes: number[]) => sizes.reduce((total, size) => total + size, 0)
  return [...first, ...summed, ...pairs, up.length, sum(up), sum(down), Math.max(0, ...up), Math.min(0, ...down), bursts.length]
}

/** Captures, trains in folds so that every capture is scored by a classifier that has not seen it, and counts. Nothing is judged. */
export async function findTlsInTls(_world: unknown, { captures }: { captures: number }): Promise<Finding> {
  const studio = await openStudio()
  const make = (one: () => Promise<Capture>) => inParallel(Array.from({ length: captures }), AT_ONCE, one)
  const others = [...(await make(studio.visit)), ...(await make(studio.webSocket))].map(features)
  const found = async (padded: boolean) => {
    const scores = scored((await make(() => studio.link(padded))).map(features), others)
    return `${(100 * truePositiveRate(scores.ours, scores.others, FALSE_POSITIVES)).toFixed(1)} %`
  }
  const lines = [
    `found at 0.1 % false positives, padding off: ${await found(false)}`,
    `found at 0.1 % false positives, padding on:  ${await found(true)}`,
  ]
  studio.close()
  return { what: `TLS in TLS (not judged): ${captures} links, ${captures} visits, ${captures} WebSockets`, lines, passed: true }
}

function scored(ours: number[][], others: number[][]): { ours: number[]; others: number[] } {
  const scores = { ours: new Array<number>(ours.length), others: new Array<number>(others.length) }
  for (let fold = 0; fold < FOLDS; fold++) {
    const kept = (_: unknown, at: number) => at % FOLDS !== fold
    const [a, b] = [ours.filter(kept), others.filter(kept)]
    const score = train([...a, ...b], [...a.map(() => 1 as const), ...b.map(() => 0 as const)])
    for (let at = fold; at < ours.length; at += FOLDS) scores.ours[at] = score(ours[at]!)
    for (let at = fold; at < others.length; at += FOLDS) scores.others[at] = score(others[at]!)
  }
  return scores
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { captures: { type: 'string', default: '2000' } } })
  const { what, lines } = await findTlsInTls(undefined, { captures: Number(values.captures) })
  console.log([what, ...lines].join('\n'))
}
