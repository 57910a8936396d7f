/** The rest of an hour's life: a provider offers it, a holder redeems what it used, and both get back what is theirs. */
import type { Command } from 'commander'
import { endOf, type Right, startOf } from '../chain/index.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Owner } from './economy.ts'
import { formatTime, formatUsd, shortHex } from './format.ts'
import type { Output } from './output.ts'
import { carryOut } from './signing.ts'
import { countWord, dollarsWord, regionWord, timeWord } from './words.ts'

const HOUR_S = 3_600
const MAX_GB = 4_294_967_295
const MAX_TIER = 255

export async function offer(owner: Owner, command: Command, gbText: string | undefined, output: Output): Promise<void> {
  const options = command.opts<{ hour?: string; region?: string; price?: string; tier?: string }>()
  const gb = countWord('the GB', gbText, MAX_GB)
  const hour = Math.floor(timeWord('--hour', options.hour) / HOUR_S)
  const price = dollarsWord('--price', options.price)
  const line = {
    region: regionWord('--region', options.region),
    tier: options.tier === undefined ? 1 : countWord('--tier', options.tier, MAX_TIER),
    hour,
  }
  const { market, governance } = owner.economy
  const [{ proven, offered }, parameters, windowS] = await Promise.all([
    market.capacityOf(owner.address, hour),
    governance.parameters(),
    market.windowS(),
  ])
  if (offered + BigInt(gb) > proven) {
    throw new BywayError('AMOUNT_TOO_LARGE', 'that is more than audits proved this provider can carry in an hour', {
      facts: { provenGb: proven, offeredGb: offered, askedGb: gb },
      hint: proven === 0n ? 'no audit has proved anything of it lately' : 'offer less, or in another hour',
    })
  }
  const penalty = parameters.find(({ name }) => name === 'capacityPenalty')?.value ?? 0n
  const bond = market.bondFor(price, penalty)
  const settlesAt = (hour + 1) * HOUR_S + windowS
  await carryOut(owner, command, output, {
    will: [
      `offer ${gb} GB in ${line.region} at ${formatUsd(price)} a GB, for the hour from ${formatTime(hour * HOUR_S)}`,
      `move a bond of ${formatUsd(bond * BigInt(gb))} from the wallet`,
    ],
    notes: [
      `The bond and what was earned come back from ${formatTime(settlesAt)} on; of what a committee finds undelivered, the bond is lost.`,
    ],
    actions: [market.offer(line, gb, price, bond)],
    facts: { ...line, gb, price, bond: bond * BigInt(gb), settlesAt },
  })
}

/** Rights in their hour, or within the window after it. */
export async function redeem(owner: Owner, command: Command, gbText: string | undefined, output: Output): Promise<void> {
  const { market } = owner.economy
  const gb = countWord('the GB', gbText, MAX_GB)
  const [nowS, windowS, rights] = await Promise.all([owner.economy.nowS(), market.windowS(), market.rightsOf(owner.address)])
  const usable = rights.filter(({ id }) => startOf(id) <= nowS && nowS < endOf(id) + windowS)
  const right = usable.find((one) => one.gb >= BigInt(gb))
  if (right === undefined) throw nothingToRedeem(rights, nowS, gb)
  await carryOut(owner, command, output, {
    will: [
      `redeem ${gb} of ${right.gb} GB of ${shortHex(right.provider)} in ${right.region}: it is paid ${formatUsd(right.onUse * BigInt(gb))}`,
    ],
    notes: [],
    actions: [market.redeem(right.id, gb)],
    facts: { id: right.id, provider: right.provider, gb, units: right.onUse * BigInt(gb) },
  })
}

function nothingToRedeem(rights: readonly Right[], nowS: number, gb: number): BywayError {
  const next = rights.filter(({ id }) => startOf(id) > nowS).sort((a, b) => startOf(a.id) - startOf(b.id))[0]
  if (next !== undefined && next.gb >= BigInt(gb)) {
    return new BywayError('TOO_EARLY', 'the hour of what this wallet reserved has not begun', {
      facts: { begins: formatTime(startOf(next.id)), gb: next.gb },
    })
  }
  return new BywayError('AMOUNT_TOO_LARGE', `this wallet has no ${gb} GB that can be redeemed now`, {
    hint: '`byway reserve` lists what it has',
  })
}

/** Settles lines whose window is over, burns the unused rights of this wallet, and collects. */
export async function refund(owner: Owner, command: Command, output: Output): Promise<void> {
  const { market } = owner.economy
  const { address } = owner
  const [nowS, windowS, rights, credit, own] = await Promise.all([
    owner.economy.nowS(),
    market.windowS(),
    market.rightsOf(address),
    market.creditOf(address),
    market.linesOf(address),
  ])
  const over = (id: bigint) => nowS >= endOf(id) + windowS
  const unused = rights.filter(({ id }) => over(id))
  const lines = new Set([
    ...unused.filter(({ settled }) => !settled).map(({ line }) => line),
    ...own.filter(({ line, settled }) => over(line) && !settled).map(({ line }) => line),
  ])
  if (unused.length === 0 && lines.size === 0 && credit === 0n) {
    const ends = [...rights.map(({ id }) => endOf(id)), ...own.filter(({ settled }) => !settled).map(({ line }) => endOf(line))]
    if (ends.length === 0) throw new BywayError('NOTHING_DUE', 'nothing is reserved or offered by this wallet that is not over')
    throw new BywayError('TOO_EARLY', 'an hour is settled a day after its end', {
      facts: { next: formatTime(Math.min(...ends) + windowS) },
    })
  }
  const back = unused.reduce((sum, { onUse, gb }) => sum + onUse * gb, credit)
  await carryOut(owner, command, output, {
    will: [
      ...(lines.size > 0 ? [`settle ${lines.size === 1 ? 'an hour that is' : `${lines.size} hours that are`} over`] : []),
      ...unused.map(({ gb, provider, region }) => `return ${gb} GB of ${shortHex(provider)} in ${region} that were not used`),
      `bring ${formatUsd(back)} into the wallet, and what the hours it sold have earned`,
    ],
    notes: [],
    actions: [...[...lines].map((line) => market.settle(line)), ...unused.map(({ id }) => market.expire(id, address)), market.collect()],
    facts: { settled: [...lines], expired: unused.map(({ id, gb }) => ({ id, gb })), units: back },
  })
}
