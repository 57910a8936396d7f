#!/usr/bin/env node
/**
 * The `byway` command: prepares the engine, then runs the command line. Each subcommand is one file in cli/.
 *
 * Plain JavaScript: what is compiled once is kept, but not for the file that says so, and for a first file in TypeScript every process loaded the
 * engine's stripper of types: 13 MB for as long as it runs, and a tenth of a second.
 */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'

// Each read of a socket makes a buffer outside V8's heap. By default V8 answers every 17 MB of them with a full collection, which took
// 40 % of the CPU of a busy node (`npm run bench:profile`); counted with the heap they are freed by the cheap ones.
setFlagsFromString('--external-memory-accounted-in-global-limit')

// What dies young here is a few megabytes: waking helpers to look through it costs more than looking (1 to 2 % of the CPU of a busy node).
setFlagsFromString('--no-parallel-scavenge')

// Without it every start strips types and compiles again: twice as long, and 30 MB for a stripper that nobody needs afterwards.
// Beside what is compiled and not in the folder for everybody's temporary files: what is read from it is executed. Threads read the variable.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '..', 'node_modules', '.cache', 'byway')
enableCompileCache(process.env.NODE_COMPILE_CACHE)

const { runProgram } = await import('./cli/program.ts')
await runProgram(process.argv.slice(2), process.env)
