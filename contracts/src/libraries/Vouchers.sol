// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {IChannels, RootId} from "../../interfaces/IChannels.sol";

/// @title Packed vouchers
/// @notice rootId 32 | index 4 | cumulative 12 | r 32 | vs 32 = 112 bytes each, nothing between them. The payee is not
///         in it: the call names it once for the whole batch, and the signature binds it.
/// @dev The assembly reads calldata at fixed offsets and touches neither memory nor storage. Slices would do the same
///      with five bounds checks for each voucher, 1,300 gas of 12,000; here {count} checks the length once, callers
///      keep `i` below it, and each shift leaves the high bits of its field zero. A read past the end gives zeros.
library Vouchers {
    /// @notice Bytes of one packed voucher.
    uint256 internal constant SIZE = 112;

    /// @notice EIP-712 type. It binds the index as well as the payee, or a payee with two leaves could use one voucher
    ///         on both.
    bytes32 internal constant TYPEHASH =
        keccak256("Voucher(bytes32 rootId,uint32 index,address payee,uint96 cumulative)");

    /// @notice How many vouchers `packed` holds.
    function count(bytes calldata packed) internal pure returns (uint256) {
        if (packed.length % SIZE != 0) revert IChannels.VouchersMisaligned(packed.length);
        return packed.length / SIZE;
    }

    /// @notice What voucher number `i` promises; `cumulative` is below 2^96.
    function terms(bytes calldata packed, uint256 i)
        internal
        pure
        returns (RootId rootId, uint32 index, uint256 cumulative)
    {
        assembly ("memory-safe") {
            let start := add(packed.offset, mul(i, SIZE))
            rootId := calldataload(start)
            index := shr(224, calldataload(add(start, 32)))
            cumulative := shr(160, calldataload(add(start, 36)))
        }
    }

    /// @notice Who signed voucher number `i`, given the hash of its terms. Reverts if nobody did.
    function signerOf(bytes calldata packed, uint256 i, bytes32 domain, bytes32 hash) internal pure returns (address) {
        bytes32 r;
        bytes32 vs;
        assembly ("memory-safe") {
            let start := add(packed.offset, mul(i, SIZE))
            r := calldataload(add(start, 48))
            vs := calldataload(add(start, 80))
        }
        (address signer, ECDSA.RecoverError failure,) =
            ECDSA.tryRecover(MessageHashUtils.toTypedDataHash(domain, hash), r, vs);
        if (failure != ECDSA.RecoverError.NoError) revert IChannels.SignatureInvalid(i);
        return signer;
    }

    /// @notice EIP-712 hashStruct of a voucher's terms.
    function structHash(RootId rootId, uint32 index, address payee, uint256 cumulative)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(TYPEHASH, rootId, index, payee, cumulative));
    }
}
