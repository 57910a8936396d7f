/**
 * The attacks that other payment channels, stakes, mints and vaults suffered, numbered as in the threat list this project works from: for
 * each the test that stands against it and a bug that lets it in. Run by attacks.ts.
 *
 * The bug is the mistake of those who were attacked, as near as our code allows it. Some attacks have no handle here (there is no
 * cooperative close, no initialiser, no oracle): their tests show what stands in its place.
 */
import type { Edit } from './plant.ts'

export interface Attack {
  readonly number: number
  readonly title: string
  /** Test file; the test is the one whose name begins with test_C<number>_ or testFuzz_C<number>_ and ends with `test`. */
  readonly suite: string
  readonly test: string
  readonly bug: readonly Edit[]
}

const CHANNELS = 'src/Channels.sol'
const SETTLEMENT = 'src/libraries/Settlement.sol'
const IDS = 'src/libraries/Ids.sol'
const VOUCHERS = 'src/libraries/Vouchers.sol'
const REGISTRY = 'src/registry/Registry.sol'
const ROOTS = 'src/rewards/EpochRoots.sol'
const OPENZEPPELIN = '../node_modules/@openzeppelin/contracts'
const EIP712 = `${OPENZEPPELIN}/utils/cryptography/EIP712.sol`

const attack = (number: number, title: string, suite: string, test: string, ...bug: Edit[]): Attack => ({
  number,
  title,
  suite: `test/${suite}.t.sol`,
  test,
  bug,
})

const onChannels = (number: number, title: string, test: string, ...bug: Edit[]): Attack =>
  attack(number, title, 'attacks/ChannelAttacks', test, ...bug)

export const ATTACKS: readonly Attack[] = [
  onChannels(1, 'old voucher on a re-opened channel', 'test_C1_aReopenedChannelPaysNoOldVoucher', [
    IDS,
    'RootId.unwrap(root), place',
    'bytes32(0), place',
  ]),
  onChannels(2, 'replay on another instance', 'test_C2_aVoucherForAnotherInstancePaysNothing', [
    EIP712,
    'keccak256(abi.encode(TYPE_HASH, _hashedName, _hashedVersion, block.chainid, address(this)))',
    'keccak256(abi.encode(TYPE_HASH, _hashedName, _hashedVersion, block.chainid, address(0)))',
  ]),
  onChannels(3, 'replay on another chain', 'test_C3_nothingSignedForAnotherChainCounts', [
    EIP712,
    'if (address(this) == _cachedThis && block.chainid == _cachedChainId) {',
    'if (address(this) == _cachedThis) {',
  ]),
  attack(4, 'one signed type as another', 'Signatures', 'test_C4_noSignedTypeStandsForAnother', [
    CHANNELS,
    '_hashTypedDataV4(Orders.structHash(descriptor, deadline))',
    '_hashTypedDataV4(Vouchers.structHash(Ids.rootId(descriptor), 0, descriptor.payer, 300))',
  ]),
  attack(5, 'malleable signatures', 'Signatures', 'test_C5_claim_revertsIfSIsHigh', [VOUCHERS, 'if iszero(gt(s, HALF_ORDER)) {', 'if 1 {']),
  onChannels(6, 'recovery to address 0', 'test_C6_nobodyIsNoSigner', [
    CHANNELS,
    'if (descriptor.signer == address(0)) revert ZeroSigner();',
    '',
  ]),
  onChannels(7, 'encoding that is not EIP-712', 'testFuzz_C7_digestsAreThoseOfTheTypes', [
    'src/libraries/Orders.sol',
    'keccak256(abi.encode(FEE_TYPEHASH, payee,',
    'keccak256(abi.encodePacked(FEE_TYPEHASH, payee,',
  ]),
  onChannels(8, 'one voucher paid twice', 'testFuzz_C8_noOrderOfVouchersPaysMoreThanTheLargest', [
    SETTLEMENT,
    'cumulative > paid ? cumulative - paid : 0;',
    'cumulative > paid ? cumulative - paid : cumulative == paid ? cumulative : 0;',
  ]),
  onChannels(9, 'a small payment in front burns the voucher', 'test_C9_anOldVoucherInFrontBurnsNothing', [
    CHANNELS,
    'word = cap | (cumulative << 96);',
    'word = cap | ((cumulative == 1 ? cap : cumulative) << 96);',
  ]),
  onChannels(10, 'voucher larger than the deposit', 'testFuzz_C10_noVoucherPaysMoreThanItsChannelHolds', [
    CHANNELS,
    'if (cumulative > cap) revert CumulativeAboveCap(i, cumulative, cap);',
    '',
  ]),
  onChannels(11, 'withdrawal in front of a claim', 'test_C11_noCloseGetsInFrontOfAClaim', [
    CHANNELS,
    'uint256(descriptor.expiry) + GRACE',
    'uint256(descriptor.expiry)',
  ]),
  onChannels(12, 'stale close while blocks are full', 'test_C12_oneBlockOfTheWholeGraceIsEnough', [
    CHANNELS,
    'if (activation.cap == 0) revert ZeroCap(i);',
    'if (block.timestamp > activation.descriptor.expiry) revert ZeroCap(i);',
  ]),
  attack(13, 'challenges that put off the end', 'rewards/Challenges', 'test_C13_challengedOnceAndUpToTheLastSecondOfTheWindow', [
    ROOTS,
    'if (proposal.challenger != address(0)) revert AlreadyChallenged();',
    '',
  ]),
  attack(14, 'calls by those who may not', 'attacks/AccessAttacks', 'test_C14_everyCallByEveryRole', [
    CHANNELS,
    'if (msg.sender != COLLECTOR) revert NotCollector(msg.sender);',
    '',
  ]),
  onChannels(15, 'an old cooperative message', 'test_C15_anOldOrderTakesNothingOfNewerVouchers', [
    CHANNELS,
    'if (fee > left) revert FeeAboveAmount(fee, left);',
    '',
  ]),
  onChannels(16, 'a recipient that cannot be paid', 'test_C16_whoCannotBePaidHoldsUpNobody', [
    CHANNELS,
    'unspent += channel.cap - channel.paid;',
    'unspent += channel.cap - channel.paid; TOKEN.safeTransfer(channels[i].payee, 0);',
  ]),
  attack(17, 'reentrancy through the token', 'Reentrancy', 'test_C17_claim_isNotReentrant', [
    CHANNELS,
    'bytes calldata vouchers)\n        external\n        nonReentrant',
    'bytes calldata vouchers)\n        external',
  ]),
  attack(18, 'odd tokens', 'OddTokens', 'test_C18_open_revertsIfTheTokenTakesAFee', [
    CHANNELS,
    'if (received != descriptor.sum) revert DepositMismatch(descriptor.sum, received);',
    '',
  ]),
  onChannels(19, 'checks forgotten at a second entry', 'test_C19_theSponsorsEntryChecksWhatOpenChecks', [
    CHANNELS,
    'catch {}\n        rootId = _open(descriptor);',
    'catch {}\n        rootId = Ids.rootId(descriptor); _roots[rootId] = Root({remaining: descriptor.sum, state: RootState.Open}); TOKEN.safeTransferFrom(descriptor.payer, address(this), descriptor.sum);',
  ]),
  attack(20, 'leaving before the slash', 'registry/Slashing', 'test_C20_nobodyIsReleasedBeforeTheTime', [
    REGISTRY,
    'if (block.timestamp < thaw.releaseAt) revert ThawTooEarly(thaw.releaseAt);',
    '',
  ]),
  attack(21, 'slashing oneself, or twice', 'registry/Slashing', 'test_C21_oneFaultIsPunishedOnce', [
    REGISTRY,
    'if (_faults[fault]) revert FaultKnown(fault);',
    '',
  ]),
  attack(22, 'slashing what is empty', 'registry/Slashing', 'test_C22_afterATotalSlashRewardsExitAndNewStakeWork', [
    'src/libraries/SharePool.sol',
    '++pool.generation;',
    '',
  ]),
  attack(23, 'votes without tokens', 'Governance', 'test_C23_votesAreAtMostTheSupply', [
    `${OPENZEPPELIN}/governance/extensions/GovernorCountingSimple.sol`,
    'proposalVote.hasVoted[account] = true;',
    '',
  ]),
  attack(24, 'borrowed votes', 'Governance', 'test_C24_borrowedVotesCountForNothing', [
    `${OPENZEPPELIN}/governance/extensions/GovernorVotes.sol`,
    'return token().getPastVotes(account, timepoint);',
    'return timepoint == 0 ? 0 : token().getVotes(account);',
  ]),
  attack(25, 'prices that can be moved', 'BurnAuction', 'test_C25_priceComesFromSalesHereAlone', [
    'src/burn/BurnAuction.sol',
    'lot = begun ? _lot : Math.max(MIN_LOT, unsold / LOTS);',
    'unsold = DOLLAR.balanceOf(address(this)); lot = begun ? _lot : Math.max(MIN_LOT, unsold / LOTS);',
  ]),
  attack(26, 'gain from burning and minting in circles', 'UsageMint', 'testFuzz_C26_loopNeverMintsMoreThanNineTenths', [
    'src/burn/UsageMint.sol',
    'part.own, pot.all)',
    'part.own, pot.all, Math.Rounding.Ceil)',
  ]),
  attack(27, 'trading with oneself', 'UsageMint', 'testFuzz_C27_selfDealingNeverGains', [
    'src/burn/UsageMint.sol',
    'Math.mulDiv(burnt * pot.remint / WHOLE, part.own, pot.all)',
    '(2 * part.own > pot.all ? burnt * pot.remint / WHOLE : 0)',
  ]),
  attack(28, 'Merkle proofs: twice, other index, inner node', 'rewards/EpochRoots', 'test_C28_everyBitOfAProofCounts', [
    ROOTS,
    'abi.encode(leaf.operator, leaf.cumulative)',
    'abi.encode(leaf.operator, leaf.cumulative & type(uint128).max)',
  ]),
  attack(29, 'a new root resets claims', 'rewards/EpochRoots', 'test_C29_anEpochHasOneRoot', [
    ROOTS,
    'if (root != 0 && number <= epochOfRoot) revert EpochNotNew(number, epochOfRoot);',
    '',
  ]),
  attack(30, 'more over several rounds', 'UsageMint', 'test_C30_mintingOverManyEpochsGivesEachOnce', [
    'src/burn/UsageMint.sol',
    'burnt * pot.remint / WHOLE, part.own, pot.all)',
    'burnt * pot.remint / WHOLE, part.own, pot.all) + (vintage > 9 ? vintage : 0)',
  ]),
  attack(31, 'inflation of vault shares', 'vaults/RegionVault', 'test_C31_theFirstDepositorsAttackCostsTheAttacker', [
    'src/vaults/RegionVault.sol',
    'return 6;',
    'return 0;',
  ]),
  attack(32, 'parts of another whole', 'Burn', 'testFuzz_C32_partsOfAClaimAddUp', [SETTLEMENT, 'WHOLE = 10_000;', 'WHOLE = 1_000;']),
  attack(
    33,
    'dust that makes loops grow',
    'Views',
    'test_C33_aClaimCostsTheSameBesideAThousandDustChannels',
    ['src/ChannelsState.sol', 'Terms internal _terms;', 'Terms internal _terms; mapping(address => uint256) internal _opened;'],
    [CHANNELS, 'emit ChannelActivated(', '++_opened[payee]; emit ChannelActivated('],
    [
      CHANNELS,
      'if (amount == 0) return;',
      'if (amount == 0) return; for (uint256 j = 0; j < _opened[payee]; ++j) _burns[payee].total = _burns[payee].total;',
    ],
  ),
  attack(34, 'sandwich around a sale', 'BurnAuction', 'test_C34_sandwichMeetsTheLimit', [
    'src/burn/BurnAuction.sol',
    'if (cost > limit) revert PriceAboveLimit(cost, limit);',
    '',
  ]),
  attack(
    35,
    'initialisers and upgrades',
    'attacks/AccessAttacks',
    'test_C35_nobodyInitialisesOrReplacesAnything',
    ['src/Deployer.sol', 'keccak256(abi.encode(msg.sender, salt))', 'keccak256(abi.encode(address(0), salt))'],
    ['src/Deployer.sol', 'keccak256(abi.encode(sender, salt))', 'keccak256(abi.encode(address(0), salt))'],
  ),
  attack(36, 'no way out in an emergency', 'Burn', 'test_C36_pauseStopsDepositsOnly', [
    CHANNELS,
    'refund = _sweep(rootId, descriptor.signer, channels);',
    'if (block.timestamp < _terms.pausedUntil) revert DepositsPausedUntil(_terms.pausedUntil);\n        refund = _sweep(rootId, descriptor.signer, channels);',
  ]),
  attack(37, 'hand-written cryptography', 'Signatures', 'testFuzz_C37_signerIsWhatOpenZeppelinRecovers', [
    VOUCHERS,
    'signer := mload(0)',
    'signer := mload(0) if iszero(signer) { signer := shr(96, calldataload(add(start, 48))) }',
  ]),
]
