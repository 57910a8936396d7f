/** A command as the program has it: its settings, its own arguments and flags, and what runs. */
import type { Command } from 'commander'
import type { Output } from './output.ts'
import { addSettings, type Env } from './resolve.ts'
import { type CommandName, keysOf } from './settings.ts'

interface LoadedCommand {
  readonly run: (command: Command, env: Env, output: Output) => Promise<void>
  /** Gives it arguments, flags that are no settings, and an example. */
  readonly shape?: (command: Command) => void
}

export interface CommandSpec {
  readonly about: string
  readonly load: () => Promise<LoadedCommand>
}

/** `asked` false: only its name and what it is for, as the list of commands shows it. */
export async function addCommand(
  program: Command,
  name: CommandName,
  { about, load }: CommandSpec,
  asked: boolean,
  env: Env,
  output: Output,
): Promise<void> {
  const command = program
    .command(name)
    .description(about)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  if (!asked) return
  const { run, shape } = await load()
  shape?.(command)
  addSettings(command, keysOf(name))
  command.action(() => run(command, env, output))
}
