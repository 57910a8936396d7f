/** Every command: a sentence and the file behind it. A file is read when its command runs: no daemon holds in memory what another needs. */
import type { CommandSpec } from './add-command.ts'
import { ECONOMY } from './economy-commands.ts'
import type { CommandName } from './settings.ts'

export const COMMAND_TABLE: Record<CommandName, CommandSpec> = {
  up: {
    about: 'Start the local exchange: a chain, providers, a consumer and its proxy, on this machine.',
    load: async () => ({ run: (await import('./up.ts')).up }),
  },
  share: {
    about: 'Sell this line: carry traffic for others and be paid for every megabyte.',
    load: async () => ({ run: (await import('./share.ts')).share }),
  },
  connect: {
    about: 'Open a local proxy through the exits others sell.',
    load: async () => ({ run: (await import('./connect.ts')).connect }),
  },
  status: {
    about: 'Show the running nodes: sessions, what is unpaid, warnings.',
    load: async () => ({ run: (await import('./status.ts')).status }),
  },
  offers: {
    about: 'List what is on offer, best first, and why each offer stands where it stands.',
    load: async () => {
      const { offers, offersShape } = await import('./offers.ts')
      return { run: offers, shape: offersShape }
    },
  },
  wallet: {
    about: 'Show addresses and balances, and send dollars.',
    load: async () => {
      const { wallet, walletShape } = await import('./wallet.ts')
      return { run: wallet, shape: walletShape }
    },
  },
  ledger: {
    about: 'Show every session with bytes, price and money, and the totals.',
    load: async () => ({ run: (await import('./ledger.ts')).ledger }),
  },
  claim: {
    about: 'Turn vouchers into dollars on chain.',
    load: async () => {
      const { claim, claimShape } = await import('./claim.ts')
      return { run: claim, shape: claimShape }
    },
  },
  verify: {
    about: 'Recompute the ledger from vouchers and chain, and name the first difference.',
    load: async () => ({ run: (await import('./verify.ts')).verify }),
  },
  doctor: {
    about: 'Check what a node needs: chain, contracts, clock, disk, ports, offers.',
    load: async () => ({ run: (await import('./doctor.ts')).doctor }),
  },
  deploy: {
    about: 'Put all contracts on a chain and write down where they are.',
    load: async () => ({ run: (await import('./deploy.ts')).deploy }),
  },
  explore: {
    about: 'Show the exchange to everybody: nodes, prices, supply and votes, as a page and an API.',
    load: async () => ({ run: (await import('./explore.ts')).explore }),
  },
  ...ECONOMY,
  config: {
    about: 'Show every setting, its value and where that comes from.',
    load: async () => ({ run: (await import('./config.ts')).config }),
  },
}
