/**
 * Installs the dependencies when the lock file changed since the last time, then gets out of the way.
 *
 * Plain JavaScript for the machine's own Node (20 or newer): it runs before the Node this project pins is there.
 * Called by `prestart`, `pretest`, `precheck`, and `bin/byway.js`; a second call costs one hash.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stamp = join(root, 'node_modules', '.byway-lock')
const wanted = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex')

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  process.stderr.write('byway: installing dependencies (npm ci), once per change of package-lock.json ...\n')
  // The parent's npm exports its own settings (a dry run, a prefix); only the ones npm itself reads from files should count here.
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.status !== 0) {
    process.stderr.write('byway: npm ci failed. Check the network and run `npm ci` by hand to see why.\n')
    process.exit(1)
  }
  writeFileSync(stamp, wanted)
  process.stderr.write('byway: dependencies ready\n')
}
