/** How much WAY comes into being: the schedule and net emissions, as Schedule.sol and Emissions.sol have them. */

/** WAY's smallest units in one WAY. */
export const WAY = 10n ** 18n
const YEAR = 365n
const CAPACITY_FIRST = 246_575n * WAY
const CAPACITY_KEEP = 85n
const BOOTSTRAP_FIRST = 364_963n * WAY
const BOOTSTRAP_EPOCHS = 1_095n
const NET_EPOCHS = 336n
const NET_PART = 10n
const NET_MAX = 5_000n * WAY

/** Scheduled for the capacity of an epoch. */
export function capacityAt(epoch: bigint): bigint {
  let amount = CAPACITY_FIRST
  for (let year = epoch / YEAR; year > 0n && amount > 0n; year--) amount = (amount * CAPACITY_KEEP) / 100n
  return amount
}

/** Scheduled for the bootstrap of an epoch. */
export const bootstrapAt = (epoch: bigint): bigint =>
  epoch >= BOOTSTRAP_EPOCHS ? 0n : (BOOTSTRAP_FIRST * (BOOTSTRAP_EPOCHS - epoch)) / BOOTSTRAP_EPOCHS

/** What burnt and comes back: a 336th of the pool each epoch. */
export class NetPool {
  pool = 0n
  #seen = 0n

  /** Turns `epochs` epochs when `burned` was burnt in all; what each gives back. */
  turn(burned: bigint, epochs = 1): bigint[] {
    const entered = (burned - this.#seen) / NET_PART
    const most = BigInt(epochs) * NET_MAX
    this.#seen = burned
    this.pool += entered < most ? entered : most
    return Array.from({ length: epochs }, () => {
      const back = this.pool / NET_EPOCHS
      this.pool -= back
      return back
    })
  }
}
