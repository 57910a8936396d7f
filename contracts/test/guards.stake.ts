/**
 * The guards of stake, rewards, vaults, capacity and agreements, as guards.table.ts has them for channels. A name that begins with C and a
 * number is the attack case of that number: the edit plants the bug, and the test named after the case must fail.
 * Longer than 400 lines because it is a table: nothing depends on the order, and each entry stands for itself.
 */
import type { Guard } from './guards.table.ts'

const REGISTRY = 'src/registry/Registry.sol'
const STATE = 'src/registry/RegistryState.sol'
const POOL = 'src/libraries/SharePool.sol'
const STATEMENTS = 'src/libraries/Statements.sol'
const COMMITTEE = 'src/registry/Committee.sol'
const ROOTS = 'src/rewards/EpochRoots.sol'
const AUDITS = 'src/rewards/Audits.sol'
const REGIONS = 'src/rewards/RegionMultipliers.sol'
const MULTIPLIERS = 'src/libraries/Multipliers.sol'
const VAULT = 'src/vaults/RegionVault.sol'
const MARKET = 'src/capacity/CapacityMarket.sol'
const AGREEMENTS = 'src/agreements/ServiceAgreements.sol'
const DEVIATION = 'src/libraries/Deviation.sol'

const guards = (
  suite: string,
  ...rows: readonly (readonly [name: string, file: string, from: string, to: string, test: string])[]
): Guard[] => rows.map(([name, file, from, to, test]) => ({ name, edits: [[file, from, to]], suite: `test/${suite}.t.sol`, test }))

const slashing = guards(
  'registry/Slashing',
  [
    'C20: thawing stake answers too',
    REGISTRY,
    '+ thawing.cut(Math.mulDiv(thawing.tokens, bps, WHOLE, Math.Rounding.Ceil));',
    '+ 0 * thawing.tokens;',
    'test_C20_thawingStakeIsSlashedOneSecondBeforeItsRelease',
  ],
  [
    'C20: no release before the time',
    REGISTRY,
    'if (block.timestamp < thaw.releaseAt) revert ThawTooEarly(thaw.releaseAt);',
    '',
    'test_C20_nobodyIsReleasedBeforeTheTime',
  ],
  [
    'C20: the second of the release is not before it',
    REGISTRY,
    'if (block.timestamp < thaw.releaseAt)',
    'if (block.timestamp + 1 < thaw.releaseAt)',
    'test_C20_nobodyIsReleasedBeforeTheTime',
  ],
  [
    'C20: a move waits like a withdrawal',
    REGISTRY,
    'block.timestamp + unbondingSeconds()',
    'block.timestamp + (to == address(0) ? unbondingSeconds() : 0)',
    'test_C20_stakeThatMovesAnswersForItsOldOperator',
  ],
  [
    'C20: unbonding is bounded below',
    REGISTRY,
    'Math.max(PARAMETERS.get("unbonding"), MIN_UNBONDING)',
    'PARAMETERS.get("unbonding")',
    'test_C20_aLowerUnbondingTimeDoesNotHurryWhoLeftBefore',
  ],
  [
    'C21: a reporter gets half at most',
    REGISTRY,
    'Math.min(PARAMETERS.get("reporterShare"), MAX_REPORTER_BPS)',
    'PARAMETERS.get("reporterShare")',
    'test_C21_whoReportsHimselfLosesHalfAtLeast',
  ],
  ['C21: one fault is punished once', REGISTRY, 'if (_faults[fault]) revert FaultKnown(fault);', '', 'test_C21_oneFaultIsPunishedOnce'],
  [
    'C21: no slash inside a slash',
    REGISTRY,
    'function slash(address operator, uint256 bps, address reporter, bytes32 reason)\n        external\n        nonReentrant',
    'function slash(address operator, uint256 bps, address reporter, bytes32 reason)\n        external',
    'test_C21_noSecondSlashFromInsideOne',
  ],
  ['C22: an emptied pool begins anew', POOL, '++pool.generation;', '', 'test_C22_afterATotalSlashRewardsExitAndNewStakeWork'],
  [
    'C22: a pool that is all but empty is emptied',
    POOL,
    'if (left * MAX_SHARES_PER_TOKEN < pool.shares) {',
    'if (left == 0 && pool.shares != 0) {',
    'test_C22_aSlashThatLeavesDustEmptiesThePool',
  ],
  [
    'C22: a slash takes a part of what is there',
    REGISTRY,
    'Math.mulDiv(bonded.tokens, bps, WHOLE, Math.Rounding.Ceil))\n            +',
    'bonded.shares * bps / WHOLE)\n            +',
    'test_C22_twoSlashesInOneBlockAddUp',
  ],
  [
    'equivocation: one place, two contents',
    REGISTRY,
    'if (!Statements.contradict(first, second)) revert NotEquivocation();',
    '',
    'test_equivocation_nobodyIsFramedWithWhatAnHonestNodeSigns',
  ],
  [
    'equivocation: the same counter',
    STATEMENTS,
    '&& first.counter == second.counter',
    '',
    'test_equivocation_nobodyIsFramedWithWhatAnHonestNodeSigns',
  ],
  [
    'equivocation: the same stream',
    STATEMENTS,
    '&& first.stream == second.stream',
    '',
    'test_equivocation_nobodyIsFramedWithWhatAnHonestNodeSigns',
  ],
  [
    'equivocation: the same kind',
    STATEMENTS,
    'first.kind == second.kind &&',
    '',
    'test_equivocation_nobodyIsFramedWithWhatAnHonestNodeSigns',
  ],
  [
    'equivocation: said twice is not said differently',
    STATEMENTS,
    '&& first.content != second.content',
    '',
    'test_equivocation_nobodyIsFramedWithWhatAnHonestNodeSigns',
  ],
  [
    'equivocation: by one key of an operator',
    REGISTRY,
    'if (a != b || operator == address(0)) revert SignersDiffer(a, b);',
    '',
    'test_equivocation_bothByOneKeyOfAnOperator',
  ],
  ['equivocation: strikes off', REGISTRY, '_struckOff[operator] = true;', '', 'test_equivocation_takesAllAndStrikesOff'],
  ['slash: by a judge', REGISTRY, 'if (!_judges[msg.sender]) revert NotJudge(msg.sender);', '', 'test_slash_onlyByAJudgeAndAtMostAll'],
  ['slash: at most all', REGISTRY, 'if (bps > WHOLE) revert AmountInvalid(bps, WHOLE);', '', 'test_slash_onlyByAJudgeAndAtMostAll'],
  [
    'slash: what is not rewarded is burnt',
    REGISTRY,
    '.burn(tokens - reward);',
    '.burn(tokens - reward - reward);',
    'test_equivocation_takesAllAndStrikesOff',
  ],
)

const staking = guards(
  'registry/Staking',
  [
    'seal: by the deployer, once',
    REGISTRY,
    'if (msg.sender != DEPLOYER || _sealed) revert CannotSeal(msg.sender);',
    '',
    'test_seal_onceByTheDeployer',
  ],
  ['stake: not before the judges are named', REGISTRY, 'if (!_sealed) revert NotSealed();', '', 'test_seal_onceByTheDeployer'],
  [
    'profile: commission only falls',
    REGISTRY,
    'if (old.role != Role.None && profile.commissionBps > old.commissionBps) {',
    'if (false) {',
    'test_setProfile_isCheckedAndCommissionOnlyFalls',
  ],
  [
    'profile: an endpoint is an operator’s',
    REGISTRY,
    'if (_profiles[msg.sender].role == Role.None) revert OperatorUnknown(msg.sender);\n        if (bytes(endpoint)',
    'if (bytes(endpoint)',
    'test_setEndpoint_byOperatorsOnlyAndShort',
  ],
  [
    'keys: proven',
    REGISTRY,
    '!= key) {\n            revert KeyNotProven(key);',
    '!= key && key == address(1)) {\n            revert KeyNotProven(key);',
    'test_addKey_needsTheKeysOwnSignature',
  ],
  [
    'keys: taken once',
    REGISTRY,
    'if (key == address(0) || _operatorOf[key] != address(0)) revert KeyTaken(key);',
    '',
    'test_addKey_needsTheKeysOwnSignature',
  ],
  [
    'keys: retired by their owner',
    REGISTRY,
    'if (_operatorOf[key] != msg.sender) revert KeyNotOwned(key);',
    '',
    'test_retireKey_onlyOnesOwn',
  ],
  [
    'stake: for an operator',
    REGISTRY,
    'if (_profiles[operator].role == Role.None) revert OperatorUnknown(operator);\n        if (_struckOff',
    'if (_struckOff',
    'test_stake_refusals',
  ],
  [
    'unbond: no more than there is',
    REGISTRY,
    'if (shares == 0 || shares > holding.shares) revert',
    'if (shares == 0) revert',
    'test_unbond_refusals',
  ],
  ['release: once', REGISTRY, 'delete _thaws[id];', '', 'test_release_endsOnceAndMovesOrPays'],
  [
    'release: not to whoever was struck off',
    REGISTRY,
    '&& !_struckOff[thaw.to]',
    '',
    'test_release_toAnOperatorStruckOffGoesBackToTheOwner',
  ],
  [
    'rewards: booked before shares change',
    REGISTRY,
    'holding.seen = _perShare[operator][generation];',
    '',
    'test_distribute_commissionThenProRata',
  ],
  ['rewards: claimed once', REGISTRY, 'holding.owed = 0;', '', 'test_distribute_commissionThenProRata'],
  ['collect: once', REGISTRY, 'delete _credits[msg.sender];', '', 'test_release_toAnOperatorStruckOffGoesBackToTheOwner'],
  [
    'standing: the bond is one’s own',
    STATE,
    '_ownBond(operator) >= bondRequired(operator)',
    '_bonded[operator].tokens >= bondRequired(operator)',
    'test_isActive_ownBondCoversTheClaim',
  ],
)

const committees = [
  ...guards(
    'registry/Committee',
    [
      'draw: not before the block is known',
      COMMITTEE,
      'call.seedBlock == 0 ? bytes32(0) : Blockhash.blockHash(call.seedBlock);',
      'bytes32(uint256(call.seedBlock));',
      'test_draw_isAfterTheCallAndOnce',
    ],
    [
      'draw: once',
      COMMITTEE,
      'if (hash == 0 || _members[topic].length != 0) revert',
      'if (hash == 0) revert',
      'test_draw_isAfterTheCallAndOnce',
    ],
    [
      'summon: once',
      COMMITTEE,
      'revert AlreadyCalled(topic);\n        }\n        _calls',
      '}\n        _calls',
      'test_summon_againOnlyIfTheBlockIsForgotten',
    ],
    ['draw: nobody who came after the call', COMMITTEE, ' && since < call.seedBlock - WAIT', '', 'test_draw_nobodyGetsInWhoKnowsTheHash'],
    ['draw: nobody twice', COMMITTEE, 'if (from[j] == pick) index = value[j];', '', 'test_draw_membersDifferAndEveryoneIsDrawnAlike'],
    ['agreed: 2f + 1', COMMITTEE, '&& found >= quorumOf(topic)', '', 'test_agreed_needsAQuorumOfDistinctMembers'],
    [
      'agreed: each by its own key',
      COMMITTEE,
      '|| REGISTRY.operatorOf(key) != members[i]',
      '',
      'test_agreed_needsAQuorumOfDistinctMembers',
    ],
    ['agreed: no retired keys', COMMITTEE, '!REGISTRY.keyActive(key) ||', '', 'test_agreed_membersMustBeInStanding'],
    [
      'agreed: members with a stake',
      COMMITTEE,
      'if (!REGISTRY.isActive(members[i], Role.Prober)) return false;',
      '',
      'test_agreed_membersMustBeInStanding',
    ],
    ['agreed: no bits without members', COMMITTEE, '&& signers >> members.length == 0', '', 'test_agreed_needsAQuorumOfDistinctMembers'],
  ),
  ...guards(
    'rewards/Audits',
    ['audits: quorum', AUDITS, 'revert NoQuorum();', '{}', 'test_report_onceWithQuorumAndOnlyWhenCalled'],
    ['audits: once', AUDITS, '_claimed[operator][number] = 1;', '', 'test_report_onceWithQuorumAndOnlyWhenCalled'],
    [
      'audits: the claim of the call counts',
      AUDITS,
      '        --claim;',
      '        claim = REGISTRY.profileOf(operator).mbps;',
      'test_report_belowHalfOfTheClaimIsSlashed',
    ],
    ['audits: the newer stays', AUDITS, 'if (number >= _proven[operator].epoch) ', '', 'test_report_anOlderOneDoesNotReplaceANewer'],
    ['audits: a proof ages', AUDITS, '|| epoch() > proven.epoch + GOOD_FOR', '', 'test_report_keepsWhatWasProvedForAWhile'],
  ),
]

const rewards = [
  ...guards(
    'rewards/EpochRoots',
    ['C28: a leaf is paid once', ROOTS, 'claimed[leaf.operator] = leaf.cumulative;', '', 'test_C28_aLeafIsPaidOnce'],
    [
      'C28: every bit of a proof counts',
      ROOTS,
      'if (root_ == 0 || !MerkleProof.verifyCalldata(leaf.proof, root_, hash)) revert',
      'if (root_ == 0 || (hash == 0 && leaf.proof.length == 0)) revert',
      'test_C28_everyBitOfAProofCounts',
    ],
    [
      'C28: leaves are hashed twice',
      ROOTS,
      'keccak256(bytes.concat(keccak256(abi.encode(leaf.operator, leaf.cumulative))))',
      'keccak256(abi.encode(leaf.operator, leaf.cumulative))',
      'test_C28_anInnerNodeIsNoLeaf',
    ],
    [
      'C29: what was claimed counts for every root',
      ROOTS,
      'amount = leaf.cumulative - before;',
      'amount = leaf.cumulative;',
      'test_C29_aNewRootDoesNotResetClaims',
    ],
    [
      'C29: an epoch has one root',
      ROOTS,
      'if (root != 0 && number <= epochOfRoot) revert EpochNotNew(number, epochOfRoot);',
      '',
      'test_C29_anEpochHasOneRoot',
    ],
    [
      'C29: no total beyond the funds',
      ROOTS,
      'if (total_ < total || total_ > funded()) revert',
      'if (total_ < total) revert',
      'test_C29_aTotalBeyondTheFundsIsRefused',
    ],
    ['C29: bonds are no funds', ROOTS, '+ paid - bonds;', '+ paid;', 'test_C29_aTotalBeyondTheFundsIsRefused'],
    [
      'C29: no payment beyond the total',
      ROOTS,
      'if (paid > total) revert TotalInvalid(paid, 0, total);',
      '',
      'test_C29_leavesBeyondTheTotalAreNotPaid',
    ],
    [
      'C30: only what is new of a leaf',
      ROOTS,
      'if (leaf.cumulative <= before) return 0;\n        amount = leaf.cumulative - before;',
      'amount = leaf.cumulative <= before ? 1 : leaf.cumulative - before;',
      'test_C30_nobodyGetsMoreOverManyRoundsThanTheLastRootSays',
    ],
    ['roots: quorum', ROOTS, 'revert NoQuorum();', '{}', 'test_propose_needsTwoFPlusOne'],
    [
      'roots: not before the window is over',
      ROOTS,
      'if (block.timestamp < proposal.endsAt) revert WindowOpen(proposal.endsAt);',
      '',
      'test_propose_needsTwoFPlusOne',
    ],
  ),
  ...guards(
    'rewards/Challenges',
    [
      'challenge: in the window',
      ROOTS,
      'if (block.timestamp >= proposal.endsAt) revert WindowOver(proposal.endsAt);\n        proposal.challenger',
      'proposal.challenger',
      'test_C13_challengedOnceAndUpToTheLastSecondOfTheWindow',
    ],
    [
      'challenge: once',
      ROOTS,
      'if (proposal.challenger != address(0)) revert AlreadyChallenged();',
      '',
      'test_C13_challengedOnceAndUpToTheLastSecondOfTheWindow',
    ],
    [
      'rule: after a challenge',
      ROOTS,
      'if (proposal.challenger == address(0)) revert NotChallenged();',
      '',
      'test_rule_thatAgreesMakesItFinalAtTheChallengersCost',
    ],
    [
      'rule: slashes who signed',
      ROOTS,
      'REGISTRY.slash(liars[i], part, winner, "root");',
      'part;',
      'test_rule_thatDiffersDropsItAndSlashesWhoSigned',
    ],
    ['refute: only a contradiction', ROOTS, 'if (!fell && !twice && !over) revert NoContradiction();', '', 'test_refute_nothingThatIsTrue'],
    ['refute: a fall', ROOTS, '|| (inFinal && a.operator == b.operator && a.cumulative < b.cumulative)', '', 'test_refute_whatFell'],
    [
      'refute: a second leaf',
      ROOTS,
      'bool twice = !inFinal &&',
      'bool twice = inFinal && !inFinal &&',
      'test_refute_twoLeavesOfOneOperator',
    ],
  ),
  ...guards(
    'rewards/RegionMultipliers',
    ['regions: quorum', REGIONS, 'revert NoQuorum();', '{}', 'test_report_refusals'],
    [
      'regions: each once',
      REGIONS,
      'if (i != 0 && reports[i].region <= reports[i - 1].region) revert RegionsUnsorted(i);',
      '',
      'test_report_refusals',
    ],
    [
      'regions: fall after notice',
      REGIONS,
      'uint64(block.timestamp + notice)',
      'uint64(block.timestamp)',
      'test_multiplier_fallsAfterNotice',
    ],
    [
      'regions: bounded',
      REGIONS,
      'multiplier = Math.min(Math.max(multiplier, least), most);',
      'multiplier = Math.max(multiplier, least);',
      'test_multiplier_risesAtOnceWithinItsBounds',
    ],
    ['regions: parts add up', MULTIPLIERS, 'given = until;', '', 'test_split_addsUpWhateverTheWeights'],
    ['tickets: paid once', REGIONS, 'ticket.paid += uint128(amount);', '', 'test_ask_whoAsksPaysOverTime'],
  ),
]

const vaults = guards(
  'vaults/RegionVault',
  ['C31: virtual shares', VAULT, 'return 6;', 'return 0;', 'test_C31_theFirstDepositorsAttackCostsTheAttacker'],
  [
    'C31: exits round down',
    VAULT,
    'assets = previewRedeem(exit.shares);',
    'assets = previewMint(exit.shares) + 1;',
    'test_C31_aRoundTripNeverGains',
  ],
  [
    'C36: exits ask nobody',
    VAULT,
    'if (exit.shares == 0) revert ExitUnknown(id);',
    'if (exit.shares == 0 || COMMITTEE.REGISTRY().totalStake() < 1e40) revert ExitUnknown(id);',
    'test_C36_investorsLeaveWithinANoticeWhateverIsBroken',
  ],
  [
    'vault: withdraw is closed',
    VAULT,
    'function maxWithdraw(address) public pure override returns (uint256) {\n        return 0;',
    'function maxWithdraw(address) public pure override returns (uint256) {\n        return 1;',
    'test_withdrawAndRedeemAreClosed',
  ],
  [
    'vault: exits wait',
    VAULT,
    'if (block.timestamp < exit.readyAt) revert ExitTooEarly(exit.readyAt);',
    '',
    'test_serve_afterTheNoticeAndOnce',
  ],
  ['vault: exits are served once', VAULT, 'delete _exits[id];', '', 'test_serve_afterTheNoticeAndOnce'],
  ['vault: never pays above its assets', VAULT, 'subsidy = Math.min(subsidy, totalAssets());', '', 'test_settle_dryVaultPaysWhatItHas'],
  [
    'vault: what is owed is not the investors’',
    VAULT,
    '.balanceOf(address(this)) - owed;',
    '.balanceOf(address(this));',
    'test_VLT1_coldStartToTheCent',
  ],
  [
    'vault: takes back a limit',
    VAULT,
    'taken = Math.min((fees - need) * SHARE_PERCENT / 100, due);',
    'taken = (fees - need) * SHARE_PERCENT / 100 + 0 * due;',
    'test_VLT1_coldStartToTheCent',
  ],
  ['vault: quorum', VAULT, 'revert NoQuorum();', '{}', 'test_settle_refusals'],
  ['vault: fees come back once', VAULT, 'delete earnedOf[period][node];', '', 'test_fees_comeBackLessTheShare'],
  ['vault: who left earns no more', VAULT, 'isNode[left[i]] = false;', '', 'test_settle_subsidiesAreEqualAndForThoseThere'],
)

const markets = guards(
  'capacity/CapacityMarket',
  [
    'market: offered, at most proved',
    MARKET,
    'if (offered > capacity) revert CapacityExceeded(offered, capacity);',
    '',
    'test_offer_neverMoreThanProved',
  ],
  [
    'market: sold, at most offered',
    MARKET,
    'if (gb > entry.offered - entry.sold) revert CapacityExceeded(gb, entry.offered - entry.sold);',
    '',
    'test_buy_soldIsAtMostOffered',
  ],
  ['market: a price has a ceiling', MARKET, 'price > CEILING || moved', 'moved', 'test_offer_refusals'],
  ['market: settled once', MARKET, 'if (entry.settled) revert AlreadySettled(line);', '', 'test_settle_unusedRightsCostWhatWasDeclared'],
  [
    'market: refunds after settlement',
    MARKET,
    'if (!entry.settled) revert NotSettled(line);',
    '',
    'test_settle_unusedRightsCostWhatWasDeclared',
  ],
  [
    'market: expired rights are burnt',
    MARKET,
    '_burn(holder, id, gb);\n    }\n\n    /// @notice Pays the caller',
    '}\n\n    /// @notice Pays the caller',
    'test_settle_unusedRightsCostWhatWasDeclared',
  ],
  ['market: a receipt counts once', MARKET, 'if (used <= before) revert ReceiptInvalid();', '', 'test_redeem_paysTheProviderForUse'],
  [
    'market: a receipt is signed',
    MARKET,
    '!= holder) revert ReceiptInvalid();',
    '!= holder && r == bytes32(uint256(1))) revert ReceiptInvalid();',
    'test_redeem_paysTheProviderForUse',
  ],
  ['market: one judgement', MARKET, 'if (entry.judged) revert AlreadyJudged(line);', '', 'test_judge_refundsWithAPenalty'],
  ['market: quorum', MARKET, 'revert NoQuorum();', '{}', 'test_judge_inItsTimeAndWithQuorum'],
  ['market: never more than all', MARKET, 'uint16(Math.min(deviation, WHOLE))', 'deviation', 'test_judge_neverMoreThanAll'],
)

const agreements = guards(
  'agreements/ServiceAgreements',
  [
    'agreements: signed by the consumer',
    AGREEMENTS,
    '!= terms.consumer || terms.consumer == address(0)',
    '!= terms.consumer && terms.consumer == address(1)',
    'test_open_signedByBothAndOnce',
  ],
  [
    'agreements: signed by the provider',
    AGREEMENTS,
    '!= terms.provider || terms.provider == address(0)',
    '!= terms.provider && terms.provider == address(1)',
    'test_open_signedByBothAndOnce',
  ],
  ['agreements: nobody has no name', AGREEMENTS, '|| terms.provider == address(0)', '', 'test_open_signedByBothAndOnce'],
  [
    'agreements: opened once',
    AGREEMENTS,
    'if (_agreements[id].state != State.None) revert AlreadyOpened(id);',
    '',
    'test_open_signedByBothAndOnce',
  ],
  [
    'agreements: liveness',
    AGREEMENTS,
    'if (block.timestamp < agreement.until) revert TooEarly(agreement.until);',
    '',
    'test_boundary_everySecondBelongsToOne',
  ],
  [
    'agreements: a dispute in time',
    AGREEMENTS,
    'if (block.timestamp >= agreement.until) revert TooLate(agreement.until);\n        (agreement.state, agreement.disputer)',
    '(agreement.state, agreement.disputer)',
    'test_boundary_everySecondBelongsToOne',
  ],
  [
    'agreements: one final state',
    AGREEMENTS,
    'if (state != State.Open && state != State.Reported && state != State.Disputed) revert WrongState(id, state);',
    '',
    'test_met_whenNobodyReports',
  ],
  ['agreements: quorum', AGREEMENTS, 'revert NoQuorum();', '{}', 'test_report_onlyAtTheEndWithQuorumAndOnce'],
  [
    'agreements: a disputer in the right is paid',
    AGREEMENTS,
    'right ? agreement.reporter : agreement.disputer',
    'agreement.reporter',
    'test_UMA1_disputeThatIsRight',
  ],
  [
    'deviation: one-sided',
    DEVIATION,
    'if (indicator >= objective) return 0;',
    'if (indicator >= objective) (objective, indicator) = (indicator, objective);',
    'test_SLA1_deviations',
  ],
  ['deviation: capped', DEVIATION, 'Math.min(cap, MAX_CAP)', 'cap', 'test_SLA1_deviations'],
)

export const STAKE_GUARDS: readonly Guard[] = [...slashing, ...staking, ...committees, ...rewards, ...vaults, ...markets, ...agreements]
