/** `byway pool`: region vaults. Dollars that finance a region until its fees carry it, what they are worth now, and the way out. */
import type { Command } from 'commander'
import type { VaultClient } from '../chain/index.ts'
import { BywayError } from '../protocol/errors.ts'
import { type Owner, openOwner } from './economy.ts'
import { formatDuration, formatTime, formatUntil, formatUsd } from './format.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut } from './signing.ts'
import { dollarsWord, oneOfWords } from './words.ts'

const VERBS = ['list', 'deposit', 'exit', 'withdraw'] as const

export function poolShape(command: Command): void {
  command
    .argument('[verb]', 'list, deposit, exit or withdraw. (list)')
    .argument('[region]', 'The vault, by its region.')
    .argument('[dollars]', 'How much; `all` for an exit with everything.')
    .addHelpText(
      'after',
      [
        '\nExample:',
        '  byway pool deposit de 100    puts 100 dollars into the vault of de',
        '  byway pool exit de all       asks to leave it with everything',
        '  byway pool withdraw          later: serves the exits whose time has come and brings the dollars back',
      ].join('\n'),
    )
  addSigning(command)
}

export async function pool(command: Command, env: Env, output: Output): Promise<void> {
  const owner = await openOwner(command, env)
  const [verb = 'list', region, amount] = command.args
  switch (oneOfWords('the verb', VERBS, verb)) {
    case 'list':
      return list(owner, output)
    case 'deposit':
      return deposit(owner, command, output, vaultOf(owner, region), dollarsWord('the deposit', amount))
    case 'exit':
      return exit(owner, command, output, vaultOf(owner, region), amount)
    case 'withdraw':
      return withdraw(owner, command, output, region === undefined ? [...owner.economy.vaults.values()] : [vaultOf(owner, region)])
  }
}

function vaultOf({ economy }: Owner, region: string | undefined): VaultClient {
  const known = [...economy.vaults.keys()]
  const vault = region === undefined ? undefined : economy.vaults.get(region)
  if (vault !== undefined) return vault
  throw new BywayError(
    'ARGUMENT_INVALID',
    region === undefined ? 'the region is missing' : `there is no vault for ${JSON.stringify(region)}`,
    {
      hint: known.length === 0 ? 'this network has no region vaults' : `there are: ${known.join(', ')}`,
    },
  )
}

async function list({ economy, address }: Owner, output: Output): Promise<void> {
  const nowS = await economy.nowS()
  const vaults = await Promise.all(
    [...economy.vaults.values()].map(async (client) => {
      const [vault, holding] = await Promise.all([client.vault(), client.holding(address)])
      return { ...vault, holding }
    }),
  )
  output.result({ wallet: address, vaults }, () => {
    const right = { align: 'right' } as const
    output.table(
      [
        { title: 'region' },
        { title: 'assets', ...right },
        { title: 'providers', ...right },
        { title: 'floor', ...right },
        { title: 'period', ...right },
        { title: 'paid out', ...right },
        { title: 'came back', ...right },
        { title: 'mine', ...right },
        { title: 'leaving', ...right },
        { title: 'to withdraw', ...right },
      ],
      vaults.map(({ region, assets, nodes, floor, periodS, subsidised, returned, holding }) => [
        region,
        formatUsd(assets),
        nodes.toString(),
        formatUsd(floor),
        formatDuration(periodS * 1000),
        formatUsd(subsidised),
        formatUsd(returned),
        formatUsd(holding.worth),
        formatUsd(holding.exits.reduce((sum, { worth }) => sum + worth, 0n)),
        formatUsd(holding.credit),
      ]),
    )
    for (const { region, holding } of vaults) {
      for (const { worth, readyAt } of holding.exits) output.line(`${region}: ${formatUsd(worth)} leaves ${formatUntil(readyAt, nowS)}`)
    }
  })
}

async function deposit(owner: Owner, command: Command, output: Output, client: VaultClient, units: bigint): Promise<void> {
  const [vault, shares] = await Promise.all([client.vault(), client.sharesFor(units)])
  await carryOut(owner, command, output, {
    will: [`move ${formatUsd(units)} from the wallet into the vault of ${vault.region}`],
    notes: [
      `The vault pays ${vault.region}'s proven providers up to ${formatUsd(vault.floor)} a period while fees do not, then takes a quarter of the`,
      'excess until it has one and a half times what it paid. It may never: this money can be lost.',
      `Leaving takes ${formatDuration(vault.noticeS * 1000)}: \`byway pool exit ${vault.region}\`, then \`byway pool withdraw\`.`,
    ],
    actions: [client.deposit(units, owner.address)],
    facts: { region: vault.region, units, shares, noticeS: vault.noticeS },
  })
}

async function exit(owner: Owner, command: Command, output: Output, client: VaultClient, amount: string | undefined): Promise<void> {
  const [vault, { shares, worth }, nowS] = await Promise.all([client.vault(), client.holding(owner.address), owner.economy.nowS()])
  const units = amount === 'all' ? worth : dollarsWord('the exit', amount)
  if (units > worth || shares === 0n) {
    throw new BywayError('AMOUNT_TOO_LARGE', `this wallet has no such part of the vault of ${vault.region}`, {
      facts: { worth, asked: units },
    })
  }
  const leaving = units === worth ? shares : (units * shares) / worth
  await carryOut(owner, command, output, {
    will: [`ask to leave the vault of ${vault.region} with ${formatUsd(units)} of ${formatUsd(worth)}, at the price of when it is served`],
    notes: [
      `It can be served after ${formatDuration(vault.noticeS * 1000)}, at ${formatTime(nowS + vault.noticeS)}: \`byway pool withdraw\`.`,
      'Until then it shares gains and losses. Nobody can hold it back.',
    ],
    actions: [client.requestExit(leaving)],
    facts: { region: vault.region, units, shares: leaving, readyAt: nowS + vault.noticeS },
  })
}

async function withdraw(owner: Owner, command: Command, output: Output, clients: readonly VaultClient[]): Promise<void> {
  const nowS = await owner.economy.nowS()
  const held = await Promise.all(clients.map(async (client) => ({ client, ...(await client.holding(owner.address)) })))
  const due = held.flatMap(({ client, exits }) => exits.filter(({ readyAt }) => readyAt <= nowS).map((exit) => ({ client, ...exit })))
  const paying = held.filter(({ client, credit }) => credit > 0n || due.some((exit) => exit.client === client))
  if (paying.length === 0) {
    const next = held.flatMap(({ exits }) => exits).sort((a, b) => a.readyAt - b.readyAt)[0]
    if (next === undefined) {
      throw new BywayError('NOTHING_DUE', 'no vault owes this wallet anything', { hint: 'ask to leave first: `byway pool exit`' })
    }
    throw new BywayError('TOO_EARLY', 'no exit can be served yet', {
      facts: { next: formatTime(next.readyAt), dollars: formatUsd(next.worth) },
      hint: 'try again then',
    })
  }
  const units = paying.reduce((sum, { credit }) => sum + credit, 0n) + due.reduce((sum, { worth }) => sum + worth, 0n)
  await carryOut(owner, command, output, {
    will: [`bring about ${formatUsd(units)} from ${paying.length === 1 ? 'a vault' : `${paying.length} vaults`} into the wallet`],
    notes: [],
    actions: [...due.map(({ client, id }) => client.serve(id)), ...paying.map(({ client }) => client.collect())],
    facts: { units, served: due.map(({ id, shares }) => ({ id, shares })) },
  })
}
