// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Activation, ChannelKey, Descriptor, FeeOrder, RootId} from "../interfaces/IChannels.sol";
import {Fixture} from "./utils/Fixture.sol";
import {Channels} from "../src/Channels.sol";
import {Leaf, Tree, TreeBuilder} from "./utils/Tree.sol";

/// @title test/vectors/fanout.json, which TypeScript checks too
/// @notice The contract is put at the address the vectors were made for, and pays out on their proofs and signatures.
contract VectorsTest is Fixture {
    using TreeBuilder for Tree;

    uint256 private constant TREES = 4;
    string private json;

    function setUp() public override {
        super.setUp();
        vm.warp(1_880_000_000); // some months before the vectors' expiry
        json = vm.readFile("../test/vectors/fanout.json");
        vm.chainId(vm.parseJsonUint(json, ".domain.chainId"));
        address place = vm.parseJsonAddress(json, ".domain.verifyingContract");
        vm.etch(place, address(channels).code);
        channels = Channels(place);
    }

    function _tree(uint256 t) private pure returns (string memory) {
        return string.concat(".trees[", vm.toString(t), "]");
    }

    function _descriptor(string memory tree) private view returns (Descriptor memory d) {
        tree = string.concat(tree, ".descriptor");
        d.payer = _address(tree, ".payer");
        d.signer = _address(tree, ".signer");
        d.root = _bytes32(tree, ".root");
        d.sum = uint96(_uint(tree, ".sum"));
        d.expiry = uint64(_uint(tree, ".expiry"));
        d.depth = uint8(_uint(tree, ".depth"));
        d.nonce = uint64(_uint(tree, ".nonce"));
    }

    /// @notice Leaves as listed, or made by the rule the file states.
    function _leavesOf(string memory tree) private view returns (Leaf[] memory leaves) {
        leaves = new Leaf[](_uint(tree, ".count"));
        bool listed = vm.keyExistsJson(json, string.concat(tree, ".leaves"));
        for (uint256 i = 0; i < leaves.length; ++i) {
            if (listed) {
                string memory leaf = string.concat(tree, ".leaves[", vm.toString(i), "]");
                leaves[i] = Leaf(_address(leaf, ".payee"), uint96(_uint(leaf, ".cap")), _bytes32(leaf, ".salt"));
            } else {
                leaves[i].payee = address(uint160(uint256(_named("payee/", i))));
                leaves[i].cap = uint96(1_000 + (i * 7_919) % 50_000);
                leaves[i].salt = _named("salt/", i);
            }
        }
    }

    function _named(string memory what, uint256 i) private pure returns (bytes32) {
        return keccak256(bytes(string.concat("byway/fanout/", what, vm.toString(i))));
    }

    function test_vectors_treesAndNames() public view {
        vm.assertEq(channels.domainSeparator(), vm.parseJsonBytes32(json, ".domain.separator"), "domain");
        for (uint256 t = 0; t < TREES; ++t) {
            string memory where = _tree(t);
            Tree memory tree = TreeBuilder.build(_leavesOf(where));
            vm.assertEq(tree.root(), _bytes32(where, ".root"), "root");
            vm.assertEq(tree.sum(), _uint(where, ".sum"), "sum");
            vm.assertEq(tree.depth, _uint(where, ".depth"), "depth");
            Descriptor memory d = _descriptor(where);
            bytes32 rootId = _bytes32(where, ".rootId");
            vm.assertEq(RootId.unwrap(channels.rootIdOf(d)), rootId, "root id");
            for (uint256 p = 0; _exists(where, ".proofs[", p); ++p) {
                string memory proof = string.concat(where, ".proofs[", vm.toString(p), "]");
                address who = _address(proof, ".payee");
                bytes32 leaf = channels.leafHash(who, uint96(_uint(proof, ".cap")), _bytes32(proof, ".salt"));
                vm.assertEq(leaf, _bytes32(proof, ".leafHash"), "leaf");
                uint32 index = uint32(_uint(proof, ".index"));
                ChannelKey key = channels.channelKeyOf(RootId.wrap(rootId), index, who, d.signer);
                vm.assertEq(ChannelKey.unwrap(key), _bytes32(proof, ".channelKey"), "channel key");
            }
        }
    }

    function test_vectors_proofsActivateAndVouchersPay() public {
        for (uint256 t = 0; t < TREES; ++t) {
            string memory where = _tree(t);
            Descriptor memory d = _descriptor(where);
            _endow(d.payer, d.sum);
            _send(d.payer, address(channels), abi.encodeCall(channels.open, (d)));
            for (uint256 p = 0; _exists(where, ".proofs[", p); ++p) {
                string memory proof = string.concat(where, ".proofs[", vm.toString(p), "]");
                Activation memory activation;
                activation.descriptor = d;
                activation.index = uint32(_uint(proof, ".index"));
                activation.cap = uint96(_uint(proof, ".cap"));
                activation.salt = _bytes32(proof, ".salt");
                activation.siblingHashes = vm.parseJsonBytes32Array(json, string.concat(proof, ".siblingHashes"));
                uint256[] memory sums = vm.parseJsonUintArray(json, string.concat(proof, ".siblingSums"));
                activation.siblingSums = new uint96[](sums.length);
                for (uint256 i = 0; i < sums.length; ++i) {
                    activation.siblingSums[i] = uint96(sums[i]);
                }
                channels.claim(_address(proof, ".payee"), _one(activation), "");
            }
            _payVouchers(where);
        }
    }

    function _payVouchers(string memory where) private {
        RootId id = RootId.wrap(_bytes32(where, ".rootId"));
        for (uint256 v = 0; _exists(where, ".vouchers[", v); ++v) {
            string memory voucher = string.concat(where, ".vouchers[", vm.toString(v), "]");
            address who = _address(voucher, ".payee");
            uint96 cumulative = uint96(_uint(voucher, ".cumulative"));
            bytes32 digest = channels.voucherDigest(id, uint32(_uint(voucher, ".index")), who, cumulative);
            vm.assertEq(digest, _bytes32(voucher, ".digest"), "digest");
            uint256 before = dollar.balanceOf(who);
            uint256 amount = channels.claim(who, _none(), vm.parseJsonBytes(json, string.concat(voucher, ".packed")));
            vm.assertEq(dollar.balanceOf(who), before + amount, "paid out");
            // The first voucher of a channel is for one unit, the second for its whole cap.
            vm.assertEq(amount, v % 2 == 0 ? 1 : cumulative - 1, "amount");
        }
    }

    function test_vectors_orders() public view {
        FeeOrder memory order = FeeOrder({
            fee: uint96(_uint(".feeOrder", ".fee")),
            submitter: _address(".feeOrder", ".submitter"),
            deadline: uint64(_uint(".feeOrder", ".deadline"))
        });
        address who = _address(".feeOrder", ".payee");
        bytes32 digest = channels.feeOrderDigest(who, _bytes32(".feeOrder", ".claimsHash"), order);
        vm.assertEq(digest, _bytes32(".feeOrder", ".digest"), "fee order");
        _assertSigned(".feeOrder", digest, ".keys.payee");

        Descriptor memory d = _descriptor(_tree(_uint(".openOrder", ".tree")));
        digest = channels.openOrderDigest(d, uint64(_uint(".openOrder", ".deadline")));
        vm.assertEq(digest, _bytes32(".openOrder", ".digest"), "open order");
        _assertSigned(".openOrder", digest, ".keys.payer");
    }

    /// @dev Signing is deterministic (RFC 6979), so a signature has one right value.
    function _assertSigned(string memory order, bytes32 digest, string memory key) private view {
        (bytes32 r, bytes32 vs) = _sign(_uint(key, ".privateKey"), digest);
        vm.assertEq(r, _bytes32(order, ".r"), "r");
        vm.assertEq(vs, _bytes32(order, ".vs"), "vs");
    }

    function _endow(address who, uint96 sum) private {
        // Far beyond the faucet's limit, so the balance is written straight into slot mapping 0 of OpenZeppelin's ERC20.
        bytes32 slot = keccak256(abi.encode(who, uint256(0)));
        vm.store(address(dollar), slot, bytes32(uint256(vm.load(address(dollar), slot)) + sum));
        vm.prank(who);
        dollar.approve(address(channels), type(uint256).max);
    }

    function _exists(string memory where, string memory list, uint256 i) private view returns (bool) {
        return vm.keyExistsJson(json, string.concat(where, list, vm.toString(i), "]"));
    }

    function _uint(string memory where, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(where, key));
    }

    function _address(string memory where, string memory key) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(where, key));
    }

    function _bytes32(string memory where, string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(where, key));
    }
}
