// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A Merkle tree whose every node carries the sum below it
/// @notice A payer commits to many (payee, cap) pairs with one hash and one sum. Whoever holds a leaf and its siblings
///         can prove the cap, and nobody needs to see the whole tree to know that all caps together fit the sum.
///
/// Encoding, byte by byte (keccak256 of packed fields, big endian, no padding):
///
///     leaf = keccak256( payee 20 | cap 12 | salt 32 )                                    64 bytes
///     node = keccak256( left hash 32 | left sum 12 | right hash 32 | right sum 12 )      88 bytes
///
/// The two preimages differ in length, and the depth is fixed by the root's descriptor, so a leaf can never pass for a
/// node nor a node for a leaf. The salt hides the payee: the list of payees is public, and without a salt a stranger
/// who sees a sibling hash could guess its leaf. A place without a leaf, and a node without leaves below it, has hash 0
/// and sum 0; nothing can be claimed there because no preimage of 0 is known. A tree of depth 0 is one leaf: its root
/// is the leaf hash, its sum the cap.
///
/// @dev Why both child sums are hashed. Maxwell's first tree hashed only ls + rs, so a payer could show each child a
///      different sibling sum and put max(ls, rs) at the root: two caps of 100 under a total of 100 (par. 4.1 of
///      "Broken Proofs of Solvency"; fixed as in DAPOL). Here each node has exactly one preimage, so by induction the
///      sum of all provable caps is at most the sum at the root. `SumTree.t.sol` breaks the old variant for real.
library SumTree {
    /// @notice 4,294,967,296 leaves. Also what a 32 bit index can address.
    uint8 internal constant MAX_DEPTH = 32;

    /// @notice Hash of the leaf that gives `payee` a channel of `cap`.
    function leafHash(address payee, uint96 cap, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(payee, cap, salt));
    }

    /// @notice Hash of an inner node.
    function nodeHash(bytes32 leftHash, uint96 leftSum, bytes32 rightHash, uint96 rightSum)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(leftHash, leftSum, rightHash, rightSum));
    }

    /// @notice Climbs from a leaf to the root. Bit `level` of `index` says on which side the path is: 0 left, 1 right.
    /// @dev The caller checks that both sibling arrays are as long as the tree is deep and that `index` fits it.
    ///      The sum is kept in 256 bits and never wraps: 33 terms below 2^96. Hashing a sum cuts it to 96 bits, which
    ///      is harmless: sums only grow on the way up, so a caller who compares the final sum with a uint96 refuses
    ///      every path on which anything was cut.
    /// @return hash The hash at the root.
    /// @return sum The sum at the root, not cut.
    function climb(
        bytes32 leaf,
        uint96 cap,
        uint32 index,
        bytes32[] calldata siblingHashes,
        uint96[] calldata siblingSums
    ) internal pure returns (bytes32 hash, uint256 sum) {
        hash = leaf;
        sum = cap;
        for (uint256 level = 0; level < siblingHashes.length; ++level) {
            uint96 siblingSum = siblingSums[level];
            // forge-lint: disable-next-line(unsafe-typecast) -- see above: the root comparison refuses what was cut
            uint96 pathSum = uint96(sum);
            hash = (index >> level) & 1 == 0
                ? nodeHash(hash, pathSum, siblingHashes[level], siblingSum)
                : nodeHash(siblingHashes[level], siblingSum, hash, pathSum);
            // 33 terms below 2^96 stay below 2^102.
            unchecked {
                sum += siblingSum;
            }
        }
    }
}
