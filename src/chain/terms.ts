/** What whoever deploys decides, and no vote can change: who holds what at the beginning, and the numbers that are part of the code. */
import { z } from 'zod'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { addressSchema } from './schemas.ts'

const DAY_S = 86_400
/** Smallest units in one WAY. */
export const WAY = 10n ** 18n
const GENESIS_MAX = 200_000_000n * WAY

const seconds = z.int().positive()
const amount = z.union([z.bigint(), z.int(), z.string().regex(/^\d+$/)]).transform(BigInt)

const termsSchema = z.strictObject({
  /** Sends the transactions. Addresses depend on it, and it names the judges of the registry, once; it has no other power. */
  deployer: addressSchema,
  /** May pause new deposits for a week at a time, and nothing else. */
  guardian: addressSchema,
  /** Receives the WAY of genesis. */
  holder: addressSchema,
  /** Dollars to be paid with, the first is the one everything is counted in. None: a test dollar is deployed, worth nothing. */
  dollars: z.array(addressSchema).max(4),
  /** WAY at genesis: all that the schedules leave below the cap. */
  genesisWay: amount.refine((all) => all <= GENESIS_MAX, 'more than the cap leaves').default(GENESIS_MAX),
  /** An epoch: how often budgets are minted and roots are due. */
  epochS: seconds.default(DAY_S),
  /** Between the expiry of a root and its close: longer than a censored claim needs to be forced in (Arbitrum 24 h, OP stack 12 h). */
  graceS: z
    .int()
    .min(0)
    .max(30 * DAY_S)
    .default(2 * DAY_S),
  /** Members of a committee, if there are so many probers: eight may be corrupt (economics 1.4). */
  committeeSize: z.int().min(1).max(255).default(25),
  /** Countries with a vault of their own. */
  regions: z
    .array(z.string().regex(/^[a-z]{2}$/))
    .max(64)
    .default([]),
  auction: z
    .strictObject({
      /** Twelve lots sell in twelve half-lives at a steady price: within an epoch, with an hour to spare. */
      halfLifeS: seconds.default(6_900),
      /** Units of the dollar: ten dollars, or a purchase is hardly worth its gas. */
      minLot: amount.default(10_000_000n),
      /** WAY's smallest unit for one of the dollar's: one WAY a dollar. Too high costs waiting, too low sells the first lots cheap. */
      firstPrice: amount.default(10n ** 12n),
    })
    .prefault({}),
  vault: z
    .strictObject({
      /** Units of the dollar that a proven provider is sure of in a period: ten dollars a month (economics 4.5). */
      floor: amount.default(10_000_000n),
      periodS: seconds.default(30 * DAY_S),
    })
    .prefault({}),
  /** Units of the dollar that a GB sold ahead may cost at most: a hundred dollars. */
  capacityCeiling: amount.default(100_000_000n),
  /** Units of the dollar that reporter and disputer of an agreement each put up: fifty dollars. */
  disputeBond: amount.default(50_000_000n),
  votes: z
    .strictObject({
      /** From a proposal to the count of who holds what: time to delegate. */
      delayS: seconds.default(DAY_S),
      periodS: seconds.default(7 * DAY_S),
      /** WAY it takes to propose: a two-thousandth of genesis. */
      threshold: amount.default(100_000n * WAY),
    })
    .prefault({}),
  /** From a vote to its effect: the time in which whoever disagrees claims, closes and leaves. */
  timelockS: seconds.default(2 * DAY_S),
})

export type Terms = z.output<typeof termsSchema>
export type TermsInput = z.input<typeof termsSchema>

/** Terms somebody wrote down, completed by what holds in production. SETTING_INVALID names what is wrong. */
export function parseTerms(input: unknown): Terms {
  const parsed = termsSchema.safeParse(input)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const key = issue.path.join('.') || 'terms'
  throw new BywayError('SETTING_INVALID', `the terms of the deployment are not usable: ${key}: ${issue.message}`, { facts: { key } })
}

/** First account of the well-known test mnemonic; anvil signs for it. It holds the WAY of genesis, and is the guardian. */
export const DEV_ACCOUNT: Hex = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266'
/** Short, so that epochs turn while one looks on. */
export const DEVNET_EPOCH_S = 60
/** One WAY a dollar, in WAY's smallest unit for one of the dollar's. */
export const DEVNET_PAR = 10n ** 12n
/** Between expiry and the first close: short, because nobody censors a claim on a devnet. */
export const DEVNET_GRACE_S = 3_600

/** Everything as in production but times, which are short, and amounts, which are small. */
export const devnetTerms = (graceS = DEVNET_GRACE_S): Terms =>
  parseTerms({
    deployer: DEV_ACCOUNT,
    guardian: DEV_ACCOUNT,
    holder: DEV_ACCOUNT,
    dollars: [],
    epochS: DEVNET_EPOCH_S,
    graceS,
    // The countries of the first three providers of the local exchange.
    regions: ['de', 'us', 'jp'],
    // Twelve half-lives in an epoch; a cent is worth selling.
    auction: { halfLifeS: 5, minLot: 10_000n, firstPrice: DEVNET_PAR },
    // Five cents in ten minutes.
    vault: { floor: 50_000n, periodS: 600 },
    disputeBond: 1_000_000n,
    votes: { delayS: 10, periodS: 60, threshold: 1_000n * WAY },
    timelockS: 30,
  })
