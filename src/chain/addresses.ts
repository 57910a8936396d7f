/** The file that says where the contracts of a chain are: what a deployment writes and every command reads with `--contracts`. */
import { z } from 'zod'
import { BywayError } from '../protocol/errors.ts'
import type { Contracts } from './plan.ts'
import { addressSchema } from './schemas.ts'

const laneShape = { dollar: addressSchema, channels: addressSchema, burnAuction: addressSchema }

const contractsSchema = z.strictObject({
  ...laneShape,
  parameters: addressSchema,
  way: addressSchema,
  wayChannels: addressSchema,
  moreDollars: z.array(z.strictObject(laneShape)),
  emissions: addressSchema,
  usageMint: addressSchema,
  registry: addressSchema,
  committee: addressSchema,
  audits: addressSchema,
  capacityRewards: addressSchema,
  bootstrapRewards: addressSchema,
  regionMultipliers: addressSchema,
  vaults: z.record(z.string().regex(/^[a-z]{2}$/), addressSchema),
  capacityMarket: addressSchema,
  serviceAgreements: addressSchema,
  subscription: addressSchema,
  governance: addressSchema,
  timelock: addressSchema,
}) satisfies z.ZodType<Contracts>

const fileSchema = z.strictObject({ chainId: z.int().positive(), contracts: contractsSchema })

export interface Addresses {
  chainId: number
  contracts: Contracts
}

export const addressesText = (addresses: Addresses): string => `${JSON.stringify(addresses, undefined, 2)}\n`

/** SETTING_INVALID names what is wrong. */
export function parseAddresses(text: string, path: string): Addresses {
  const refuse = (why: string) =>
    new BywayError('SETTING_INVALID', `${path} does not name the contracts of a chain: ${why}`, {
      facts: { path },
      hint: 'it is the file that `byway deploy` writes',
    })
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw refuse('it is not JSON') // the parser's message would quote the file
  }
  const parsed = fileSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  throw refuse(`${issue.path.join('.') || 'it'}: ${issue.message}`)
}
