/**
 * What every call costs that somebody may send, and whether it still costs that.
 *
 *     npm run contracts:gas                 compares with contracts/gas.json; fails on a change beyond 5 %, and on a call without a price
 *     npm run contracts:gas -- --write      writes contracts/gas.json and the table in contracts/README.md
 *
 * Prices are those of whole transactions (forge --isolate): base price, call data, and cold storage. The costliest call that the chosen
 * tests make counts, which is the first of its kind with every slot still empty; bench/gas.ts has the steady state of claims.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CONTRACTS } from '../scripts/forge.ts'
import { forge } from './plant.ts'

const TOLERANCE_PERCENT = 5
const LIMIT_MS = 1_800_000
const FILE = join(CONTRACTS, 'gas.json')
const README = join(CONTRACTS, 'README.md')
const BEGIN = '<!-- gas: written by npm run contracts:gas -- --write -->'
const END = '<!-- end of gas -->'

/** The contracts of ours that people send transactions to, with the file each lies in. */
const PRICED: Readonly<Record<string, string>> = {
  Channels: 'src/Channels.sol',
  BurnAuction: 'src/burn/BurnAuction.sol',
  UsageMint: 'src/burn/UsageMint.sol',
  Subscription: 'src/payments/Subscription.sol',
  Way: 'src/token/Way.sol',
  Emissions: 'src/token/Emissions.sol',
  Registry: 'src/registry/Registry.sol',
  Committee: 'src/registry/Committee.sol',
  EpochRoots: 'src/rewards/EpochRoots.sol',
  Audits: 'src/rewards/Audits.sol',
  RegionMultipliers: 'src/rewards/RegionMultipliers.sol',
  RegionVault: 'src/vaults/RegionVault.sol',
  CapacityMarket: 'src/capacity/CapacityMarket.sol',
  ServiceAgreements: 'src/agreements/ServiceAgreements.sol',
  Parameters: 'src/governance/Parameters.sol',
  Governance: 'src/governance/Governance.sol',
}

/** Tests that make each of those calls once, as people will. */
const TESTS = [
  'test_claim_firstClaimProvesActivatesAndPays',
  'test_claimFor_paysTheSubmitterOutOfTheClaim',
  'test_openWithPermit_worksIfThePermitWasFrontRun',
  'test_close_returnsRemainderAndUnspentToThePayer',
  'test_sync_copiesWhatWasVoted',
  'test_collectBurn_isTheMintsAlone',
  'test_buy_burnsTheWayAndHandsOverTheDollars',
  'test_mint_sharesTheBurntByTheDollars',
  'test_subscribe_isEarnedByTheSecond',
  'test_cancel_givesUnusedDaysBackAtOnce',
  'test_turn_mintsEachEpochOnceAfterItEnded',
  'test_burn_isTheHoldersAlone',
  'test_votes_countFromThePastAndOnlyWhenDelegated',
  'test_release_endsOnceAndMovesOrPays',
  'test_release_toAnOperatorStruckOffGoesBackToTheOwner',
  'test_setEndpoint_byOperatorsOnlyAndShort',
  'test_distribute_commissionThenProRata',
  'test_retireKey_onlyOnesOwn',
  'test_seal_onceByTheDeployer',
  'test_equivocation_takesAllAndStrikesOff',
  'test_slash_delegatorsLoseProRata',
  'test_claim_paysDelegatorsToo',
  'test_rule_thatAgreesMakesItFinalAtTheChallengersCost',
  'test_refute_whatFell',
  'test_report_keepsWhatWasProvedForAWhile',
  'test_multiplier_risesAtOnceWithinItsBounds',
  'test_ask_whoAsksPaysOverTime',
  'test_fees_comeBackLessTheShare',
  'test_serve_afterTheNoticeAndOnce',
  'test_lapse_feesComeBackWithoutACommittee',
  'test_redeem_paysTheProviderForUse',
  'test_judge_refundsWithAPenalty',
  'test_settle_unusedRightsCostWhatWasDeclared',
  'test_UMA1_disputeThatIsRight',
  'test_met_whenNobodyReports',
  'test_settle_subsidiesAreEqualAndForThoseThere',
  'test_summon_againOnlyIfTheBlockIsForgotten',
  'test_broken_refundsItself',
  'test_aMajorityLowersIssuance',
  'test_setGuardian_isTheTimelocksAlone',
  'test_pauseDeposits_lastsAWeekAndCannotBeChained',
]

/** Calls of contracts among themselves, by those who deploy, and of standards whose price is OpenZeppelin's. */
const NOT_PRICED = new Set([
  'Channels.collectBurn',
  'BurnAuction.add',
  'Way.mint',
  'Way.approve',
  'Way.burnFrom',
  'Way.permit',
  'Way.delegateBySig',
  'Way.transferFrom',
  'Registry.seal',
  'RegionVault.approve',
  'RegionVault.transfer',
  'RegionVault.transferFrom',
  'RegionVault.mint',
  'RegionVault.withdraw',
  'RegionVault.redeem',
  'CapacityMarket.safeTransferFrom',
  'CapacityMarket.safeBatchTransferFrom',
  'CapacityMarket.setApprovalForAll',
  'Parameters.set',
  'Parameters.setGuardian',
  'Governance.cancel',
  'Governance.castVoteBySig',
  'Governance.castVoteWithReason',
  'Governance.castVoteWithReasonAndParams',
  'Governance.castVoteWithReasonAndParamsBySig',
  'Governance.onERC1155BatchReceived',
  'Governance.onERC1155Received',
  'Governance.onERC721Received',
  'Governance.relay',
  'Governance.updateTimelock',
])

type Prices = Record<string, number>

interface Report {
  contract: string
  functions: Record<string, { max: number }>
}

async function measured(): Promise<Prices> {
  const args = ['test', '--isolate', '--gas-report', '--json', '--match-test', `^(${TESTS.join('|')})\\(`]
  const { stdout, stderr } = await forge(args, { FOUNDRY_DENY: 'never' }, LIMIT_MS)
  const line = stdout.split('\n').find((text) => text.startsWith('['))
  if (line === undefined) throw new Error(`forge gave no gas report:\n${stdout.slice(-2_000)}\n${stderr.slice(-2_000)}`)
  const prices: Prices = {}
  for (const { contract, functions } of JSON.parse(line) as Report[]) {
    const name = contract.slice(contract.lastIndexOf(':') + 1)
    if (PRICED[name] === undefined) continue
    for (const [signature, { max }] of Object.entries(functions)) {
      const call = `${name}.${signature.replace(/\(.*$/, '')}`
      if (sendable(name).has(call)) prices[call] = Math.max(prices[call] ?? 0, max)
    }
  }
  return Object.fromEntries(Object.entries(prices).sort(([a], [b]) => a.localeCompare(b)))
}

/** Calls of a contract that change something and are for people. */
function sendable(name: string): Set<string> {
  const file = join(CONTRACTS, 'out', `${PRICED[name]!.split('/').at(-1)}`, `${name}.json`)
  const { abi } = JSON.parse(readFileSync(file, 'utf8')) as { abi: { type: string; name: string; stateMutability: string }[] }
  const calls = abi.filter(({ type, stateMutability }) => type === 'function' && !/view|pure/.test(stateMutability))
  return new Set(calls.map((call) => `${name}.${call.name}`).filter((call) => !NOT_PRICED.has(call)))
}

function table(prices: Prices): string {
  const rows = Object.entries(prices).map(([call, gas]) => `| ${call} | ${gas.toLocaleString('en-US')} |`)
  return `${BEGIN}\n\n| call | gas of the transaction |\n|---|---:|\n${rows.join('\n')}\n\n${END}`
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const now = await measured()
const unpriced = Object.keys(PRICED).flatMap((name) => [...sendable(name)].filter((call) => now[call] === undefined))
if (process.argv.includes('--write')) {
  writeFileSync(FILE, `${JSON.stringify(now, null, 2)}\n`)
  const text = readFileSync(README, 'utf8')
  const [before, rest] = text.split(BEGIN)
  writeFileSync(README, `${before}${table(now)}${rest?.split(END)[1] ?? ''}`)
}
const stored = JSON.parse(readFileSync(FILE, 'utf8')) as Prices
const changed = [...new Set([...Object.keys(stored), ...Object.keys(now)])].filter((call) => {
  const [was, is] = [stored[call], now[call]]
  return was === undefined || is === undefined || Math.abs(is - was) * 100 > was * TOLERANCE_PERCENT
})
for (const call of changed) say(`changed  ${call}: ${stored[call] ?? 'unknown'} -> ${now[call] ?? 'not measured'}`)
for (const call of unpriced) say(`no price  ${call}: no test in contracts/test/gas.ts makes it`)
say(
  `${Object.keys(now).length} calls measured, ${changed.length} changed beyond ${TOLERANCE_PERCENT} %, ${unpriced.length} without a price`,
)
if (changed.length + unpriced.length > 0) process.exitCode = 1
