// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {
    Activation,
    Channel,
    ChannelKey,
    ChannelRef,
    Descriptor,
    FeeOrder,
    IChannels,
    Permit,
    Root,
    RootId,
    RootState
} from "../interfaces/IChannels.sol";
import {IParameters} from "../interfaces/IParameters.sol";
import {ChannelsState} from "./ChannelsState.sol";
import {ParameterTable} from "./governance/ParameterTable.sol";
import {Ids} from "./libraries/Ids.sol";
import {Orders} from "./libraries/Orders.sol";
import {Settlement} from "./libraries/Settlement.sol";
import {SumTree} from "./libraries/SumTree.sol";
import {Vouchers} from "./libraries/Vouchers.sol";

/// @title Fan-out payment channels
/// @notice Start reading at {IChannels}; the tree is in {SumTree}, the packed format in {Vouchers}, names in {Ids}.
///
///     deposit --open--> root.remaining --activate--> channel.cap --voucher--> channel.paid --+--> out to the payee
///                             |                           |                                  +--> waiting to be burnt
///                             +---- close (expiry + grace, unspent) ----> back to the payer
///
/// @dev Solvency: token balance >= sum over roots of `remaining` + sum over channels of (`cap` - `paid`) + what waits to
///      be burnt. Each arrow above keeps it, and `Invariants.t.sol` walks them at random. Even if the sum tree were broken, `remaining`
///      could not fall below 0, so one payer's trick could never reach another payer's deposit.
contract Channels is ChannelsState, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev See {ChannelsState} for the arguments.
    constructor(address token_, uint64 grace_, address parameters_, address collector_)
        ChannelsState(token_, grace_, parameters_, collector_)
    {
        if (parameters_ != address(0)) _sync();
    }

    // --------------------------------------------------------------------------------------------------- opening

    /// @inheritdoc IChannels
    function open(Descriptor calldata descriptor) external nonReentrant returns (RootId rootId) {
        if (msg.sender != descriptor.payer) revert NotPayer(msg.sender, descriptor.payer);
        rootId = _open(descriptor);
    }

    /// @inheritdoc IChannels
    function openWithPermit(
        Descriptor calldata descriptor,
        Permit calldata permit,
        uint64 deadline,
        bytes32 r,
        bytes32 vs
    ) external nonReentrant returns (RootId rootId) {
        if (block.timestamp > deadline) revert OrderExpired(deadline);
        Orders.requireSigned(_hashTypedDataV4(Orders.structHash(descriptor, deadline)), r, vs, descriptor.payer);
        // A failure is no reason to stop: the permit may have been front-run, or the token may have none. What counts
        // is the allowance, and the transfer checks that.
        try IERC20Permit(address(TOKEN))
            .permit(descriptor.payer, address(this), permit.value, permit.deadline, permit.v, permit.r, permit.s) {}
            catch {}
        rootId = _open(descriptor);
    }

    // -------------------------------------------------------------------------------------------------- claiming

    /// @inheritdoc IChannels
    function claim(address payee, Activation[] calldata activations, bytes calldata vouchers)
        external
        nonReentrant
        returns (uint256 amount)
    {
        _activate(payee, activations);
        amount = _apply(payee, vouchers);
        _payOut(payee, amount, 0);
    }

    /// @inheritdoc IChannels
    function claimFor(
        address payee,
        Activation[] calldata activations,
        bytes calldata vouchers,
        FeeOrder calldata order,
        bytes32 r,
        bytes32 vs
    ) external nonReentrant returns (uint256 amount) {
        if (block.timestamp > order.deadline) revert OrderExpired(order.deadline);
        if (order.submitter != address(0) && order.submitter != msg.sender) {
            revert NotSubmitter(msg.sender, order.submitter);
        }
        Orders.requireSigned(_hashTypedDataV4(Orders.structHash(payee, keccak256(vouchers), order)), r, vs, payee);
        _activate(payee, activations);
        amount = _apply(payee, vouchers);
        _payOut(payee, amount, order.fee);
    }

    // --------------------------------------------------------------------------------------------------- closing

    /// @inheritdoc IChannels
    function close(Descriptor calldata descriptor, ChannelRef[] calldata channels)
        external
        nonReentrant
        returns (uint256 refund)
    {
        uint256 closableAt = uint256(descriptor.expiry) + GRACE;
        if (block.timestamp < closableAt) revert CloseTooEarly(closableAt);
        RootId rootId = Ids.rootId(descriptor);
        Root memory root = _roots[rootId];
        if (root.state == RootState.None) revert RootNotOpen(rootId);

        refund = _sweep(rootId, descriptor.signer, channels);
        if (root.state == RootState.Open) {
            refund += root.remaining;
            _roots[rootId] = Root({remaining: 0, state: RootState.Closed});
            emit RootClosed(rootId, descriptor.payer, refund);
        } else if (refund != 0) {
            emit ChannelsSwept(rootId, descriptor.payer, refund);
        }
        if (refund != 0) TOKEN.safeTransfer(descriptor.payer, refund);
    }

    // --------------------------------------------------------------------------------------------------- burning

    /// @inheritdoc IChannels
    function sync() external {
        if (PARAMETERS == address(0)) return;
        _sync();
    }

    /// @inheritdoc IChannels
    function collectBurn(address[] calldata payees, address to)
        external
        nonReentrant
        returns (uint256[] memory amounts, uint256 sum)
    {
        if (msg.sender != COLLECTOR) revert NotCollector(msg.sender);
        amounts = new uint256[](payees.length);
        for (uint256 i = 0; i < payees.length; ++i) {
            amounts[i] = _burns[payees[i]].waiting;
            _burns[payees[i]].waiting = 0;
            sum += amounts[i];
        }
        if (sum == 0) return (amounts, 0);
        emit BurnCollected(to, sum);
        TOKEN.safeTransfer(to, sum);
    }

    // --------------------------------------------------------------------------------------------------- private

    /// @dev Held within bounds here too, so that no parameter, however wrong, takes more than the claim or stops
    ///      deposits for longer than one pause.
    function _sync() private {
        uint256 share = IParameters(PARAMETERS).get(ParameterTable.BURN_SHARE);
        uint256 until = IParameters(PARAMETERS).pausedUntil();
        if (share > Settlement.WHOLE) share = Settlement.WHOLE;
        if (until > block.timestamp + MAX_PAUSE) until = block.timestamp + MAX_PAUSE;
        // forge-lint: disable-next-line(unsafe-typecast) -- bounded in the two lines above
        _terms = Terms({burnShare: uint16(share), pausedUntil: uint64(until)});
        emit TermsSynced(_terms.burnShare, _terms.pausedUntil);
    }

    /// @dev Checks, effects, then the one transfer; the caller has established that the payer wants this.
    function _open(Descriptor calldata descriptor) private returns (RootId rootId) {
        rootId = Ids.rootId(descriptor);
        if (_roots[rootId].state != RootState.None) revert RootNotNew(rootId);
        if (block.timestamp < _terms.pausedUntil) revert DepositsPausedUntil(_terms.pausedUntil);
        if (descriptor.signer == address(0)) revert ZeroSigner();
        if (descriptor.sum == 0) revert ZeroSum();
        if (descriptor.depth > MAX_DEPTH) revert DepthTooLarge(descriptor.depth, MAX_DEPTH);
        uint256 latest = block.timestamp + MAX_LIFETIME;
        if (descriptor.expiry <= block.timestamp || descriptor.expiry > latest) {
            revert ExpiryOutOfBounds(descriptor.expiry, latest);
        }

        _roots[rootId] = Root({remaining: descriptor.sum, state: RootState.Open});
        emit RootOpened(
            rootId,
            descriptor.payer,
            descriptor.signer,
            descriptor.root,
            descriptor.sum,
            descriptor.expiry,
            descriptor.depth,
            descriptor.nonce
        );

        // Credit what arrived, not what was asked for: a token that takes a fee on transfer is refused here.
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(descriptor.payer, address(this), descriptor.sum);
        uint256 received = TOKEN.balanceOf(address(this)) - before;
        if (received != descriptor.sum) revert DepositMismatch(descriptor.sum, received);
    }

    /// @dev Creates the channel of each leaf proved. Not stopped by expiry: claims are good until the close.
    function _activate(address payee, Activation[] calldata activations) private {
        for (uint256 i = 0; i < activations.length; ++i) {
            Activation calldata activation = activations[i];
            RootId rootId = Ids.rootId(activation.descriptor);
            ChannelKey key = Ids.channelKey(rootId, activation.index, payee, activation.descriptor.signer);
            // Somebody was faster. Reverting would let him spoil the whole batch.
            if (_channels[key].cap != 0) continue;

            Root memory root = _roots[rootId];
            if (root.state != RootState.Open) revert RootNotOpen(rootId);
            // A cap of 0 would make a slot that looks inactive.
            if (activation.cap == 0) revert ZeroCap(i);
            _checkProof(payee, i, activation);

            // Never below 0, by the sum tree; and if the tree were broken, the checked subtraction stops here.
            _roots[rootId] = Root({remaining: root.remaining - activation.cap, state: RootState.Open});
            _channels[key] = Channel({cap: activation.cap, paid: 0});
            emit ChannelActivated(rootId, activation.index, payee, activation.cap);
        }
    }

    /// @dev Raises `paid` of each voucher's channel. Returns the sum of the raises.
    function _apply(address payee, bytes calldata vouchers) private returns (uint256 amount) {
        uint256 count = Vouchers.count(vouchers);
        bytes32 domain = _domainSeparatorV4();
        for (uint256 i = 0; i < count; ++i) {
            uint256 raise = _applyOne(domain, payee, vouchers, i);
            // Cannot overflow: a raise is below 2^96, and calldata cannot hold 2^160 vouchers.
            unchecked {
                amount += raise;
            }
        }
    }

    /// @dev Raises `paid` of the channel of voucher number `i`. Returns by how much, which is below 2^96.
    ///      Amounts are kept in words, because the compiler would mask a narrower type at every use.
    function _applyOne(bytes32 domain, address payee, bytes calldata vouchers, uint256 i) private returns (uint256) {
        (RootId rootId, uint32 index, uint256 cumulative) = Vouchers.terms(vouchers, i);
        address signer = Vouchers.signerOf(vouchers, i, domain, payee);

        // The slot as one word, `paid` above `cap`: by its fields the compiler would read it three times.
        Channel storage channel = _channels[Ids.channelKey(rootId, index, payee, signer)];
        uint256 word;
        assembly ("memory-safe") {
            word := sload(channel.slot)
        }
        (uint256 cap, uint256 paid) = (word & type(uint96).max, word >> 96);
        if (cap == 0) revert ChannelUnknown(i, signer);
        if (cumulative > cap) revert CumulativeAboveCap(i, cumulative, cap);
        uint256 raise = Settlement.newlyPaid(paid, cumulative);
        // Replayed or overtaken: owes nothing, and must not spoil the rest of the batch.
        if (raise == 0) return 0;

        // At most `cap`, so below 2^96.
        word = cap | (cumulative << 96);
        assembly ("memory-safe") {
            sstore(channel.slot, word)
        }
        return raise;
    }

    /// @dev One transfer for the whole batch. The burn share stays here, in a slot of the payee's: another transfer would
    ///      cost more than it is worth. Rounded down: claiming in crumbs to avoid it costs a thousand times what it saves.
    function _payOut(address payee, uint256 amount, uint96 fee) private {
        (uint256 burnt, uint256 left) = Settlement.split(amount, _terms.burnShare);
        if (fee > left) revert FeeAboveAmount(fee, left);
        if (amount == 0) return;
        emit Claimed(payee, msg.sender, amount, fee, burnt);
        if (burnt != 0) {
            Burn storage burn = _burns[payee];
            // Both halves, `waiting` and `total`, in one word. Neither overflows: no token has 2^128 units.
            assembly ("memory-safe") {
                sstore(burn.slot, add(sload(burn.slot), mul(burnt, 0x100000000000000000000000000000001)))
            }
        }
        if (left > fee) TOKEN.safeTransfer(payee, left - fee);
        if (fee != 0) TOKEN.safeTransfer(msg.sender, fee);
    }

    /// @dev Deletes the listed channels of one root; returns what they had not spent.
    function _sweep(RootId rootId, address signer, ChannelRef[] calldata channels) private returns (uint256 unspent) {
        for (uint256 i = 0; i < channels.length; ++i) {
            ChannelKey key = Ids.channelKey(rootId, channels[i].index, channels[i].payee, signer);
            Channel memory channel = _channels[key];
            unspent += channel.cap - channel.paid;
            delete _channels[key];
        }
    }

    /// @dev Reverts unless the leaf is in the tree, at its index, and the sums on its path add up to the deposit.
    function _checkProof(address payee, uint256 i, Activation calldata activation) private pure {
        Descriptor calldata descriptor = activation.descriptor;
        uint8 depth = descriptor.depth;
        // Without this the same leaf would prove again at index + 2^depth, as a second channel.
        if (uint256(activation.index) >> depth != 0) revert IndexOutOfTree(i, activation.index, depth);
        if (activation.siblingHashes.length != depth || activation.siblingSums.length != depth) {
            revert ProofLengthWrong(i, activation.siblingHashes.length, activation.siblingSums.length, depth);
        }
        (bytes32 hash, uint256 sum) = SumTree.climb(
            SumTree.leafHash(payee, activation.cap, activation.salt),
            activation.cap,
            activation.index,
            activation.siblingHashes,
            activation.siblingSums
        );
        if (hash != descriptor.root || sum != descriptor.sum) revert ProofInvalid(i);
    }
}
