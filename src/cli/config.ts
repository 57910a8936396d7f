/** `byway config`: every setting, its value, and where that comes from. Secrets are masked. */
import type { Command } from 'commander'
import type { Output } from './output.ts'
import { type Env, loadSettings, settingRows } from './resolve.ts'
import { SETTING_KEYS } from './settings.ts'

export async function config(command: Command, env: Env, output: Output): Promise<void> {
  const rows = settingRows(await loadSettings(command, SETTING_KEYS, env))
  output.result({ settings: rows }, () =>
    output.table(
      [{ title: 'setting' }, { title: 'value' }, { title: 'from' }],
      rows.map(({ key, value, source }) => [key, value, source]),
    ),
  )
}
