/** A command as the program has it: its settings, its own arguments and flags, and what runs. */
import type { Command } from 'commander'
import type { Output } from './output.ts'
import { addSettings, type Env } from './resolve.ts'
import { type CommandName, keysOf } from './settings.ts'

export interface CommandSpec {
  readonly about: string
  readonly run: (command: Command, env: Env, output: Output) => Promise<void>
  /** Gives it arguments, flags that are no settings, and an example. */
  readonly shape?: (command: Command) => void
}

export function addCommand(program: Command, name: CommandName, { about, run, shape }: CommandSpec, env: Env, output: Output): void {
  const command = program
    .command(name)
    .description(about)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  shape?.(command)
  addSettings(command, keysOf(name))
  command.action(() => run(command, env, output))
}
