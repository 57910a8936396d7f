/** The commands of the token economy in one table: what each is for, what runs, and what it takes beyond settings. */
import type { CommandSpec } from './add-command.ts'
import { delegate, delegateShape } from './delegate.ts'
import { fund, fundShape } from './fund.ts'
import { pool, poolShape } from './pool.ts'
import { reserve, reserveShape } from './reserve.ts'
import { rewards, rewardsShape } from './rewards.ts'
import type { ECONOMY_COMMANDS } from './settings.ts'
import { sla, slaShape } from './sla.ts'
import { stake, stakeShape } from './stake.ts'
import { unstake, unstakeShape } from './unstake.ts'
import { vote, voteShape } from './vote.ts'

export const ECONOMY: Record<(typeof ECONOMY_COMMANDS)[number], CommandSpec> = {
  fund: { about: 'Show what the wallet holds, bring dollars and WAY into it, open a deposit.', run: fund, shape: fundShape },
  stake: { about: 'Put WAY behind this node, and register it.', run: stake, shape: stakeShape },
  unstake: { about: 'Take stake back, and see when it is free.', run: unstake, shape: unstakeShape },
  delegate: { about: 'List operators, and put WAY behind one.', run: delegate, shape: delegateShape },
  rewards: { about: 'Show which WAY is due to this wallet, and claim it.', run: rewards, shape: rewardsShape },
  pool: { about: 'Finance a region with dollars, and leave again.', run: pool, shape: poolShape },
  reserve: { about: 'Buy or sell bandwidth of an hour ahead.', run: reserve, shape: reserveShape },
  sla: { about: 'Agree on a service with a bond behind it, and settle it.', run: sla, shape: slaShape },
  vote: { about: 'Show governed numbers and proposals, propose and vote.', run: vote, shape: voteShape },
}
