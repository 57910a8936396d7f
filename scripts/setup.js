/**
 * Installs the dependencies when the lock file changed since the last time, then gets out of the way.
 *
 * Two that start at once take turns, and what an interrupted one left is removed.
 *
 * Plain JavaScript for the machine's own Node (20 or newer): it runs before the Node this project pins is there.
 * Called by `prestart`, `prebyway`, `pretest`, `precheck` and `bin/byway.js`; a second call costs one hash.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const stamp = join(modules, '.byway-lock')
/** There while somebody installs, or was interrupted: the number of the process. */
const claim = join(modules, '.byway-installing')
/** No install takes that long: whatever has its number now is something else. */
const CLAIM_LIMIT_MS = 30 * 60_000
const LOOK_EVERY_MS = 250
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

const isReady = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
const say = (text) => process.stderr.write(`byway: ${text}\n`)

/** Whether whoever claimed the install is still at it. */
function isAtWork() {
  try {
    const pid = Number(readFileSync(claim, 'utf8'))
    // Claimed in this moment, not written yet.
    if (pid === 0) return Date.now() - statSync(claim).mtimeMs < LOOK_EVERY_MS * 20
    if (Date.now() - statSync(claim).mtimeMs > CLAIM_LIMIT_MS) return false
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** True once the install is ours to do; false when somebody else did it meanwhile. */
function takeTurn() {
  let told = false
  for (;;) {
    mkdirSync(modules, { recursive: true })
    try {
      writeFileSync(claim, String(process.pid), { flag: 'wx' })
      if (!isReady()) return true
      rmSync(claim, { force: true })
      return false
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (isAtWork()) {
      if (!told) say('waiting for another install of the dependencies here ...')
      told = true
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_EVERY_MS)
    } else if (existsSync(claim)) {
      // npm takes a package for whole whose files are half there.
      say('removing what an interrupted install left ...')
      rmSync(modules, { recursive: true, force: true })
    }
  }
}

/** Where npm may not write to its cache (a HOME that is read-only, or another's), it gets one that goes with the install. */
function ownCache() {
  const asked = spawnSync('npm', ['config', 'get', 'cache'], { cwd: root, encoding: 'utf8' })
  if (asked.status !== 0) return undefined
  let folder = asked.stdout.trim()
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder)
  try {
    accessSync(folder, constants.W_OK)
    return undefined
  } catch {
    return join(modules, '.byway-npm-cache')
  }
}

if (!isReady() && takeTurn()) {
  say('installing dependencies (npm install), once per change of package-lock.json ...')
  const cache = ownCache()
  const result = spawnSync('npm', cache === undefined ? INSTALL : [...INSTALL, `--cache=${cache}`], { cwd: root, stdio: ['ignore', 2, 2] })
  if (cache !== undefined) rmSync(cache, { recursive: true, force: true })
  if (result.status === 0) writeFileSync(stamp, wanted)
  // After a failure npm puts back what was there; when it is cut short it leaves halves, and the claim that tells of them.
  if (result.signal === null) rmSync(claim, { force: true })
  if (result.status !== 0) {
    if (result.signal !== null) say(`npm install was ended by ${result.signal}`)
    say('npm install failed. Check the network and run `npm install` by hand to see why.')
    process.exit(1)
  }
  say('dependencies ready')
}
