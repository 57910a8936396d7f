/** `byway verify`: recomputes every home's money from vouchers and chain, and names the first difference. */
import type { Command } from 'commander'
import { BywayError } from '../protocol/errors.ts'
import { domainSeparator, recoverSigner, voucherDigest } from '../protocol/voucher.ts'
import { realDisk } from '../wallet/disk.ts'
import { readJournal } from '../wallet/journal.ts'
import { type RecoverVoucher, type Verification, verifyBook } from '../wallet/verify.ts'
import { earningsOf, earningsSource, verifyEarnings } from './earnings.ts'
import { counted } from './format.ts'
import { chainOf, type NodeHome, readHomes } from './homes.ts'
import { leavesIn } from './leaves.ts'
import { networkFor } from './network.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'
import type { Env } from './resolve.ts'
import { type KeysOf, keysOf } from './settings.ts'

type Home = NodeHome<KeysOf<'verify'>>

const recover: RecoverVoucher = (domain, voucher) => recoverSigner(voucherDigest(domainSeparator(domain), voucher), voucher.signature)

/** The rewards of a provider too, where the chain has an economy. Claims may settle between two questions: what differs must differ twice. */
async function withRewards({ settings, genesis }: Home, verification: Verification): Promise<Verification> {
  const source = genesis.role === 'provider' ? earningsSource(settings, networkFor(settings, genesis)) : undefined
  if (source === undefined) return verification
  const leaves = await leavesIn(settings.leaves)
  const look = async () => {
    const earnings = await earningsOf(source, leaves, genesis.wallet)
    return { earnings, difference: await verifyEarnings(source, genesis.wallet, earnings) }
  }
  let { earnings, difference } = await look()
  if (difference !== undefined) ({ earnings, difference } = await look())
  const checked = { ...verification.checked, rewards: earnings.rewards.length }
  return { checked, ...(difference === undefined ? {} : { firstDifference: difference }) }
}

export async function verify(command: Command, env: Env, output: Output): Promise<void> {
  const homes = await readHomes(command, keysOf('verify'), env)
  const progress = createProgress(output)
  const nodes: { name: string; home: string; equal: boolean; checked: object; firstDifference?: object }[] = []
  for (const home of homes) {
    const { client } = chainOf(home)
    const reader = {
      rootState: async (rootId: `0x${string}`) => (await client.rootState(rootId)).state,
      burntOf: (payee: `0x${string}`) => client.burntOf(payee),
      channelPaid: async (channel: Parameters<typeof client.channelsPaid>[0][number]) => (await client.channelsPaid([channel]))[0]!,
    }
    const verification = await progress.step(`verifying ${home.name}`, async () => {
      const first = await verifyBook(home.records, reader, recover)
      if (first.firstDifference === undefined) return first
      // A claim may have settled between reading the journal and asking the chain: what stands must stand twice.
      const again = await readJournal(realDisk(), home.paths.journal)
      return verifyBook(again?.records ?? home.records, reader, recover)
    })
    const { checked, firstDifference } = verification.firstDifference === undefined ? await withRewards(home, verification) : verification
    const equal = firstDifference === undefined
    nodes.push({ name: home.name, home: home.paths.home, equal, checked, ...(equal ? {} : { firstDifference }) })
    const counts = Object.entries(checked).map(([what, count]) => `${counted(count, what.replace(/s$/, ''))}`)
    output.line(`${equal ? output.style('green', 'equal') : output.style('red', 'DIFFERENT')}  ${home.name}: ${counts.join(', ')}`)
    if (firstDifference !== undefined) {
      const { what, expected, found } = firstDifference
      output.line(`  first difference: ${what}\n    expected ${expected}\n    found    ${found}`)
    }
  }
  output.result({ nodes }, () => {})
  const different = nodes.filter((node) => !node.equal)
  if (different.length > 0) {
    throw new BywayError(
      'VERIFY_DIFFERENCE',
      `the money of ${different.map(({ name }) => name).join(', ')} does not follow from its vouchers`,
    )
  }
  output.line('all equal')
}
