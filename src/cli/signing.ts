/**
 * Nothing is signed unseen: a command says what it will do, what that costs and when money comes back, and then asks.
 *
 * On a terminal it asks; `--yes` answers for scripts; `--dry-run` ends after the showing. All of it was tried in the node before, so what the
 * contracts would refuse is an error here and costs nothing.
 */
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { Action, Done, Prepared } from '../chain/index.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Owner } from './economy.ts'
import { formatEther } from './format.ts'
import type { Output } from './output.ts'
import { createProgress } from './progress.ts'

export interface Intent {
  /** Completes "This will …", a line each: what happens and how much of what moves. */
  readonly will: readonly string[]
  /** When money is free again, what may be lost, what comes next. */
  readonly notes: readonly string[]
  readonly actions: readonly Action[]
  /** The same for programs. */
  readonly facts: Readonly<Record<string, unknown>>
}

/** Gives a command the two flags that answer the question. */
export function addSigning(command: Command): Command {
  return command
    .option('--yes', 'Goes on without asking, for scripts.')
    .option('--dry-run', 'Shows what it would do and what that costs, and signs nothing.')
}

/** Shows, asks, sends. Resolves to what was sent; nothing under `--dry-run`. */
export async function carryOut(owner: Owner, command: Command, output: Output, intent: Intent): Promise<readonly Done[]> {
  const { dryRun = false } = command.opts<{ dryRun?: boolean }>()
  const prepared = await owner.economy.actions.prepare(owner.address, intent.actions)
  show(owner, intent, prepared, output)
  if (!dryRun) await confirm(command, output)
  const sent = dryRun ? [] : await send(owner, prepared, output)
  output.result(
    {
      wallet: owner.address,
      ...intent.facts,
      steps: prepared.steps.map(({ doing, to, gas, costWei }) => ({ doing, to, gas, costWei })),
      gas: prepared.gas,
      costWei: prepared.costWei,
      dryRun,
      sent: sent.map(({ doing, tx, gas, costWei }) => ({ doing, tx, gas, costWei })),
    },
    () => {
      for (const { doing, tx, costWei } of sent) output.line(`${doing}: ${tx}, ${formatEther(costWei)}`)
      if (dryRun) output.line('Nothing was signed (--dry-run).')
    },
  )
  return sent
}

function show({ name, address }: Owner, { will, notes }: Intent, { steps, gas, costWei }: Prepared, output: Output): void {
  output.line(output.style('bold', 'This will'))
  for (const line of will) output.line(`  ${line}`)
  output.line(`from ${address} (${name}), in ${steps.length === 1 ? 'one transaction' : `${steps.length} transactions`}`)
  for (const [i, step] of steps.entries()) {
    output.line(
      `  ${i + 1}. ${step.doing}, ${step.gas === undefined ? 'gas not known before the step before it is mined' : `${step.gas} gas`}`,
    )
  }
  output.line(`for ${gas} gas, about ${formatEther(costWei)} at the fees of now.`)
  for (const note of notes) output.line(note)
}

/** Throws unless somebody said yes. */
export async function confirm(command: Command, output: Output): Promise<void> {
  if (command.opts<{ yes?: boolean }>().yes === true) return
  if (output.json || process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    throw new BywayError('CONFIRMATION_NEEDED', 'this signs transactions, and nobody is there to ask', {
      hint: 'Add --yes to go on, or --dry-run to only see what it would do.',
    })
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question('Go on? [y/N] ')
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    terminal.close()
  }
  throw new BywayError('CONFIRMATION_REFUSED', 'nothing was signed')
}

async function send({ economy, wallet }: Owner, prepared: Prepared, output: Output): Promise<Done[]> {
  const progress = createProgress(output)
  const sent: Done[] = []
  for (const step of prepared.steps) {
    sent.push(...(await progress.step(step.doing, () => economy.actions.perform(wallet, { ...prepared, steps: [step] }))))
  }
  return sent
}
