/** Writes test/vectors/sequences.json, which `forge test` replays: `node test/differential/vectors.ts`. A test says when it is out of date. */
import { writeFileSync } from 'node:fs'
import { SUITES, vectorOf } from './suites.ts'

const vectors = Object.fromEntries(Object.entries(SUITES).map(([name, suite]) => [name, vectorOf(suite, 0, suite.sequences)]))
writeFileSync(new URL('../vectors/sequences.json', import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`)
