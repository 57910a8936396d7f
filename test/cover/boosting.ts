/** Gradient-boosted trees for two classes (log loss, histogram splits): what a censor would train in an afternoon, in a hundred lines. */

const TREES = 120
const DEPTH = 4
const RATE = 0.15
const BINS = 32
/** A leaf of fewer samples says nothing. */
const LEAST = 5
/** Shrinks leaves towards 0 (the lambda of XGBoost). */
const LAMBDA = 1

type Tree = { feature: number; atMost: number; below: Tree; above: Tree } | { value: number }

/** Scores grow with the likelihood that a sample is of class 1. */
export function train(samples: readonly (readonly number[])[], classes: readonly (0 | 1)[]): (sample: readonly number[]) => number {
  const edges = samples[0]!.map((_, feature) => quantiles(samples.map((sample) => sample[feature]!)))
  const binned = samples.map((sample) => Uint8Array.from(sample, (value, feature) => binOf(edges[feature]!, value)))
  const scores = new Float64Array(samples.length)
  const trees: Tree[] = []
  for (let round = 0; round < TREES; round++) {
    const gradient = scores.map((score, at) => classes[at]! - sigmoid(score))
    const weight = scores.map((score) => sigmoid(score) * (1 - sigmoid(score)))
    const all = Uint32Array.from(samples, (_, at) => at)
    const tree = grow(all, DEPTH, { binned, edges, gradient, weight })
    trees.push(tree)
    for (const [at, sample] of samples.entries()) scores[at]! += RATE * worth(tree, sample)
  }
  return (sample) => trees.reduce((sum, tree) => sum + RATE * worth(tree, sample), 0)
}

interface Fit {
  binned: readonly Uint8Array[]
  edges: readonly number[][]
  gradient: Float64Array
  weight: Float64Array
}

function grow(members: Uint32Array, depth: number, fit: Fit): Tree {
  const [sum, total] = [sumOf(members, fit.gradient), sumOf(members, fit.weight)]
  const leaf = { value: sum / (total + LAMBDA) }
  if (depth === 0 || members.length < 2 * LEAST) return leaf
  let best = { gain: 1e-6, feature: -1, bin: 0 }
  for (let feature = 0; feature < fit.edges.length; feature++) {
    const [gradients, weights, counts] = [new Float64Array(BINS), new Float64Array(BINS), new Uint32Array(BINS)]
    for (const at of members) {
      const bin = fit.binned[at]![feature]!
      gradients[bin]! += fit.gradient[at]!
      weights[bin]! += fit.weight[at]!
      counts[bin]!++
    }
    let [g, w, n] = [0, 0, 0]
    for (let bin = 0; bin < fit.edges[feature]!.length; bin++) {
      g += gradients[bin]!
      w += weights[bin]!
      n += counts[bin]!
      if (n < LEAST || members.length - n < LEAST) continue
      const gain = (g * g) / (w + LAMBDA) + (sum - g) ** 2 / (total - w + LAMBDA) - (sum * sum) / (total + LAMBDA)
      if (gain > best.gain) best = { gain, feature, bin }
    }
  }
  if (best.feature < 0) return leaf
  const isBelow = (at: number) => fit.binned[at]![best.feature]! <= best.bin
  return {
    feature: best.feature,
    atMost: fit.edges[best.feature]![best.bin]!,
    below: grow(members.filter(isBelow), depth - 1, fit),
    above: grow(
      members.filter((at) => !isBelow(at)),
      depth - 1,
      fit,
    ),
  }
}

function worth(tree: Tree, sample: readonly number[]): number {
  let node = tree
  while ('feature' in node) node = sample[node.feature]! <= node.atMost ? node.below : node.above
  return node.value
}

/** Values between the bins; a value is in the bin of the first edge that is not below it. */
function quantiles(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b)
  return [...new Set(Array.from({ length: BINS - 1 }, (_, at) => sorted[Math.floor(((at + 1) * sorted.length) / BINS)]!))]
}

function binOf(edges: readonly number[], value: number): number {
  const bin = edges.findIndex((edge) => value <= edge)
  return bin < 0 ? edges.length : bin
}

const sumOf = (members: Uint32Array, values: Float64Array) => members.reduce((sum, at) => sum + values[at]!, 0)
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** Share of class 1 whose score is above all but `falsePositives` of class 0's. */
export function truePositiveRate(ours: readonly number[], others: readonly number[], falsePositives: number): number {
  const allowed = Math.floor(others.length * falsePositives)
  const threshold = others.toSorted((a, b) => b - a)[allowed] ?? Number.NEGATIVE_INFINITY
  return ours.filter((score) => score > threshold).length / ours.length
}
