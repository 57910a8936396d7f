#!/usr/bin/env node
/**
 * The `byway` command for a checkout: makes sure the dependencies are there, then runs src/main.js on the Node this project pins.
 * Plain JavaScript, because the Node that starts it may be older than the one that can run TypeScript.
 */
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import '../scripts/setup.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const node = join(root, 'node_modules', 'node', 'bin', 'node')
const child = spawn(node, [join(root, 'src', 'main.js'), ...process.argv.slice(2)], { stdio: 'inherit' })

// The terminal already sends Ctrl-C to both; passing it on covers `kill PID` of this launcher. The child decides when to end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)))
