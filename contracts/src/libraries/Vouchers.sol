// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

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

    /// @dev Half the order of secp256k1: a signature has two forms, and only the one with the lower s is accepted.
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

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

    /// @notice Who signed voucher number `i` for `payee`. Reverts if nobody did.
    /// @dev The same as hashing {structHash} under `domain` and OpenZeppelin's ECDSA.tryRecover, 900 gas cheaper: all
    ///      happens in memory past the free pointer, which is never moved. High s is refused and so is every signature
    ///      for which the precompile gives nothing; `Signatures.t.sol` compares the two on random input.
    function signerOf(bytes calldata packed, uint256 i, bytes32 domain, address payee)
        internal
        view
        returns (address signer)
    {
        bytes32 typehash = TYPEHASH;
        assembly ("memory-safe") {
            let start := add(packed.offset, mul(i, SIZE))
            let memory_ := mload(0x40)
            mstore(memory_, typehash)
            mstore(add(memory_, 32), calldataload(start))
            mstore(add(memory_, 64), shr(224, calldataload(add(start, 32))))
            mstore(add(memory_, 96), payee)
            mstore(add(memory_, 128), shr(160, calldataload(add(start, 36))))
            let hash := keccak256(memory_, 160)
            mstore(memory_, hex"1901")
            mstore(add(memory_, 2), domain)
            mstore(add(memory_, 34), hash)
            mstore(memory_, keccak256(memory_, 66))

            let vs := calldataload(add(start, 80))
            let s := shr(1, shl(1, vs))
            if iszero(gt(s, HALF_ORDER)) {
                mstore(add(memory_, 32), add(27, shr(255, vs)))
                calldatacopy(add(memory_, 64), add(start, 48), 32)
                mstore(add(memory_, 96), s)
                // What stood at 0 stays there if the precompile gives nothing.
                mstore(0, 0)
                pop(staticcall(gas(), 1, memory_, 128, 0, 32))
                signer := mload(0)
            }
        }
        if (signer == address(0)) revert IChannels.SignatureInvalid(i);
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
