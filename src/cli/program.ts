/** The command line: reads what was asked, runs it, and says how it ended. */
import { Command } from 'commander'
import { addCommand, type CommandSpec } from './add-command.ts'
import { COMMAND_TABLE } from './commands.ts'
import { createOutput } from './output.ts'
import type { CommandName } from './settings.ts'
import { VERSION } from './version.ts'

/** `args` without the program. Exits the process when the command is done. */
export async function runProgram(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  // The command line is looked at once before it is parsed: a parse error must already come out in the right form.
  const output = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    env,
    json: args.includes('--json') || env.BYWAY_JSON === 'true' || env.BYWAY_JSON === '1',
  })

  const program = new Command('byway')
    .description('An open exchange for internet bandwidth.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .showSuggestionAfterError()

  try {
    for (const [name, spec] of Object.entries(COMMAND_TABLE) as [CommandName, CommandSpec][])
      await addCommand(program, name, spec, args.includes(name), env, output)
    if (args.length === 0) program.outputHelp()
    else await program.parseAsync(args, { from: 'user' })
  } catch (thrown) {
    process.exitCode = output.fail(thrown)
  }
  // What still holds the loop now is a timer or a socket nobody waits for.
  if (process.exitCode !== undefined || args.length > 0) process.exit()
}
