/**
 * The economy from the first dollar to the last slash, on a devnet whose clock is moved: `npm run test:economy [-- BYTES]`.
 *
 * Fund, bond, finance a region, open a root, carry a gigabyte over three providers in two regions, claim, turn three epochs, receive usage and
 * capacity rewards and the floor that the region's vault pays, meet an agreement, break one, slash who said two things, vote a number through
 * the timelock, and leave with everything. After each step the identities of supply, stake, dollars and books are checked and printed.
 */
import { identities } from './identities.ts'
import { agree, carry, claim, enrol, fund, type Journey, leave, receive, slash, turn, verify, vote } from './steps.ts'
import { invest, settleVault } from './vault-steps.ts'
import { makeWorld } from './world.ts'

export interface JourneyOptions {
  bytes: number
  epochs: number
  say: (line: string) => void
}

export async function travel({ bytes, epochs, say }: JourneyOptions): Promise<void> {
  const world = await makeWorld(['de', 'de', 'us'])
  try {
    let journey: Journey | undefined
    let number = 0
    const step = async (title: string, work: () => Promise<string>) => {
      const startedMs = performance.now()
      const told = await work()
      say(`${String(++number).padStart(2)}  ${title}: ${told}  (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`)
      for (const line of await identities(world)) say(`      ${line}`)
    }
    await step('fund', async () => {
      journey = await fund(world)
      return 'test dollars for the consumer, gas for the providers, WAY for a voter'
    })
    const at = journey!
    const [first, second, third] = world.providers as [
      Parameters<typeof slash>[1],
      Parameters<typeof slash>[1],
      Parameters<typeof slash>[1],
    ]
    await step('enrol', () => enrol(at))
    await step('invest', () => invest(at))
    await step('carry', () => carry(at, bytes))
    await step('claim', () => claim(at))
    for (let epoch = 0; epoch < epochs; epoch++) await step('turn', () => turn(at))
    await step('receive', () => receive(at))
    await step('vault', () => settleVault(at))
    await step('agreement that is met', () => agree(at, first, 'met'))
    await step('agreement that is broken', () => agree(at, second, 'broken'))
    await step('slash', () => slash(at, third))
    await step('vote', () => vote(at))
    await step('leave', () => leave(at))
    await step('verify', () => verify(at))
  } finally {
    await world.close()
  }
}

/** A gigabyte. */
const BYTES = 1_000_000_000

if (import.meta.main) {
  const bytes = Number(process.argv[2] ?? BYTES)
  await travel({ bytes, epochs: 3, say: (line) => process.stdout.write(`${line}\n`) })
  process.stdout.write('every step as it should be, every identity held\n')
}
