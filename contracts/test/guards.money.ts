/**
 * The guards of token, burn and mint, as guards.table.ts has them for channels. A name that begins with C and a number is the attack case of
 * that number: the edit plants the bug, and the test named after the case must fail.
 */
import type { Guard } from './guards.table.ts'

const CHANNELS = 'src/Channels.sol'
const WAY = 'src/token/Way.sol'
const EMISSIONS = 'src/token/Emissions.sol'
const AUCTION = 'src/burn/BurnAuction.sol'
const PRICE = 'src/burn/DutchPrice.sol'
const MINT = 'src/burn/UsageMint.sol'
const GOVERNANCE = 'src/governance/Governance.sol'
const SUBSCRIPTION = 'src/payments/Subscription.sol'
const PARAMETERS = 'src/governance/Parameters.sol'

const guard = (name: string, file: string, from: string, to: string, suite: string, test: string): Guard => ({
  name,
  edits: [[file, from, to]],
  suite: `test/${suite}.t.sol`,
  test,
})

const parameters: Guard[] = [
  guard(
    'parameters: set by the timelock',
    PARAMETERS,
    'if (msg.sender != timelock) revert NotTimelock(msg.sender);\n        Entry',
    'Entry',
    'Parameters',
    'test_set_revertsIfNotTheTimelock',
  ),
  guard(
    'parameters: made for the current value',
    PARAMETERS,
    'if (entry.value != from) revert ParameterMoved(name, from, entry.value);',
    '',
    'Parameters',
    'test_set_revertsIfTheValueMovedMeanwhile',
  ),
  guard(
    'parameters: within the bounds',
    PARAMETERS,
    'if (to < entry.min || to > entry.max)',
    'if (to > entry.max)',
    'Parameters',
    'test_set_revertsOutsideTheBounds',
  ),
  guard(
    'parameters: known names only',
    PARAMETERS,
    'if (!entry.known) revert ParameterUnknown(name);',
    '',
    'Parameters',
    'test_get_revertsForAnUnknownName',
  ),
  guard(
    'parameters: pauses are not chained',
    PARAMETERS,
    'if (block.timestamp < next) revert PauseTooSoon(next);',
    '',
    'Parameters',
    'test_pauseDeposits_lastsAWeekAndCannotBeChained',
  ),
  guard(
    'parameters: paused by the guardian',
    PARAMETERS,
    'if (msg.sender != guardian) revert NotGuardian(msg.sender);',
    '',
    'Parameters',
    'test_pauseDeposits_revertsIfNotTheGuardian',
  ),
]

const votes: Guard[] = [
  guard(
    'governance: two thirds for more issuance',
    GOVERNANCE,
    'if (!needsTwoThirds[proposalId]) return true;',
    'return true;',
    'Governance',
    'test_raisingIssuanceTakesTwoThirds',
  ),
  guard(
    'governance: what cannot be judged',
    GOVERNANCE,
    'if (target != address(PARAMETERS) || data.length < 4) return true;',
    'if (target != address(PARAMETERS) || data.length < 4) return false;',
    'Governance',
    'test_whatIsNeitherTakesAMajority_andWhatCannotBeJudgedTwoThirds',
  ),
  guard(
    'C24 votes: of the past',
    'src/token/Way.sol',
    'super._update(from, to, value);',
    'super._update(from, to, value); if (to != address(0) && delegates(to) == address(0)) _delegate(to, to);',
    'Way',
    'test_votes_countFromThePastAndOnlyWhenDelegated',
  ),
  guard(
    'timelock: never shorter',
    'src/governance/Timelock.sol',
    'if (newDelay < LEAST) revert DelayTooShort(newDelay, LEAST);',
    '',
    'Governance',
    'test_theWaitCannotBeVotedAway',
  ),
]

const token: Guard[] = [
  guard(
    'way: two minters',
    WAY,
    'if (msg.sender != emissions && msg.sender != usageMint) revert IWay.NotMinter(msg.sender);',
    '',
    'Way',
    'test_mint_isForTheTwoMintersAlone',
  ),
  guard(
    'way: cap',
    WAY,
    'if (totalSupply() + amount > CAP) revert IWay.CapExceeded(totalSupply(), amount);',
    '',
    'Way',
    'test_mint_neverGoesBeyondTheCap',
  ),
  guard('way: what burns is counted', WAY, 'if (to == address(0)) burned += value;', '', 'Way', 'test_burn_isTheHoldersAlone'),
  guard('emissions: each epoch once', EMISSIONS, 'nextEpoch = first + turned;', '', 'Way', 'test_turn_mintsEachEpochOnceAfterItEnded'),
  guard('emissions: what burnt is seen once', EMISSIONS, 'burnedSeen = burned;', '', 'Way', 'test_netEmissions_areBounded'),
  guard(
    'emissions: bounded per epoch',
    EMISSIONS,
    'if (amount > turned * NET_MAX) amount = turned * NET_MAX;',
    '',
    'Way',
    'test_netEmissions_areBounded',
  ),
  guard(
    'emissions: a tenth and no more',
    EMISSIONS,
    'NET_PART = 10;',
    'NET_PART = 5;',
    'Way',
    'testFuzz_supply_neverExceedsGenesisAndSchedule',
  ),
]

const burning: Guard[] = [
  guard(
    'burn: counted per payee',
    CHANNELS,
    'if (burnt != 0) {',
    'if (burnt == type(uint256).max) {',
    'Burn',
    'test_claim_leavesTheBurnShare',
  ),
  guard(
    'burn: collected by the mint',
    CHANNELS,
    'if (msg.sender != COLLECTOR) revert NotCollector(msg.sender);',
    '',
    'Burn',
    'test_collectBurn_isTheMintsAlone',
  ),
  guard('burn: collected once', CHANNELS, '_burns[payees[i]].waiting = 0;', '', 'Burn', 'test_collectBurn_countsAPayeeNamedTwiceOnce'),
  guard(
    'burn: at most the claim',
    CHANNELS,
    'if (share > Settlement.WHOLE) share = Settlement.WHOLE;',
    '',
    'Burn',
    'test_claim_goesOnWhateverTheParametersDo',
  ),
  guard(
    'pause: ends by itself',
    CHANNELS,
    'if (until > block.timestamp + MAX_PAUSE) until = block.timestamp + MAX_PAUSE;',
    '',
    'Burn',
    'test_pause_endsByItself',
  ),
  guard(
    'C36 pause: stops deposits',
    CHANNELS,
    'if (block.timestamp < _terms.pausedUntil) revert DepositsPausedUntil(_terms.pausedUntil);',
    '',
    'Burn',
    'test_C36_pauseStopsDepositsOnly',
  ),
  guard(
    'C32 share: of ten thousand',
    'src/libraries/Settlement.sol',
    'WHOLE = 10_000;',
    'WHOLE = 1_000;',
    'Burn',
    'testFuzz_C32_partsOfAClaimAddUp',
  ),
]

const auction: Guard[] = [
  guard(
    'C25 auction: the price is never 0',
    PRICE,
    'if (price == 0) price = 1;',
    '',
    'BurnAuction',
    'test_C25_priceComesFromSalesHereAlone',
  ),
  guard(
    'C25 auction: no price from balances',
    AUCTION,
    'lot = begun ? _lot : Math.max(MIN_LOT, unsold / LOTS);',
    'unsold = DOLLAR.balanceOf(address(this)); lot = begun ? _lot : Math.max(MIN_LOT, unsold / LOTS);',
    'BurnAuction',
    'test_C25_priceComesFromSalesHereAlone',
  ),
  guard(
    'C25 auction: buying raises the price',
    PRICE,
    'price + Math.mulDiv(price, sold, lot, Math.Rounding.Ceil)',
    'price * lot / lot + 0 * sold',
    'BurnAuction',
    'test_C25_aPricePushedUpCostsWhoPushesIt',
  ),
  guard(
    'C34 auction: the limit of the buyer',
    AUCTION,
    'if (cost > limit) revert PriceAboveLimit(cost, limit);',
    '',
    'BurnAuction',
    'test_C34_sandwichMeetsTheLimit',
  ),
  guard(
    'auction: what is bought is burnt',
    AUCTION,
    'WAY.burnFrom(msg.sender, cost);',
    '',
    'BurnAuction',
    'test_buy_burnsTheWayAndHandsOverTheDollars',
  ),
  guard(
    'auction: fed by the mint',
    AUCTION,
    'if (msg.sender != SELLER) revert NotSeller(msg.sender);',
    '',
    'BurnAuction',
    'test_add_isTheSellersAlone',
  ),
  guard(
    'auction: after the epoch',
    AUCTION,
    'if (block.timestamp < opened) return (0, 0, 0, 0);',
    'if (block.timestamp < opened) opened = block.timestamp;',
    'BurnAuction',
    'test_nothingIsOnSaleBeforeTheEpochEnds',
  ),
  guard(
    'auction: each epoch anew',
    AUCTION,
    'bool begun = _ask.place == _head;',
    'bool begun = _ask.place != type(uint64).max;',
    'BurnAuction',
    'test_theNextEpochDoesNotInheritAFallenPrice',
  ),
  guard(
    'auction: the memory goes by volume',
    PRICE,
    '(before * (lot - sold) + price * sold) / lot',
    'sold == 0 ? before : price',
    'BurnAuction',
    'test_dustDoesNotHoldTheAuctionUp',
  ),
]

const mint: Guard[] = [
  guard(
    'C26 mint: nine tenths of what burnt',
    MINT,
    'burnt * pot.remint / WHOLE',
    'burnt + 0 * pot.remint',
    'UsageMint',
    'testFuzz_C26_loopNeverMintsMoreThanNineTenths',
  ),
  guard(
    'C27 mint: shared by all dollars of the epoch',
    MINT,
    'part.own, pot.all)',
    'part.own, (part.own + pot.all) / 2)',
    'UsageMint',
    'testFuzz_C27_selfDealingNeverGains',
  ),
  guard(
    'C30 mint: each once',
    MINT,
    '_parts[lane][vintage][payees[i]].minted += amount.toUint128();',
    '',
    'UsageMint',
    'test_C30_mintingOverManyEpochsGivesEachOnce',
  ),
  guard('mint: when the epoch is over', MINT, ' || epoch() <= vintage', '', 'UsageMint', 'test_mint_waitsForTheEndOfTheEpoch'),
  guard(
    'mint: bounded whatever the parameters say',
    MINT,
    'Math.min(PARAMETERS.get(ParameterTable.REMINT), REMINT_MAX)',
    'PARAMETERS.get(ParameterTable.REMINT)',
    'UsageMint',
    'test_remint_isBoundedHereToo',
  ),
  guard('mint: WAY burns before it comes back', MINT, 'WAY.burn(sum);', '', 'UsageMint', 'test_way_burnsDirectly'),
]

const subscriptions: Guard[] = [
  guard(
    'subscription: taken once',
    SUBSCRIPTION,
    'term.taken += uint96(amount);',
    '',
    'Subscription',
    'test_subscribe_isEarnedByTheSecond',
  ),
  guard(
    'subscription: cancelled once',
    SUBSCRIPTION,
    'if (block.timestamp >= term.end) revert NotSubscribed();',
    '',
    'Subscription',
    'test_cancel_givesUnusedDaysBackAtOnce',
  ),
  guard(
    'subscription: one at a time',
    SUBSCRIPTION,
    'if (block.timestamp < term.end) revert AlreadySubscribed(term.end);',
    '',
    'Subscription',
    'test_subscribe_againPaysOutWhatWasEarned',
  ),
  guard(
    'subscription: what arrives counts',
    SUBSCRIPTION,
    'if (received != paid) revert PaymentMismatch(paid, received);',
    '',
    'Subscription',
    'test_subscribe_refusesATokenThatTakesAFee',
  ),
]

export const MONEY_GUARDS: readonly Guard[] = [...parameters, ...votes, ...token, ...burning, ...auction, ...mint, ...subscriptions]
