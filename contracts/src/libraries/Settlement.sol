// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The arithmetic of a claim
/// @notice What a voucher newly pays, and who gets which part of it. Pure numbers, so that a solver can prove what the rest
///         relies on: `npm run contracts:prove` checks every input, with proofs/SettlementProof.sol as the statement.
library Settlement {
    /// @notice All of a claim, in the unit of a burn share.
    uint256 internal constant WHOLE = 10_000;

    /// @notice What a voucher of `cumulative` pays beyond `paid`; nothing if it is older. At most what the cap leaves, if
    ///         `cumulative` is at most the cap.
    function newlyPaid(uint256 paid, uint256 cumulative) internal pure returns (uint256) {
        // Cannot underflow: compared first.
        unchecked {
            return cumulative > paid ? cumulative - paid : 0;
        }
    }

    /// @notice Cuts a claim in two: what burns, rounded down, and what is left. `share` is at most {WHOLE}, and `amount`
    ///         below 2^242, as every sum of channels is.
    function split(uint256 amount, uint256 share) internal pure returns (uint256 burnt, uint256 left) {
        unchecked {
            burnt = amount * share / WHOLE;
            left = amount - burnt;
        }
    }
}
