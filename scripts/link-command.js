/**
 * Puts `byway` where `npx byway` looks for it: npm links the commands of dependencies, never those of the checkout itself.
 * Plain JavaScript; runs after every `npm ci` or `npm install` here.
 */
import { rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const link = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules', '.bin', 'byway')
rmSync(link, { force: true })
symlinkSync(join('..', '..', 'bin', 'byway.js'), link)
