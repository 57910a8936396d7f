/** `byway verify`: recomputes every home's money from vouchers and chain, and names the first difference. */
import type { Command } from 'commander'
import { BywayError } from '../protocol/errors.ts'
import { domainSeparator, recoverSigner, voucherDigest } from '../protocol/voucher.ts'
import { realDisk } from '../wallet/disk.ts'
import { readJournal } from '../wallet/journal.ts'
import { type RecoverVoucher, verifyBook } from '../wallet/verify.ts'
import { counted } from './format.ts'
import { chainOf, readHomes } from './homes.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'
import type { Env } from './resolve.ts'
import { keysOf } from './settings.ts'

const recover: RecoverVoucher = (domain, voucher) => recoverSigner(voucherDigest(domainSeparator(domain), voucher), voucher.signature)

export async function verify(command: Command, env: Env, output: Output): Promise<void> {
  const homes = await readHomes(command, keysOf('verify'), env)
  const progress = createProgress(output)
  const nodes: { name: string; home: string; equal: boolean; checked: object; firstDifference?: object }[] = []
  for (const home of homes) {
    const { client } = chainOf(home)
    const reader = {
      rootState: async (rootId: `0x${string}`) => (await client.rootState(rootId)).state,
      channelPaid: async (channel: Parameters<typeof client.channelsPaid>[0][number]) => (await client.channelsPaid([channel]))[0]!,
    }
    const { checked, firstDifference } = await progress.step(`verifying ${home.name}`, async () => {
      const first = await verifyBook(home.records, reader, recover)
      if (first.firstDifference === undefined) return first
      // A claim may have settled between reading the journal and asking the chain: what stands must stand twice.
      const again = await readJournal(realDisk(), home.paths.journal)
      return verifyBook(again?.records ?? home.records, reader, recover)
    })
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
