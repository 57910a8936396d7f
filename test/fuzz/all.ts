/** Malformed input for every parser, one after the other: `npm run test:fuzz -- --inputs 200000 --seed 7`. */
import { TARGETS as PROXY } from './proxy.ts'
import { main } from './run.ts'
import { TARGETS as WIRE } from './wire.ts'

await main([...PROXY, ...WIRE])
