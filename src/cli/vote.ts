/** `byway vote`: the governed numbers, proposals to change one, votes on them, and the way of a change through the timelock. */
import type { Command } from 'commander'
import type { GovernedParameter, Proposal, VoteKind, VotingRules } from '../chain/index.ts'
import type { Hex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import { formatWay } from '../protocol/way.ts'
import { type Owner, openOwner } from './economy.ts'
import { formatDuration, formatPercent, formatTime, formatUntil, shortHex } from './format.ts'
import type { Output } from './output.ts'
import type { Env } from './resolve.ts'
import { addSigning, carryOut } from './signing.ts'
import { suggest } from './suggest.ts'
import { addressWord, oneOfWords } from './words.ts'

const VERBS = ['list', 'parameters', 'propose', 'for', 'against', 'abstain', 'queue', 'execute', 'delegate'] as const
/** Characters of a proposal's number that are shown, and suffice to name it. */
const SHORT_ID = 10
const MAX_WHY = 1_000

export function voteShape(command: Command): void {
  command
    .argument('[verb]', 'list, parameters, propose, for, against, abstain, queue, execute or delegate. (list)')
    .argument('[what]', 'A proposal by the first digits of its number; with propose a parameter; with delegate an address. (oneself)')
    .argument('[value]', 'With propose: the new value, in the unit the parameter has.')
    .option('--why <text>', 'With propose: why, for everybody to read.')
    .addHelpText(
      'after',
      [
        '\nExample:',
        '  byway vote delegate                                  votes count from the next proposal on',
        '  byway vote propose burnShare 1500 --why "..."        then, as each time comes:',
        '  byway vote for 0x3fa94b12 / queue 0x3fa94b12 / execute 0x3fa94b12',
      ].join('\n'),
    )
  addSigning(command)
}

export async function vote(command: Command, env: Env, output: Output): Promise<void> {
  const owner = await openOwner(command, env)
  const [verb = 'list', what, value] = command.args
  const chosen = oneOfWords('the verb', VERBS, verb)
  switch (chosen) {
    case 'list':
      return list(owner, output)
    case 'parameters':
      return parameters(owner, output)
    case 'propose':
      return propose(owner, command, what, value, output)
    case 'delegate':
      return delegateVotes(owner, command, what === undefined ? owner.address : addressWord('the delegate', what), output)
    case 'queue':
    case 'execute':
      return advance(owner, command, chosen, await proposalNamed(owner, what), output)
    default:
      return cast(owner, command, chosen, await proposalNamed(owner, what), output)
  }
}

const idOf = ({ id }: Pick<Proposal, 'id'>): Hex => `0x${id.toString(16).padStart(64, '0')}`
const shortId = (proposal: Proposal): string => idOf(proposal).slice(0, SHORT_ID)
const changeText = ({ change }: Proposal): string =>
  change === undefined ? 'something else' : `${change.name} ${change.from} -> ${change.to}`

async function proposalNamed({ economy }: Owner, text: string | undefined): Promise<Proposal> {
  if (text === undefined || !/^0x[0-9a-f]{1,64}$/i.test(text)) {
    throw new BywayError(
      'ARGUMENT_INVALID',
      text === undefined ? 'the proposal is missing' : `there is no proposal ${JSON.stringify(text)}`,
      {
        hint: 'name one by the first digits of its number, as `byway vote` lists it',
      },
    )
  }
  const found = (await economy.governance.proposals()).filter((proposal) => idOf(proposal).startsWith(text.toLowerCase()))
  if (found.length === 1) return found[0]!
  throw new BywayError(
    'UNKNOWN_ON_CHAIN',
    found.length === 0 ? `there is no proposal ${text}` : `${text} names ${found.length} proposals`,
    {
      hint: found.length === 0 ? '`byway vote` lists them' : 'give more of its digits',
    },
  )
}

async function list({ economy, address }: Owner, output: Output): Promise<void> {
  const { governance } = economy
  const [proposals, power, rules, nowS] = await Promise.all([
    governance.proposals(),
    governance.power(address),
    governance.rules(),
    economy.nowS(),
  ])
  const named = proposals.map((proposal) => ({ ...proposal, id: idOf(proposal) }))
  output.result({ wallet: address, power, rules, proposals: named }, () => {
    output.line(`${formatWay(power.held)} in the wallet, ${formatWay(power.votes)} of votes${delegateText(power.delegate, address)}`)
    output.line(rulesText(rules))
    if (proposals.length === 0) return output.line('There is no proposal. `byway vote parameters` shows what can be changed.')
    output.line()
    output.table(
      [
        { title: 'proposal' },
        { title: 'change' },
        { title: 'state' },
        { title: 'for', align: 'right' },
        { title: 'against', align: 'right' },
        { title: 'quorum', align: 'right' },
        { title: 'takes' },
        { title: 'next' },
        { title: 'why' },
      ],
      proposals.map((proposal) => [
        shortId(proposal),
        changeText(proposal),
        proposal.state,
        formatWay(proposal.votes.for),
        formatWay(proposal.votes.against),
        proposal.quorum === 0n ? '' : formatWay(proposal.quorum),
        proposal.needsTwoThirds ? 'two thirds' : 'a majority',
        nextOf(proposal, nowS),
        proposal.why.slice(0, 60),
      ]),
    )
  })
}

function delegateText(delegate: Hex | undefined, address: Hex): string {
  if (delegate === undefined) return ': its own count for nobody until `byway vote delegate`'
  return delegate === address ? '' : `; its own are delegated to ${delegate}`
}

const rulesText = ({ delayS, periodS, timelockS, threshold }: VotingRules): string =>
  `Proposing takes ${formatWay(threshold)} of votes. Voting opens after ${formatDuration(delayS * 1000)}, lasts ${formatDuration(periodS * 1000)}, ` +
  `and a change waits ${formatDuration(timelockS * 1000)} before it takes effect.`

function nextOf({ state, opensAt, closesAt, readyAt }: Proposal, nowS: number): string {
  if (state === 'pending') return `voting opens ${formatUntil(opensAt, nowS)}`
  if (state === 'active') return `voting closes ${formatUntil(closesAt, nowS)}`
  if (state === 'succeeded') return 'queue it'
  if (state === 'queued') return `execute it ${formatUntil(readyAt ?? nowS, nowS)}`
  return ''
}

async function parameters({ economy, address }: Owner, output: Output): Promise<void> {
  const all = await economy.governance.parameters()
  output.result({ wallet: address, parameters: all }, () =>
    output.table(
      [
        { title: 'parameter' },
        { title: 'value', align: 'right' },
        { title: 'least', align: 'right' },
        { title: 'most', align: 'right' },
        { title: 'in' },
        { title: 'reads', align: 'right' },
        { title: 'raising it takes' },
        { title: 'lowering it takes' },
      ],
      all.map(({ name, value, min, max, unit, issuance }) => [
        name,
        value.toString(),
        min.toString(),
        max.toString(),
        unit,
        reading(unit, value),
        issuance === 'rises' ? 'two thirds' : 'a majority',
        issuance === 'falls' ? 'two thirds' : 'a majority',
      ]),
    ),
  )
}

/** `10 %`, `21 d`, `1000 WAY`. */
function reading(unit: GovernedParameter['unit'], value: bigint): string {
  if (unit === 'seconds') return formatDuration(Number(value) * 1000)
  return unit === 'WAY' ? `${value} WAY` : formatPercent(value)
}

async function propose(owner: Owner, command: Command, name: string | undefined, value: string | undefined, output: Output): Promise<void> {
  const { governance } = owner.economy
  const { why } = command.opts<{ why?: string }>()
  if (why === undefined || why.length > MAX_WHY) {
    throw new BywayError(
      'ARGUMENT_INVALID',
      why === undefined ? 'voters want to know why' : `the reason is longer than ${MAX_WHY} characters`,
      {
        hint: 'add --why "..."',
      },
    )
  }
  const [all, rules, power, nowS] = await Promise.all([
    governance.parameters(),
    governance.rules(),
    governance.power(owner.address),
    owner.economy.nowS(),
  ])
  const parameter = parameterNamed(all, name)
  if (value === undefined || !/^\d{1,39}$/.test(value)) {
    throw new BywayError(
      'ARGUMENT_INVALID',
      value === undefined ? 'the new value is missing' : `${JSON.stringify(value)} is no whole number`,
      {
        hint: `${parameter.name} is ${parameter.value}; from ${parameter.min} to ${parameter.max}`,
      },
    )
  }
  const to = BigInt(value)
  const action = governance.propose(parameter, to, why)
  if (power.votes < rules.threshold) {
    throw new BywayError('VOTES_TOO_FEW', 'this wallet has too few votes to propose', {
      facts: { votes: formatWay(power.votes), needed: formatWay(rules.threshold) },
      hint: power.delegate === undefined ? 'WAY counts once it is delegated: `byway vote delegate`' : 'others may delegate to this address',
    })
  }
  const opensAt = nowS + rules.delayS
  const twoThirds = parameter.issuance === (to > parameter.value ? 'rises' : 'falls')
  await carryOut(owner, command, output, {
    will: [
      `propose to change ${parameter.name} from ${parameter.value} to ${to} (${reading(parameter.unit, parameter.value)} -> ${reading(parameter.unit, to)})`,
      `it takes ${twoThirds ? 'two thirds' : 'a majority'} of the votes`,
    ],
    notes: [
      `Voting opens at ${formatTime(opensAt)} and closes at ${formatTime(opensAt + rules.periodS)}.`,
      `If it passes, it waits ${formatDuration(rules.timelockS * 1000)} in the timelock. No WAY is locked for this.`,
    ],
    actions: [action],
    facts: { parameter: parameter.name, from: parameter.value, to, twoThirds, opensAt, closesAt: opensAt + rules.periodS },
  })
}

function parameterNamed(all: readonly GovernedParameter[], name: string | undefined): GovernedParameter {
  const found = all.find((parameter) => parameter.name === name)
  if (found !== undefined) return found
  const names = all.map((parameter) => parameter.name)
  const near = name === undefined ? undefined : suggest(name, names)
  throw new BywayError(
    'ARGUMENT_INVALID',
    name === undefined ? 'the parameter is missing' : `there is no parameter ${JSON.stringify(name)}`,
    {
      hint: near === undefined ? `there are: ${names.join(', ')}` : `did you mean ${near}?`,
    },
  )
}

async function cast(owner: Owner, command: Command, kind: VoteKind, proposal: Proposal, output: Output): Promise<void> {
  const { governance } = owner.economy
  const nowS = await owner.economy.nowS()
  if (proposal.state === 'pending') {
    throw new BywayError('TOO_EARLY', 'voting has not opened', { facts: { opens: formatTime(proposal.opensAt) }, hint: 'try again then' })
  }
  if (proposal.state !== 'active') {
    throw new BywayError('STATE_WRONG', `the proposal is ${proposal.state}`, { facts: { closed: formatTime(proposal.closesAt) } })
  }
  const votes = await governance.votesOn(proposal, owner.address)
  if (votes === undefined) throw new BywayError('STATE_WRONG', 'this wallet voted on that proposal already')
  if (votes === 0n) {
    throw new BywayError('VOTES_TOO_FEW', 'this wallet had no votes when voting on that proposal opened', {
      facts: { opened: formatTime(proposal.opensAt) },
      hint: 'delegate before a proposal opens: `byway vote delegate`',
    })
  }
  await carryOut(owner, command, output, {
    will: [`vote ${kind} "${changeText(proposal)}" with ${formatWay(votes)} of votes`],
    notes: [`Voting closes ${formatUntil(proposal.closesAt, nowS)}. A vote cannot be changed; no WAY is locked.`],
    actions: [governance.vote(proposal.id, kind)],
    facts: { proposal: idOf(proposal), vote: kind, votes },
  })
}

async function advance(owner: Owner, command: Command, verb: 'queue' | 'execute', proposal: Proposal, output: Output): Promise<void> {
  const { governance } = owner.economy
  const [rules, nowS] = await Promise.all([governance.rules(), owner.economy.nowS()])
  const wanted = verb === 'queue' ? 'succeeded' : 'queued'
  if (proposal.state !== wanted) {
    throw new BywayError('STATE_WRONG', `the proposal is ${proposal.state}; to ${verb} it, it must be ${wanted}`, {
      facts: { votingCloses: formatTime(proposal.closesAt) },
    })
  }
  if (verb === 'execute' && (proposal.readyAt ?? 0) > nowS) {
    throw new BywayError('TOO_EARLY', 'the change waits in the timelock', {
      facts: { ready: formatTime(proposal.readyAt!) },
      hint: 'try again then',
    })
  }
  await carryOut(owner, command, output, {
    will: [verb === 'queue' ? `put "${changeText(proposal)}" into the timelock` : `put "${changeText(proposal)}" into effect`],
    notes:
      verb === 'queue'
        ? [`It can be executed after ${formatDuration(rules.timelockS * 1000)}: \`byway vote execute ${shortId(proposal)}\`.`]
        : [],
    actions: [verb === 'queue' ? governance.queue(proposal) : governance.execute(proposal)],
    facts: { proposal: idOf(proposal), change: proposal.change },
  })
}

async function delegateVotes(owner: Owner, command: Command, to: Hex, output: Output): Promise<void> {
  const power = await owner.economy.governance.power(owner.address)
  await carryOut(owner, command, output, {
    will: [
      `let ${to === owner.address ? 'this wallet' : shortHex(to)} vote with the ${formatWay(power.held)} in the wallet, and with what it gets later`,
    ],
    notes: ['The WAY stays in the wallet. It counts for proposals whose voting opens from now on.'],
    actions: [owner.economy.governance.delegate(to)],
    facts: { delegate: to, held: power.held },
  })
}
