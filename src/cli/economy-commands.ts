/** The commands of the token economy in one table: what each is for, and the file with what runs and what it takes beyond settings. */
import type { CommandSpec } from './add-command.ts'
import type { ECONOMY_COMMANDS } from './settings.ts'

export const ECONOMY: Record<(typeof ECONOMY_COMMANDS)[number], CommandSpec> = {
  fund: {
    about: 'Show what the wallet holds, bring dollars and WAY into it, open a deposit.',
    load: async () => {
      const { fund, fundShape } = await import('./fund.ts')
      return { run: fund, shape: fundShape }
    },
  },
  stake: {
    about: 'Put WAY behind this node, and register it.',
    load: async () => {
      const { stake, stakeShape } = await import('./stake.ts')
      return { run: stake, shape: stakeShape }
    },
  },
  unstake: {
    about: 'Take stake back, and see when it is free.',
    load: async () => {
      const { unstake, unstakeShape } = await import('./unstake.ts')
      return { run: unstake, shape: unstakeShape }
    },
  },
  delegate: {
    about: 'List operators, and put WAY behind one.',
    load: async () => {
      const { delegate, delegateShape } = await import('./delegate.ts')
      return { run: delegate, shape: delegateShape }
    },
  },
  rewards: {
    about: 'Show which WAY is due to this wallet, and claim it.',
    load: async () => {
      const { rewards, rewardsShape } = await import('./rewards.ts')
      return { run: rewards, shape: rewardsShape }
    },
  },
  pool: {
    about: 'Finance a region with dollars, and leave again.',
    load: async () => {
      const { pool, poolShape } = await import('./pool.ts')
      return { run: pool, shape: poolShape }
    },
  },
  reserve: {
    about: 'Buy or sell bandwidth of an hour ahead.',
    load: async () => {
      const { reserve, reserveShape } = await import('./reserve.ts')
      return { run: reserve, shape: reserveShape }
    },
  },
  sla: {
    about: 'Agree on a service with a bond behind it, and settle it.',
    load: async () => {
      const { sla, slaShape } = await import('./sla.ts')
      return { run: sla, shape: slaShape }
    },
  },
  subscribe: {
    about: 'Pay a provider flat dollars a month, and end it any time.',
    load: async () => {
      const { subscribe, subscribeShape } = await import('./subscribe.ts')
      return { run: subscribe, shape: subscribeShape }
    },
  },
  vote: {
    about: 'Show governed numbers and proposals, propose and vote.',
    load: async () => {
      const { vote, voteShape } = await import('./vote.ts')
      return { run: vote, shape: voteShape }
    },
  },
}
