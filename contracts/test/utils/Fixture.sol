// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    Activation,
    Channel,
    ChannelRef,
    Descriptor,
    FeeOrder,
    IChannels,
    Permit,
    Root,
    RootId,
    RootState
} from "../../interfaces/IChannels.sol";
import {Channels} from "../../src/Channels.sol";
import {TestDollar} from "../../src/TestDollar.sol";
import {Test} from "./Test.sol";
import {Leaf, Tree, TreeBuilder} from "./Tree.sol";

/// @notice A payer's root with everything needed to claim from it.
struct Deal {
    Descriptor descriptor;
    RootId id;
    Leaf[] leaves;
    Tree tree;
    uint256 signerKey;
}

/// @title A payer, a payee, a stranger, and a tree of eight leaves
/// @notice The payee holds leaf {PLACE}. Digests are computed here once more, from the texts of the types, and not
///         asked from the contract.
abstract contract Fixture is Test {
    using TreeBuilder for Tree;

    uint64 internal constant GRACE = 2 days;
    uint256 internal constant START = 1_800_000_000;
    uint64 internal constant EXPIRY = uint64(START) + 28 days;
    uint32 internal constant PLACE = 5;
    uint96 internal constant CAP = 1_000_000;

    uint256 internal constant PAYER_KEY = 0xA11CE;
    uint256 internal constant PAYEE_KEY = 0xB0B;
    uint256 internal constant SIGNER_KEY = 0x5E55104;

    address internal payer = vm.addr(PAYER_KEY);
    address internal payee = vm.addr(PAYEE_KEY);
    address internal signer = vm.addr(SIGNER_KEY);
    address internal stranger = address(0x57A46E4);

    TestDollar internal dollar;
    Channels internal channels;

    function setUp() public virtual {
        vm.warp(START);
        dollar = new TestDollar();
        channels = new Channels(address(dollar), GRACE, address(0), address(0));
        _fund(payer);
    }

    // ------------------------------------------------------------------------------------------------- scenarios

    function _fund(address who) internal {
        for (uint256 i = 0; i < 10; ++i) {
            dollar.mint(who, 10_000e6);
        }
        _send(who, address(dollar), abi.encodeCall(dollar.approve, (address(channels), type(uint256).max)));
    }

    /// @notice Eight leaves of CAP; the payee at PLACE, made-up payees elsewhere.
    function _leaves() internal view returns (Leaf[] memory leaves) {
        leaves = new Leaf[](8);
        for (uint256 i = 0; i < 8; ++i) {
            address other = address(uint160(uint256(keccak256(abi.encode("payee", i)))));
            leaves[i] = Leaf({payee: i == PLACE ? payee : other, cap: CAP, salt: keccak256(abi.encode("salt", i))});
        }
    }

    /// @notice A root of `owner` over `leaves`, not opened yet.
    function _deal(address owner, Leaf[] memory leaves, uint64 nonce) internal view returns (Deal memory deal) {
        deal.leaves = leaves;
        deal.tree = TreeBuilder.build(leaves);
        deal.signerKey = SIGNER_KEY;
        deal.descriptor = Descriptor({
            payer: owner,
            signer: signer,
            root: deal.tree.root(),
            sum: deal.tree.sum(),
            expiry: EXPIRY,
            depth: deal.tree.depth,
            nonce: nonce
        });
        _rename(deal);
    }

    /// @notice Must be called after a change to the descriptor.
    function _rename(Deal memory deal) internal pure {
        Descriptor memory d = deal.descriptor;
        deal.id = RootId.wrap(keccak256(abi.encode(d.payer, d.signer, d.root, d.sum, d.expiry, d.depth, d.nonce)));
    }

    /// @notice The usual root of the usual payer, open.
    function _opened(uint64 nonce) internal returns (Deal memory deal) {
        deal = _deal(payer, _leaves(), nonce);
        _openAsPayer(deal);
    }

    function _openAsPayer(Deal memory deal) internal {
        _send(deal.descriptor.payer, address(channels), abi.encodeCall(channels.open, (deal.descriptor)));
    }

    // --------------------------------------------------------------------------------------------------- claims

    function _activation(Deal memory deal, uint32 index) internal pure returns (Activation memory activation) {
        activation.descriptor = deal.descriptor;
        activation.index = index;
        activation.cap = deal.leaves[index].cap;
        activation.salt = deal.leaves[index].salt;
        (activation.siblingHashes, activation.siblingSums) = deal.tree.proof(index);
    }

    function _one(Activation memory activation) internal pure returns (Activation[] memory list) {
        list = new Activation[](1);
        list[0] = activation;
    }

    function _none() internal pure returns (Activation[] memory) {}

    /// @notice A packed voucher for the payee of leaf `index`.
    function _voucher(Deal memory deal, uint32 index, uint96 cumulative) internal view returns (bytes memory) {
        bytes32 digest = _voucherDigest(deal.id, index, deal.leaves[index].payee, cumulative);
        return _pack(deal.id, index, cumulative, deal.signerKey, digest);
    }

    function _pack(RootId id, uint32 index, uint96 cumulative, uint256 key, bytes32 digest)
        internal
        pure
        returns (bytes memory)
    {
        (bytes32 r, bytes32 vs) = _sign(key, digest);
        return abi.encodePacked(id, index, cumulative, r, vs);
    }

    function _closeCall(Deal memory deal, ChannelRef[] memory listed) internal view returns (bytes memory) {
        return abi.encodeCall(channels.close, (deal.descriptor, listed));
    }

    function _listed(uint32 index, address who) internal pure returns (ChannelRef[] memory list) {
        list = new ChannelRef[](1);
        list[0] = ChannelRef({index: index, payee: who});
    }

    // ------------------------------------------------------------------------------------------------ signatures

    /// @notice EIP-2098: r, and s with the parity bit on top.
    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes32 r, bytes32 vs) {
        uint8 v;
        bytes32 s;
        (v, r, s) = vm.sign(key, digest);
        vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
    }

    function _domain(address instance) internal view virtual returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Byway Channels"),
                keccak256("1"),
                block.chainid,
                instance
            )
        );
    }

    function _digest(bytes memory encoded) internal view returns (bytes32) {
        return keccak256(bytes.concat(hex"1901", _domain(address(channels)), keccak256(encoded)));
    }

    function _voucherDigest(RootId id, uint32 index, address who, uint96 cumulative) internal view returns (bytes32) {
        bytes32 kind = keccak256("Voucher(bytes32 rootId,uint32 index,address payee,uint96 cumulative)");
        return _digest(abi.encode(kind, id, index, who, cumulative));
    }

    function _feeOrderDigest(address who, bytes memory vouchers, FeeOrder memory order)
        internal
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256(
            "FeeOrder(address payee,bytes32 claimsHash,address submitter,uint96 fee,uint64 deadline)"
        );
        return _digest(abi.encode(kind, who, keccak256(vouchers), order.submitter, order.fee, order.deadline));
    }

    function _openOrderDigest(Descriptor memory d, uint64 deadline) internal view returns (bytes32) {
        bytes32 kind = keccak256(
            "OpenOrder(address payer,address signer,bytes32 root,uint96 sum,uint64 expiry,uint8 depth,uint64 nonce,uint64 deadline)"
        );
        return _digest(abi.encode(kind, d.payer, d.signer, d.root, d.sum, d.expiry, d.depth, d.nonce, deadline));
    }

    function _permit(uint256 key, uint256 value, uint256 nonce) internal view returns (Permit memory permit) {
        permit.value = value;
        permit.deadline = block.timestamp;
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 hash = keccak256(abi.encode(kind, vm.addr(key), address(channels), value, nonce, permit.deadline));
        bytes32 digest = keccak256(bytes.concat(hex"1901", dollar.DOMAIN_SEPARATOR(), hash));
        (permit.v, permit.r, permit.s) = vm.sign(key, digest);
    }

    // ----------------------------------------------------------------------------------------------------- state

    function _channel(Deal memory deal, uint32 index) internal view returns (Channel memory) {
        return channels.channelOf(deal.id, index, deal.leaves[index].payee, deal.descriptor.signer);
    }

    function _assertRoot(Deal memory deal, RootState state, uint256 remaining) internal view {
        Root memory root = channels.rootOf(deal.id);
        vm.assertEq(uint256(root.state), uint256(state), "state of the root");
        vm.assertEq(root.remaining, remaining, "remainder of the root");
    }

    function _assertChannel(Deal memory deal, uint32 index, uint256 cap, uint256 paid) internal view {
        Channel memory channel = _channel(deal, index);
        vm.assertEq(channel.cap, cap, "cap of the channel");
        vm.assertEq(channel.paid, paid, "paid by the channel");
    }

    function _error(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }

    function _error(bytes4 selector, uint256 a) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, a);
    }

    function _rootError(bytes4 selector, Deal memory deal) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, deal.id);
    }

    /// @notice `voucher` is signed by `who` but names no active channel.
    function _unknown(uint256 voucher, address who) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IChannels.ChannelUnknown.selector, voucher, who);
    }
}
