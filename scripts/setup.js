/**
 * Installs the dependencies when the lock file changed since the last time, then gets out of the way.
 *
 * Plain JavaScript for the machine's own Node (20 or newer): it runs before the Node this project pins is there.
 * Called by `prestart`, `prebyway`, `pretest`, `precheck` and `bin/byway.js`; a second call costs one hash.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stamp = join(root, 'node_modules', '.byway-lock')
// The machine is part of it: native parts copied from another one (a mounted folder, an image) do not run here.
const machine = `${process.platform}-${process.arch}`
const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .update(machine)
  .digest('hex')

// `npm install` and not `npm ci`: ci refuses a lock file without the parts of every other platform (npm/cli#4828), and a lock file made on
// one platform has only its own. Versions and checksums still come from the lock file, and --no-save leaves it alone.
//
// `npm start --dry-run`, NODE_ENV=production or a cautious ~/.npmrc would each leave out a part that has to be here: the pinned Node
// is a development dependency whose install script fetches it. A flag on the command line wins over the environment and the files.
const INSTALL = [
  'install',
  '--no-save',
  '--include=dev',
  '--ignore-scripts=false',
  '--engine-strict=false',
  '--dry-run=false',
  '--global=false',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
]

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  process.stderr.write('byway: installing dependencies (npm install), once per change of package-lock.json ...\n')
  const result = spawnSync('npm', INSTALL, { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.status !== 0) {
    process.stderr.write('byway: npm install failed. Check the network and run `npm install` by hand to see why.\n')
    process.exit(1)
  }
  writeFileSync(stamp, wanted)
  process.stderr.write('byway: dependencies ready\n')
}
