/** An explorer as a process of its own, on the database named: says where it listens, and lets its chain grow when it is told. */
import { openPostgres, startExplorer } from '../../src/explorer/index.ts'
import { systemClock } from '../../src/protocol/clock.ts'
import { silent } from '../../src/protocol/observe.ts'
import { SIMULATED, simulatedChain } from './simulated-chain.ts'

const [url = '', seed = ''] = process.argv.slice(2)
const chain = simulatedChain(seed)
const store = await openPostgres(url, silent)
const explorer = startExplorer({
  store,
  source: chain,
  contracts: SIMULATED,
  offers: async () => [],
  clock: systemClock,
  observer: silent,
  version: 'test',
})
const { port } = await explorer.listen('127.0.0.1', 0)
process.on('message', (height: number) => chain.mine(height - chain.height))
process.once('disconnect', () => process.exit())
process.send!({ port })
