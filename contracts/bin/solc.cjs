#!/usr/bin/env node
'use strict'
/*
 * Makes npm's solc (WebAssembly) answer like a native solc, so that forge can compile offline.
 *
 * forge asks two things of a compiler: `solc --version`, and `solc --allow-paths D --base-path D [--include-path D]
 * --standard-json` with the input on stdin. Everything else is refused. The file must be CommonJS: forge starts it by
 * path, and an extensionless file would be read as an ES module because of the "type" field in package.json.
 */
const fs = require('node:fs')
const path = require('node:path')

const args = process.argv.slice(2)

/** Every value given after `flag`; a flag may be repeated. */
const valuesOf = (flag) => args.flatMap((arg, i) => (arg === flag ? [args[i + 1]] : []))

/** Finds a file that the standard JSON input names without carrying its text. */
function findImport(file) {
  for (const root of [...valuesOf('--base-path'), ...valuesOf('--include-path'), '']) {
    const candidate = path.resolve(root, file)
    if (fs.existsSync(candidate)) return { contents: fs.readFileSync(candidate, 'utf8') }
  }
  return { error: `File not found: ${file}` }
}

/** Loading the compiler takes more than a second of processor, and forge asks for its version at every start: kept by the package's own. */
function version() {
  const cache = path.join(__dirname, '..', 'cache')
  const kept = path.join(cache, `solc-${require('solc/package.json').version}.txt`)
  if (fs.existsSync(kept)) return fs.readFileSync(kept, 'utf8')
  // forge parses the platform suffix and does not know Emscripten's.
  const found = require('solc').version().replace('.Emscripten.clang', '.Linux.g++')
  fs.mkdirSync(cache, { recursive: true })
  // In one piece, for somebody else may be asking too.
  fs.writeFileSync(`${kept}.${process.pid}`, found)
  fs.renameSync(`${kept}.${process.pid}`, kept)
  return found
}

if (args.includes('--version')) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version()}\n`)
} else if (args.includes('--standard-json')) {
  process.stdout.write(require('solc').compile(fs.readFileSync(0, 'utf8'), { import: findImport }))
} else {
  process.stderr.write(`solc.cjs: only --version and --standard-json are supported, got: ${args.join(' ')}\n`)
  process.exit(1)
}
