#!/usr/bin/env node
/** The `byway` command: wiring only. Each subcommand is one file in cli/. */
import { setFlagsFromString } from 'node:v8'
import { Command } from 'commander'
import { addCommand, type CommandSpec } from './cli/add-command.ts'
import { claim, claimShape } from './cli/claim.ts'
import { config } from './cli/config.ts'
import { connect } from './cli/connect.ts'
import { deploy } from './cli/deploy.ts'
import { doctor } from './cli/doctor.ts'
import { ECONOMY } from './cli/economy-commands.ts'
import { explore } from './cli/explore.ts'
import { ledger } from './cli/ledger.ts'
import { VERSION } from './cli/node.ts'
import { offers, offersShape } from './cli/offers.ts'
import { createOutput } from './cli/output.ts'
import type { CommandName } from './cli/settings.ts'
import { share } from './cli/share.ts'
import { status } from './cli/status.ts'
import { up } from './cli/up.ts'
import { verify } from './cli/verify.ts'
import { wallet, walletShape } from './cli/wallet.ts'

// Each read of a socket makes a buffer outside V8's heap. By default V8 answers every 17 MB of them with a full collection, which took
// 40 % of the CPU of a busy node (`npm run bench:profile`); counted with the heap they are freed by the cheap ones.
setFlagsFromString('--external-memory-accounted-in-global-limit')

const COMMANDS: Record<CommandName, CommandSpec> = {
  up: { about: 'Start the local exchange: a chain, providers, a consumer and its proxy, on this machine.', run: up },
  share: { about: 'Sell this line: carry traffic for others and be paid for every megabyte.', run: share },
  connect: { about: 'Open a local proxy through the exits others sell.', run: connect },
  status: { about: 'Show the running nodes: sessions, what is unpaid, warnings.', run: status },
  offers: {
    about: 'List what is on offer, best first, and why each offer stands where it stands.',
    run: offers,
    shape: offersShape,
  },
  wallet: { about: 'Show addresses and balances, and send dollars.', run: wallet, shape: walletShape },
  ledger: { about: 'Show every session with bytes, price and money, and the totals.', run: ledger },
  claim: { about: 'Turn vouchers into dollars on chain.', run: claim, shape: claimShape },
  verify: { about: 'Recompute the ledger from vouchers and chain, and name the first difference.', run: verify },
  doctor: { about: 'Check what a node needs: chain, contracts, clock, disk, ports, offers.', run: doctor },
  deploy: { about: 'Put all contracts on a chain and write down where they are.', run: deploy },
  explore: { about: 'Show the exchange to everybody: nodes, prices, supply and votes, as a page and an API.', run: explore },
  ...ECONOMY,
  config: { about: 'Show every setting, its value and where that comes from.', run: config },
}

const env = process.env
// The command line is looked at once before it is parsed: a parse error must already come out in the right form.
const output = createOutput({
  stdout: process.stdout,
  stderr: process.stderr,
  env,
  json: process.argv.includes('--json') || env.BYWAY_JSON === 'true' || env.BYWAY_JSON === '1',
})

const program = new Command('byway')
  .description('An open exchange for internet bandwidth.')
  .version(VERSION)
  .exitOverride()
  .configureOutput({ writeErr: () => {} })
  .showSuggestionAfterError()

for (const [name, spec] of Object.entries(COMMANDS) as [CommandName, CommandSpec][]) addCommand(program, name, spec, env, output)

try {
  if (process.argv.length <= 2) program.outputHelp()
  else await program.parseAsync()
} catch (thrown) {
  process.exitCode = output.fail(thrown)
}
// What still holds the loop now is a timer or a socket nobody waits for.
if (process.exitCode !== undefined || process.argv.length > 2) process.exit()
