// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {Descriptor, FeeOrder, IChannels} from "../../interfaces/IChannels.sol";

/// @title Signed orders
/// @notice The two things one person signs so that another may send the transaction: a payer's OpenOrder and a payee's
///         FeeOrder. Their EIP-712 types differ from each other and from the voucher's, so none can stand for another.
library Orders {
    /// @notice EIP-712 type of an OpenOrder. It spells out the descriptor, so that a wallet can show what is signed.
    bytes32 internal constant OPEN_TYPEHASH = keccak256(
        "OpenOrder(address payer,address signer,bytes32 root,uint96 sum,uint64 expiry,uint8 depth,uint64 nonce,uint64 deadline)"
    );

    /// @notice EIP-712 type of a FeeOrder.
    bytes32 internal constant FEE_TYPEHASH =
        keccak256("FeeOrder(address payee,bytes32 claimsHash,address submitter,uint96 fee,uint64 deadline)");

    /// @notice EIP-712 hashStruct of an OpenOrder.
    function structHash(Descriptor calldata descriptor, uint64 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(OPEN_TYPEHASH, descriptor, deadline));
    }

    /// @notice EIP-712 hashStruct of a FeeOrder; `claimsHash` is keccak256 of the packed vouchers.
    function structHash(address payee, bytes32 claimsHash, FeeOrder calldata order) internal pure returns (bytes32) {
        return keccak256(abi.encode(FEE_TYPEHASH, payee, claimsHash, order.submitter, order.fee, order.deadline));
    }

    /// @notice Reverts unless `expected` signed `digest`.
    /// @dev `expected` 0 never passes: recovery gives 0 only together with an error.
    function requireSigned(bytes32 digest, bytes32 r, bytes32 vs, address expected) internal pure {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, r, vs);
        if (failure != ECDSA.RecoverError.NoError || recovered != expected) {
            revert IChannels.OrderSignatureInvalid(expected);
        }
    }
}
