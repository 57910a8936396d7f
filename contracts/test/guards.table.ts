/**
 * Every guard of the contracts, how to take it out, and the test that must notice. Run by guards.ts.
 *
 * `edits` are [file, text, replacement]; the text must occur exactly once in the file. `test` is a test function; all contracts of
 * `suite` that have it are run, and one of them must fail. An empty replacement is the plainest mutant: the check is simply gone.
 * Longer than 400 lines because it is a table: nothing depends on the order, and each entry stands for itself.
 */

import { MONEY_GUARDS } from './guards.money.ts'
import { STAKE_GUARDS } from './guards.stake.ts'

export interface Guard {
  name: string
  edits: readonly (readonly [file: string, from: string, to: string])[]
  suite: string
  test: string
}

const CHANNELS = 'src/Channels.sol'
const STATE = 'src/ChannelsState.sol'
const IDS = 'src/libraries/Ids.sol'
const ORDERS = 'src/libraries/Orders.sol'
const SETTLEMENT = 'src/libraries/Settlement.sol'
const TREE = 'src/libraries/SumTree.sol'
const VOUCHERS = 'src/libraries/Vouchers.sol'

function guard(name: string, file: string, from: string, to: string, suite: string, test: string): Guard {
  return { name, edits: [[file, from, to]], suite: `test/${suite}.t.sol`, test }
}

/** A function without its reentrancy guard. The header is unique by what follows the modifier or stands before it. */
const unguarded = (entry: string, header: string): Guard =>
  guard(
    `${entry}: not reentrant`,
    CHANNELS,
    header,
    header.replace(/\s*nonReentrant/, ''),
    'Reentrancy',
    `test_C17_${entry}_isNotReentrant`,
  )

const opening: Guard[] = [
  guard(
    'open: by the payer only',
    CHANNELS,
    'if (msg.sender != descriptor.payer) revert NotPayer(msg.sender, descriptor.payer);',
    '',
    'Open',
    'test_open_revertsIfCallerIsNotThePayer',
  ),
  guard(
    'openWithPermit: signed by the payer',
    CHANNELS,
    'Orders.requireSigned(_hashTypedDataV4(Orders.structHash(descriptor, deadline)), r, vs, descriptor.payer);',
    '',
    'Open',
    'test_openWithPermit_revertsIfThePayerDidNotSignTheDescriptor',
  ),
  guard(
    'openWithPermit: within the deadline',
    CHANNELS,
    'if (block.timestamp > deadline) revert OrderExpired(deadline);',
    '',
    'Open',
    'test_openWithPermit_revertsAfterTheDeadline',
  ),
  guard(
    'openWithPermit: a failed permit is passed over',
    CHANNELS,
    'catch {}',
    'catch { revert OrderExpired(deadline); }',
    'Open',
    'test_openWithPermit_worksIfThePermitWasFrontRun',
  ),
  guard(
    'open: not while open',
    CHANNELS,
    'if (_roots[rootId].state != RootState.None) revert RootNotNew(rootId);',
    '',
    'Open',
    'test_open_revertsIfRootIsOpen',
  ),
  guard(
    'close: leaves a tombstone',
    CHANNELS,
    'Root({remaining: 0, state: RootState.Closed})',
    'Root({remaining: 0, state: RootState.None})',
    'Open',
    'test_open_revertsIfRootWasClosed',
  ),
  guard(
    'open: signer not 0',
    CHANNELS,
    'if (descriptor.signer == address(0)) revert ZeroSigner();',
    '',
    'Open',
    'test_open_revertsIfSignerIsZero',
  ),
  guard('open: sum not 0', CHANNELS, 'if (descriptor.sum == 0) revert ZeroSum();', '', 'Open', 'test_open_revertsIfSumIsZero'),
  guard(
    'open: depth at most 32',
    CHANNELS,
    'if (descriptor.depth > MAX_DEPTH) revert DepthTooLarge(descriptor.depth, MAX_DEPTH);',
    '',
    'Open',
    'test_open_revertsIfTreeIsTooDeep',
  ),
  guard(
    'open: expiry after now',
    CHANNELS,
    'descriptor.expiry <= block.timestamp || ',
    '',
    'Open',
    'test_open_revertsIfExpiryIsNotAfterNow',
  ),
  guard('open: expiry not too far', CHANNELS, ' || descriptor.expiry > latest', '', 'Open', 'test_open_revertsIfExpiryIsTooFar'),
  guard(
    'open: credits what arrived',
    CHANNELS,
    'if (received != descriptor.sum) revert DepositMismatch(descriptor.sum, received);',
    '',
    'OddTokens',
    'test_C18_open_revertsIfTheTokenTakesAFee',
  ),
  guard(
    'open: believes no token that says false',
    CHANNELS,
    'TOKEN.safeTransferFrom(',
    'TOKEN.transferFrom(',
    'OddTokens',
    'test_C18_open_revertsIfTheTokenReturnsFalse',
  ),
  guard(
    'constructor: token has code',
    STATE,
    'if (token_.code.length == 0) revert TokenWithoutCode(token_);',
    '',
    'Views',
    'test_constructor_revertsIfTheTokenHasNoCode',
  ),
  guard(
    'constructor: grace not absurd',
    STATE,
    'if (grace_ > MAX_GRACE) revert GraceTooLong(grace_, MAX_GRACE);',
    '',
    'Views',
    'test_constructor_revertsIfTheGraceIsTooLong',
  ),
]

const proving: Guard[] = [
  guard(
    'activate: root is open',
    CHANNELS,
    'if (root.state != RootState.Open) revert RootNotOpen(rootId);',
    '',
    'Proofs',
    'test_activate_revertsIfRootIsNotOpen',
  ),
  guard(
    'activate: an active channel is left alone',
    CHANNELS,
    'if (_channels[key].cap != 0) continue;',
    '',
    'Proofs',
    'test_activate_twiceIsSkipped',
  ),
  guard(
    'activate: and does not spoil the batch',
    CHANNELS,
    'if (_channels[key].cap != 0) continue;',
    'if (_channels[key].cap != 0) revert ZeroCap(i);',
    'Claim',
    'test_claim_survivesAFrontRunOfOneVoucher',
  ),
  guard('activate: cap not 0', CHANNELS, 'if (activation.cap == 0) revert ZeroCap(i);', '', 'Proofs', 'test_activate_revertsIfCapIsZero'),
  guard(
    'activate: proof is checked',
    CHANNELS,
    '_checkProof(payee, i, activation);',
    '',
    'Proofs',
    'test_activate_revertsIfAnythingProvedIsDifferent',
  ),
  guard(
    'activate: cap leaves the remainder',
    CHANNELS,
    'root.remaining - activation.cap',
    'root.remaining',
    'Claim',
    'test_claim_firstClaimProvesActivatesAndPays',
  ),
  guard(
    'proof: index fits the tree',
    CHANNELS,
    'if (uint256(activation.index) >> depth != 0) revert IndexOutOfTree(i, activation.index, depth);',
    '',
    'Proofs',
    'test_activate_revertsIfIndexIsAliased',
  ),
  guard(
    'proof: as many hashes as levels',
    CHANNELS,
    'activation.siblingHashes.length != depth || ',
    '',
    'Proofs',
    'test_activate_revertsIfProofIsTooShortOrTooLong',
  ),
  guard(
    'proof: as many sums as levels',
    CHANNELS,
    ' || activation.siblingSums.length != depth',
    '',
    'Proofs',
    'test_activate_revertsIfProofIsTooShortOrTooLong',
  ),
  guard(
    'proof: no node as a leaf',
    CHANNELS,
    'activation.siblingHashes.length != depth || activation.siblingSums.length != depth',
    'activation.siblingHashes.length != activation.siblingSums.length',
    'Proofs',
    'test_activate_revertsIfANodeIsOfferedAsALeaf',
  ),
  guard(
    'proof: hash compared at the root',
    CHANNELS,
    'hash != descriptor.root || ',
    'hash == 0 || ',
    'Proofs',
    'test_activate_revertsIfAnythingProvedIsDifferent',
  ),
  guard(
    'proof: sum compared at the root (understated)',
    CHANNELS,
    ' || sum != descriptor.sum',
    ' || sum == 0',
    'Proofs',
    'test_activate_revertsIfTheSumIsUnderstated',
  ),
  guard(
    'proof: sum compared at the root (overstated)',
    CHANNELS,
    ' || sum != descriptor.sum',
    ' || sum > descriptor.sum',
    'Proofs',
    'test_activate_revertsIfTheSumIsOverstated',
  ),
  guard(
    'tree: sums do not wrap',
    TREE,
    'sum += siblingSum;',
    'sum = uint96(sum + siblingSum);',
    'Proofs',
    'test_activate_revertsIfTheSumWraps',
  ),
  guard(
    'tree: nodes hash both sums, not their sum',
    TREE,
    'return keccak256(abi.encodePacked(leftHash, leftSum, rightHash, rightSum));',
    'return keccak256(abi.encodePacked(leftHash, rightHash, uint256(leftSum) + rightSum, uint192(0)));',
    'SumTree',
    'test_climb_theSameLieDoesNotWorkHere',
  ),
  guard(
    'tree: the path follows the index',
    TREE,
    '(index >> level) & 1 == 0',
    'level < 32',
    'SumTree',
    'testFuzz_climb_everyLeafReachesTheRoot',
  ),
  guard(
    'tree: leaves are salted',
    TREE,
    'abi.encodePacked(payee, cap, salt)',
    'abi.encodePacked(payee, cap, salt ^ salt)',
    'Vectors',
    'test_vectors_treesAndNames',
  ),
]

const claiming: Guard[] = [
  guard(
    'vouchers: whole ones only',
    VOUCHERS,
    'if (packed.length % SIZE != 0) revert IChannels.VouchersMisaligned(packed.length);',
    '',
    'Claim',
    'test_claim_revertsIfVouchersAreMisaligned',
  ),
  guard(
    'vouchers: signature not malformed',
    VOUCHERS,
    'if (signer == address(0)) revert IChannels.SignatureInvalid(i);',
    '',
    'Signatures',
    'test_claim_revertsIfTheSignatureRecoversToZero',
  ),
  {
    name: 'vouchers: low s only',
    edits: [[VOUCHERS, 'if iszero(gt(s, HALF_ORDER)) {', 'if 1 {']],
    suite: 'test/Signatures.t.sol',
    test: 'test_C5_claim_revertsIfSIsHigh',
  },
  {
    name: 'vouchers: domain follows the chain id',
    edits: [
      [CHANNELS, 'bytes32 domain = _domainSeparatorV4();', 'bytes32 domain = DOMAIN;'],
      [STATE, 'uint64 internal immutable GRACE;', 'uint64 internal immutable GRACE; bytes32 internal immutable DOMAIN;'],
      [STATE, 'GRACE = grace_;', 'GRACE = grace_; DOMAIN = _domainSeparatorV4();'],
    ],
    suite: 'test/Signatures.t.sol',
    test: 'test_claim_revertsAfterTheChainIdChanged',
  },
  {
    // All contracts of one deployer share the domain of its second one, which is the first Channels of every test.
    name: 'vouchers: domain names the contract',
    edits: [
      [CHANNELS, 'bytes32 domain = _domainSeparatorV4();', 'bytes32 domain = DOMAIN;'],
      [STATE, 'uint64 internal immutable GRACE;', 'uint64 internal immutable GRACE; bytes32 internal immutable DOMAIN;'],
      [
        STATE,
        'GRACE = grace_;',
        'GRACE = grace_; DOMAIN = keccak256(abi.encode(keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"), keccak256("Byway Channels"), keccak256("1"), block.chainid, address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", msg.sender, uint8(2))))))));',
      ],
    ],
    suite: 'test/Signatures.t.sol',
    test: 'test_claim_revertsOnAnotherInstance',
  },
  guard(
    'claim: channel is active',
    CHANNELS,
    'if (cap == 0) revert ChannelUnknown(i, signer);',
    '',
    'Claim',
    'test_claim_revertsIfChannelIsNotActive',
  ),
  guard(
    'claim: never above the cap',
    CHANNELS,
    'if (cumulative > cap) revert CumulativeAboveCap(i, cumulative, cap);',
    '',
    'Claim',
    'test_claim_revertsIfCumulativeIsAboveCap',
  ),
  guard(
    'claim: replays pay nothing',
    SETTLEMENT,
    'cumulative > paid ? cumulative - paid : 0;',
    'cumulative > paid ? cumulative - paid : cumulative == paid ? cumulative : 0;',
    'Claim',
    'test_claim_replayedOrOlderVoucherPaysNothing',
  ),
  guard(
    'claim: older vouchers pay nothing',
    SETTLEMENT,
    'cumulative > paid ? cumulative - paid : 0;',
    'cumulative - paid;',
    'Claim',
    'test_claim_replayedOrOlderVoucherPaysNothing',
  ),
  guard(
    'claim: what is paid is remembered',
    CHANNELS,
    'sstore(channel.slot, word)',
    '',
    'Claim',
    'test_claim_ofOneChannelTwiceInABatchPaysTheMaximum',
  ),
  guard('claim: nothing due, nothing sent', CHANNELS, 'if (amount == 0) return;', '', 'Claim', 'test_claim_ofNothingIsQuiet'),
  guard(
    'claim: the payee is paid, not the caller',
    CHANNELS,
    'TOKEN.safeTransfer(payee, left - fee)',
    'TOKEN.safeTransfer(msg.sender, left - fee)',
    'Claim',
    'test_claim_firstClaimProvesActivatesAndPays',
  ),
  guard(
    'claim: believes no token that says false',
    CHANNELS,
    'TOKEN.safeTransfer(payee, left - fee)',
    'TOKEN.transfer(payee, left - fee)',
    'OddTokens',
    'test_C18_claim_andClose_revertIfTheTokenReturnsFalse',
  ),
  guard(
    'key: names the root',
    IDS,
    'RootId.unwrap(root), place',
    'bytes32(0), place',
    'Close',
    'test_close_cannotReachAChannelOfAnotherRoot',
  ),
  guard(
    'key: names the leaf',
    IDS,
    '(uint256(index) << 160) | ',
    '(uint256(index) * 0) | ',
    'Claim',
    'test_claim_voucherOfOneLeafIsNoGoodForItsTwin',
  ),
  guard('key: names the payee', IDS, ' | uint160(payee)', '', 'Close', 'test_close_listingAnotherPayeeReturnsNothingForIt'),
  guard('key: names the signer', IDS, 'bytes32(uint256(uint160(signer)))', 'bytes32(0)', 'Claim', 'test_claim_revertsIfSignedByAnother'),
]

const orders: Guard[] = [
  guard(
    'claimFor: within the deadline',
    CHANNELS,
    'if (block.timestamp > order.deadline) revert OrderExpired(order.deadline);',
    '',
    'ClaimFor',
    'test_claimFor_revertsAfterTheDeadline',
  ),
  guard(
    'claimFor: by the named submitter',
    CHANNELS,
    'order.submitter != address(0) && order.submitter != msg.sender',
    'order.submitter == address(this)',
    'ClaimFor',
    'test_claimFor_revertsIfReservedToAnother',
  ),
  guard(
    'claimFor: signed by the payee',
    CHANNELS,
    'Orders.requireSigned(_hashTypedDataV4(Orders.structHash(payee, keccak256(vouchers), order)), r, vs, payee);',
    '',
    'ClaimFor',
    'test_claimFor_revertsIfThePayeeDidNotSign',
  ),
  guard(
    'claimFor: fee at most what is newly paid (replay)',
    CHANNELS,
    'if (fee > left) revert FeeAboveAmount(fee, left);',
    '',
    'ClaimFor',
    'test_claimFor_revertsIfTheFeeIsMoreThanIsNewlyPaid',
  ),
  guard(
    'claimFor: the fee comes out of the claim',
    CHANNELS,
    'payee, left - fee',
    'payee, amount',
    'ClaimFor',
    'test_claimFor_paysTheSubmitterOutOfTheClaim',
  ),
  guard(
    'orders: signer is the one bound',
    ORDERS,
    ' || recovered != expected',
    ' || recovered == address(0)',
    'ClaimFor',
    'test_claimFor_revertsIfAnythingSignedIsDifferent',
  ),
  guard(
    'orders: recovery to 0 is no signature of 0',
    ORDERS,
    'failure != ECDSA.RecoverError.NoError || ',
    'failure > ECDSA.RecoverError.InvalidSignatureS || ',
    'Open',
    'test_openWithPermit_revertsIfPayerIsZero',
  ),
  guard(
    'orders: types differ',
    ORDERS,
    'keccak256(abi.encode(FEE_TYPEHASH, payee, claimsHash, order.submitter, order.fee, order.deadline))',
    'keccak256(abi.encode(OPEN_TYPEHASH, payee, claimsHash, order.submitter, order.fee, order.deadline))',
    'Vectors',
    'test_vectors_orders',
  ),
]

const closing: Guard[] = [
  guard(
    'close: not before expiry + grace',
    CHANNELS,
    'if (block.timestamp < closableAt) revert CloseTooEarly(closableAt);',
    '',
    'Close',
    'test_close_revertsBeforeExpiryPlusGrace',
  ),
  guard(
    'close: grace counts',
    CHANNELS,
    'uint256(descriptor.expiry) + GRACE',
    'uint256(descriptor.expiry)',
    'Close',
    'test_close_revertsBeforeExpiryPlusGrace',
  ),
  guard(
    'close: only what was opened',
    CHANNELS,
    'if (root.state == RootState.None) revert RootNotOpen(rootId);',
    '',
    'Close',
    'test_close_revertsIfNeverOpened',
  ),
  guard('close: a swept channel is gone', CHANNELS, 'delete _channels[key];', '', 'Close', 'test_close_listingAChannelTwicePaysOnce'),
  guard(
    'close: the remainder is paid once',
    CHANNELS,
    'Root({remaining: 0, state: RootState.Closed})',
    'Root({remaining: root.remaining, state: RootState.Open})',
    'Close',
    'test_close_twicePaysOnce',
  ),
  guard(
    'close: what was paid stays paid',
    CHANNELS,
    'channel.cap - channel.paid',
    'channel.cap',
    'Close',
    'test_close_returnsRemainderAndUnspentToThePayer',
  ),
  guard(
    'close: the payer is refunded, not the caller',
    CHANNELS,
    'TOKEN.safeTransfer(descriptor.payer, refund)',
    'TOKEN.safeTransfer(msg.sender, refund)',
    'Close',
    'test_close_returnsRemainderAndUnspentToThePayer',
  ),
  guard(
    'close: believes no token that says false',
    CHANNELS,
    'TOKEN.safeTransfer(descriptor.payer, refund)',
    'TOKEN.transfer(descriptor.payer, refund)',
    'OddTokens',
    'test_C18_claim_andClose_revertIfTheTokenReturnsFalse',
  ),
  guard(
    'faucet: limited',
    'src/TestDollar.sol',
    'if (amount > MINT_LIMIT) revert MintLimitExceeded(amount, MINT_LIMIT);',
    '',
    'Views',
    'test_testDollar_isSixDecimalsAndLimited',
  ),
]

const reentrancy: Guard[] = [
  unguarded('open', 'function open(Descriptor calldata descriptor) external nonReentrant'),
  unguarded('openWithPermit', 'bytes32 r,\n        bytes32 vs\n    ) external nonReentrant returns (RootId rootId)'),
  unguarded('claim', 'bytes calldata vouchers)\n        external\n        nonReentrant'),
  unguarded('claimFor', 'bytes32 r,\n        bytes32 vs\n    ) external nonReentrant returns (uint256 amount)'),
  unguarded('close', 'ChannelRef[] calldata channels)\n        external\n        nonReentrant'),
]

export const GUARDS: readonly Guard[] = [
  ...opening,
  ...proving,
  ...claiming,
  ...orders,
  ...closing,
  ...reentrancy,
  ...MONEY_GUARDS,
  ...STAKE_GUARDS,
]
