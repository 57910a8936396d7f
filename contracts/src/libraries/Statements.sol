// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {Statement} from "../../interfaces/IRegistry.sol";

/// @title What keys of the network sign
/// @notice One type for everything that is said at a numbered place, so that one proof of contradiction covers it all.
/// @dev A voucher is a message of another type in another domain, and its content follows from its amount: it never
///      recovers to a signer here, and two vouchers for one amount are one message.
library Statements {
    /// @notice EIP-712 type of a Statement.
    bytes32 internal constant TYPEHASH =
        keccak256("Statement(bytes32 kind,bytes32 stream,uint64 counter,bytes32 content)");

    /// @notice EIP-712 type by which a key says whose it is.
    bytes32 internal constant KEY_TYPEHASH = keccak256("KeyProof(address operator)");

    /// @notice EIP-712 hashStruct of a Statement.
    function structHash(Statement memory statement) internal pure returns (bytes32) {
        return keccak256(abi.encode(TYPEHASH, statement));
    }

    /// @notice EIP-712 hashStruct of a KeyProof.
    function keyHash(address operator) internal pure returns (bytes32) {
        return keccak256(abi.encode(KEY_TYPEHASH, operator));
    }

    /// @notice Whether two statements contradict each other: one place, two contents.
    function contradict(Statement calldata first, Statement calldata second) internal pure returns (bool) {
        return first.kind == second.kind && first.stream == second.stream && first.counter == second.counter
            && first.content != second.content;
    }

    /// @notice The place at which a statement stands.
    function placeOf(Statement calldata statement) internal pure returns (bytes32) {
        return keccak256(abi.encode(statement.kind, statement.stream, statement.counter));
    }

    /// @notice Who signed `digest`; 0 if nobody did. EIP-2098, low s only.
    function signerOf(bytes32 digest, bytes32 r, bytes32 vs) internal pure returns (address signer) {
        (signer,,) = ECDSA.tryRecover(digest, r, vs);
    }
}
