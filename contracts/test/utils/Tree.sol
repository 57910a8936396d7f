// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice One (payee, cap, salt) a payer commits to.
struct Leaf {
    address payee;
    uint96 cap;
    bytes32 salt;
}

/// @notice A whole tree: level 0 is the leaves. A place beyond a level's length is hash 0, sum 0.
struct Tree {
    uint8 depth;
    bytes32[][] hashes;
    uint96[][] sums;
}

/// @title Builds sum trees, as a payer does off chain
/// @notice Shares no code with src/libraries/SumTree.sol, so that one mistake cannot hide in both.
library TreeBuilder {
    function build(Leaf[] memory leaves) internal pure returns (Tree memory tree) {
        while ((uint256(1) << tree.depth) < leaves.length) ++tree.depth;
        tree.hashes = new bytes32[][](tree.depth + 1);
        tree.sums = new uint96[][](tree.depth + 1);
        tree.hashes[0] = new bytes32[](leaves.length);
        tree.sums[0] = new uint96[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            tree.hashes[0][i] = keccak256(abi.encodePacked(leaves[i].payee, leaves[i].cap, leaves[i].salt));
            tree.sums[0][i] = leaves[i].cap;
        }
        for (uint256 level = 1; level <= tree.depth; ++level) {
            _fold(tree, level);
        }
    }

    function root(Tree memory tree) internal pure returns (bytes32) {
        return tree.hashes[tree.depth][0];
    }

    /// @notice Sum at the top, modulo 2^96: a dishonest payer may well commit to a sum that wrapped.
    function sum(Tree memory tree) internal pure returns (uint96) {
        return tree.sums[tree.depth][0];
    }

    function proof(Tree memory tree, uint256 index)
        internal
        pure
        returns (bytes32[] memory siblingHashes, uint96[] memory siblingSums)
    {
        siblingHashes = new bytes32[](tree.depth);
        siblingSums = new uint96[](tree.depth);
        for (uint256 level = 0; level < tree.depth; ++level) {
            (siblingHashes[level], siblingSums[level]) = node(tree, level, (index >> level) ^ 1);
        }
    }

    function node(Tree memory tree, uint256 level, uint256 place) internal pure returns (bytes32, uint96) {
        if (place >= tree.hashes[level].length) return (0, 0);
        return (tree.hashes[level][place], tree.sums[level][place]);
    }

    function _fold(Tree memory tree, uint256 level) private pure {
        uint256 width = (tree.hashes[level - 1].length + 1) / 2;
        tree.hashes[level] = new bytes32[](width);
        tree.sums[level] = new uint96[](width);
        for (uint256 i = 0; i < width; ++i) {
            (bytes32 leftHash, uint96 leftSum) = node(tree, level - 1, 2 * i);
            (bytes32 rightHash, uint96 rightSum) = node(tree, level - 1, 2 * i + 1);
            tree.hashes[level][i] = keccak256(bytes.concat(leftHash, bytes12(leftSum), rightHash, bytes12(rightSum)));
            unchecked {
                tree.sums[level][i] = leftSum + rightSum;
            }
        }
    }
}
