/**
 * Buying ahead: the reservation whose cheapest answer is the truth, as contracts/src/libraries/Reservation.sol has it, and how much a
 * pool should buy for itself.
 */

/** Paid at once for a declared probability of `percent`: k q^2 / 2 of the price, with k = 1.5; rounded down. */
export function upfront(price: bigint, percent: bigint): bigint {
  return (price * 3n * percent * percent) / 40_000n
}

/** Paid on use: 1 + k / 2 - k q of the price; rounded down. */
export function onUse(price: bigint, percent: bigint): bigint {
  return (price * (350n - 3n * percent)) / 200n
}

/** What who needs capacity with probability p expects to pay when it declares q, as a part of the price. */
export function expectedCost(p: number, q: number, k = 1.5): number {
  return (k * q * q) / 2 + p * (1 + k / 2 - k * q)
}

/** Newsvendor: how much to buy of what is needed in a normal amount, if running short costs so much that `criticalRatio` is right. */
export function newsvendor(mean: number, deviation: number, criticalRatio: number): number {
  return mean + deviation * normalQuantile(criticalRatio)
}

/** Quantile of the standard normal distribution by bisection: 60 halvings of [-9, 9] are more exact than the density below. */
function normalQuantile(probability: number): number {
  let [low, high] = [-9, 9]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (normalBelow(middle) < probability) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Distribution function of the standard normal by its series around 0, which converges everywhere. */
function normalBelow(x: number): number {
  let term = x
  let sum = x
  for (let n = 1; n < 200; n++) {
    term *= (x * x) / (2 * n + 1)
    sum += term
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)
}
