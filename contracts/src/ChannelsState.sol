// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {
    Channel,
    ChannelId,
    ChannelKey,
    Descriptor,
    FeeOrder,
    IChannels,
    Root,
    RootId
} from "../interfaces/IChannels.sol";
import {Ids} from "./libraries/Ids.sol";
import {Orders} from "./libraries/Orders.sol";
import {SumTree} from "./libraries/SumTree.sol";
import {Vouchers} from "./libraries/Vouchers.sol";

/// @title What Channels stores, and everything that only reads it
/// @notice Nothing in this file changes state or moves money; that is all in {Channels}.
abstract contract ChannelsState is IChannels, EIP712 {
    /// @inheritdoc IChannels
    uint8 public constant MAX_DEPTH = SumTree.MAX_DEPTH;

    /// @inheritdoc IChannels
    /// @dev Roots live two to four weeks. The bound is there for the slip: an expiry in milliseconds would lock the
    ///      deposit for fifty thousand years.
    uint64 public constant MAX_LIFETIME = 366 days;

    /// @dev Bound on the constructor argument, for the same slip.
    uint64 private constant MAX_GRACE = 30 days;

    /// @dev Longest that deposits stay paused by one {sync}.
    uint256 internal constant MAX_PAUSE = 7 days;

    IERC20 internal immutable TOKEN;
    uint64 internal immutable GRACE;
    address internal immutable PARAMETERS;
    address internal immutable COLLECTOR;

    /// @dev The copy of what is governed: one slot, read by every claim and every open.
    struct Terms {
        uint16 burnShare;
        uint64 pausedUntil;
    }

    /// @dev One slot for each payee. `total` never falls to 0 again, so a claim after a collection makes no new slot.
    struct Burn {
        uint128 waiting;
        uint128 total;
    }

    /// @dev Written by {Channels} only.
    mapping(RootId => Root) internal _roots;
    /// @dev Written by {Channels} only. A slot exists from the activation of a leaf to its sweep.
    mapping(ChannelKey => Channel) internal _channels;
    /// @dev Written by {Channels} only.
    mapping(address payee => Burn) internal _burns;
    /// @dev Written by {Channels} only.
    Terms internal _terms;

    /// @param token_ The one token held. It must be an ordinary ERC-20; permit is optional.
    /// @param grace_ Seconds between expiry and the first close. In production at least two days: a payee whose claim
    ///        is censored must be able to force it in, which takes up to 24 hours on Arbitrum and 12 on OP-stack chains.
    /// @param parameters_ Where burn share and pause come from; 0 for an instance that burns nothing.
    /// @param collector_ The usage mint. It may not exist yet: its address is predicted.
    constructor(address token_, uint64 grace_, address parameters_, address collector_) EIP712("Byway Channels", "1") {
        // Without code a call "succeeds", and the try in openWithPermit would revert outside its catch.
        if (token_.code.length == 0) revert TokenWithoutCode(token_);
        if (grace_ > MAX_GRACE) revert GraceTooLong(grace_, MAX_GRACE);
        TOKEN = IERC20(token_);
        GRACE = grace_;
        PARAMETERS = parameters_;
        COLLECTOR = collector_;
    }

    // ----------------------------------------------------------------------------------------------------- state

    /// @inheritdoc IChannels
    function rootOf(RootId rootId) external view returns (Root memory) {
        return _roots[rootId];
    }

    /// @inheritdoc IChannels
    function rootsOf(RootId[] calldata rootIds) external view returns (Root[] memory roots) {
        roots = new Root[](rootIds.length);
        for (uint256 i = 0; i < rootIds.length; ++i) {
            roots[i] = _roots[rootIds[i]];
        }
    }

    /// @inheritdoc IChannels
    function channelOf(RootId rootId, uint32 index, address payee, address signer)
        external
        view
        returns (Channel memory)
    {
        return _channels[Ids.channelKey(rootId, index, payee, signer)];
    }

    /// @inheritdoc IChannels
    function channelsOf(ChannelId[] calldata ids) external view returns (Channel[] memory channels) {
        channels = new Channel[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            channels[i] = _channels[Ids.channelKey(ids[i].rootId, ids[i].index, ids[i].payee, ids[i].signer)];
        }
    }

    /// @inheritdoc IChannels
    function token() external view returns (address) {
        return address(TOKEN);
    }

    /// @inheritdoc IChannels
    function grace() external view returns (uint64) {
        return GRACE;
    }

    /// @inheritdoc IChannels
    function burnOf(address payee) external view returns (uint256 waiting, uint256 total) {
        return (_burns[payee].waiting, _burns[payee].total);
    }

    /// @inheritdoc IChannels
    function terms() external view returns (uint16 burnShare, uint64 pausedUntil) {
        return (_terms.burnShare, _terms.pausedUntil);
    }

    /// @inheritdoc IChannels
    function parameters() external view returns (address) {
        return PARAMETERS;
    }

    /// @inheritdoc IChannels
    function collector() external view returns (address) {
        return COLLECTOR;
    }

    // ---------------------------------------------------------------------------------------------- hash helpers

    /// @inheritdoc IChannels
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IChannels
    function rootIdOf(Descriptor calldata descriptor) external pure returns (RootId) {
        return Ids.rootId(descriptor);
    }

    /// @inheritdoc IChannels
    function channelKeyOf(RootId rootId, uint32 index, address payee, address signer)
        external
        pure
        returns (ChannelKey)
    {
        return Ids.channelKey(rootId, index, payee, signer);
    }

    /// @inheritdoc IChannels
    function leafHash(address payee, uint96 cap, bytes32 salt) external pure returns (bytes32) {
        return SumTree.leafHash(payee, cap, salt);
    }

    /// @inheritdoc IChannels
    function voucherDigest(RootId rootId, uint32 index, address payee, uint96 cumulative)
        external
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Vouchers.structHash(rootId, index, payee, cumulative));
    }

    /// @inheritdoc IChannels
    function feeOrderDigest(address payee, bytes32 claimsHash, FeeOrder calldata order)
        external
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Orders.structHash(payee, claimsHash, order));
    }

    /// @inheritdoc IChannels
    function openOrderDigest(Descriptor calldata descriptor, uint64 deadline) external view returns (bytes32) {
        return _hashTypedDataV4(Orders.structHash(descriptor, deadline));
    }
}
