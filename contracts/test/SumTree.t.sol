// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SumTree} from "../src/libraries/SumTree.sol";
import {Test} from "./utils/Test.sol";
import {Leaf, Tree, TreeBuilder} from "./utils/Tree.sol";

/// @title Maxwell's first tree, as a warning: the node hashes the sum of its children, not each of the two
library BrokenTree {
    function node(bytes32 leftHash, bytes32 rightHash, uint256 sum) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(sum, leftHash, rightHash));
    }

    /// @notice Verifies one leaf of a tree of two, given its sibling: the way such trees used to be verified.
    function verifies(bytes32 root, uint256 total, bytes32 leaf, uint256 cap, bool right, bytes32 sibling, uint256 sum)
        internal
        pure
        returns (bool)
    {
        uint256 both = cap + sum;
        return both == total && root == (right ? node(sibling, leaf, both) : node(leaf, sibling, both));
    }
}

/// @title The sum tree by itself
contract SumTreeTest is Test {
    using TreeBuilder for Tree;

    address private constant ANNE = address(0xA);
    address private constant BART = address(0xB);

    /// @notice The library takes its proof from calldata, so it is called through this contract.
    function climb(bytes32 leaf, uint96 cap, uint32 index, bytes32[] calldata hashes, uint96[] calldata sums)
        external
        pure
        returns (bytes32, uint256)
    {
        return SumTree.climb(leaf, cap, index, hashes, sums);
    }

    function _pair(bytes32 hash, uint96 sum) private pure returns (bytes32[] memory hashes, uint96[] memory sums) {
        (hashes, sums) = (new bytes32[](1), new uint96[](1));
        (hashes[0], sums[0]) = (hash, sum);
    }

    /// @dev "Broken Proofs of Solvency", par. 4.1, reproduced: the payer deposits 100, puts 100 at the top, and shows
    ///      each of two payees a sibling that holds nothing. Both caps of 100 verify under a total of 100.
    function test_theBrokenVariantIsReallyBroken() public pure {
        bytes32 anne = SumTree.leafHash(ANNE, 100, "a");
        bytes32 bart = SumTree.leafHash(BART, 100, "b");
        bytes32 root = BrokenTree.node(anne, bart, 100);
        vm.assertTrue(BrokenTree.verifies(root, 100, anne, 100, false, bart, 0), "Anne is fooled");
        vm.assertTrue(BrokenTree.verifies(root, 100, bart, 100, true, anne, 0), "and Bart is fooled");
    }

    /// @dev The same lie against this tree: whatever the payer puts at the top, one of the two proofs misses it.
    function test_climb_theSameLieDoesNotWorkHere() public view {
        bytes32 anne = SumTree.leafHash(ANNE, 100, "a");
        bytes32 bart = SumTree.leafHash(BART, 100, "b");
        (bytes32[] memory hashes, uint96[] memory sums) = _pair(bart, 0);
        (bytes32 forAnne, uint256 sumForAnne) = this.climb(anne, 100, 0, hashes, sums);
        (hashes, sums) = _pair(anne, 0);
        (bytes32 forBart, uint256 sumForBart) = this.climb(bart, 100, 1, hashes, sums);
        vm.assertEq(sumForAnne, 100, "each sees a total of 100");
        vm.assertEq(sumForBart, 100, "each sees a total of 100");
        vm.assertTrue(forAnne != forBart, "but not the same root");
    }

    function test_leafAndNodePreimagesDifferInLength() public pure {
        bytes memory leaf = abi.encodePacked(ANNE, uint96(100), bytes32("salt"));
        bytes memory node = abi.encodePacked(bytes32("l"), uint96(1), bytes32("r"), uint96(2));
        vm.assertEq(leaf.length, 64, "leaf");
        vm.assertEq(node.length, 88, "node");
        vm.assertEq(SumTree.leafHash(ANNE, 100, "salt"), keccak256(leaf), "leaf hash");
        vm.assertEq(SumTree.nodeHash("l", 1, "r", 2), keccak256(node), "node hash");
    }

    function test_climb_keepsTheSumBeyond96Bits() public view {
        (bytes32[] memory hashes, uint96[] memory sums) = (new bytes32[](32), new uint96[](32));
        for (uint256 i = 0; i < 32; ++i) {
            sums[i] = type(uint96).max;
        }
        (, uint256 sum) = this.climb("leaf", type(uint96).max, 0, hashes, sums);
        vm.assertEq(sum, 33 * uint256(type(uint96).max), "33 terms, nothing cut");
    }

    function testFuzz_climb_everyLeafReachesTheRoot(uint256 seed, uint256 size) public view {
        size = _bound(size, 1, 40);
        Leaf[] memory leaves = new Leaf[](size);
        uint256 total;
        for (uint256 i = 0; i < size; ++i) {
            bytes32 random = keccak256(abi.encode(seed, i));
            leaves[i] = Leaf(address(uint160(uint256(random))), uint96(uint256(random) >> 170), random);
            total += leaves[i].cap;
        }
        Tree memory tree = TreeBuilder.build(leaves);
        vm.assertEq(tree.sum(), total, "sum at the top");
        for (uint32 i = 0; i < size; ++i) {
            (bytes32[] memory hashes, uint96[] memory sums) = tree.proof(i);
            bytes32 leaf = SumTree.leafHash(leaves[i].payee, leaves[i].cap, leaves[i].salt);
            (bytes32 hash, uint256 sum) = this.climb(leaf, leaves[i].cap, i, hashes, sums);
            vm.assertEq(hash, tree.root(), "root");
            vm.assertEq(sum, total, "sum");
        }
    }

    /// @dev Any bit of what is proved, flipped, leads elsewhere.
    function testFuzz_climb_anyChangeMissesTheRoot(uint256 seed, uint256 place, uint256 bit) public view {
        Leaf[] memory leaves = new Leaf[](16);
        for (uint256 i = 0; i < 16; ++i) {
            bytes32 random = keccak256(abi.encode(seed, i));
            leaves[i] = Leaf(address(uint160(uint256(random))), uint96(uint256(random) >> 170), random);
        }
        Tree memory tree = TreeBuilder.build(leaves);
        uint32 index = uint32(place % 16);
        Leaf memory leaf = leaves[index];
        (bytes32[] memory hashes, uint96[] memory sums) = tree.proof(index);

        bit = _bound(bit, 0, 160 + 96 + 256 + 4 + 4 * (256 + 96) - 1);
        if (bit < 160) leaf.payee = address(uint160(leaf.payee) ^ uint160(1 << bit));
        else if ((bit -= 160) < 96) leaf.cap ^= uint96(1 << bit);
        else if ((bit -= 96) < 256) leaf.salt ^= bytes32(1 << bit);
        else if ((bit -= 256) < 4) index ^= uint32(1 << bit);
        else if ((bit -= 4) < 4 * 256) hashes[bit / 256] ^= bytes32(1 << (bit % 256));
        else sums[(bit - 4 * 256) / 96] ^= uint96(1 << ((bit - 4 * 256) % 96));

        bytes32 hash = SumTree.leafHash(leaf.payee, leaf.cap, leaf.salt);
        (hash,) = this.climb(hash, leaf.cap, index, hashes, sums);
        vm.assertTrue(hash != tree.root(), "another root");
    }
}
