/**
 * Puts `byway` where `npx byway` looks for it: npm links the commands of dependencies, never those of the checkout itself.
 * Plain JavaScript; runs after every `npm install` here.
 */
import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const link = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules', '.bin', 'byway')
mkdirSync(dirname(link), { recursive: true })
rmSync(link, { force: true })
symlinkSync(join('..', '..', 'bin', 'byway.js'), link)
