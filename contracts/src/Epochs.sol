// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title One calendar for every contract that counts in epochs
/// @notice Epoch n is [START + n x EPOCH, START + (n + 1) x EPOCH). A day in production, seconds on a devnet. Contracts
///         that must agree are given the same two numbers.
abstract contract Epochs {
    /// @notice First second of epoch 0.
    uint256 public immutable START;
    /// @notice Seconds in an epoch.
    uint256 public immutable EPOCH;

    /// @notice An epoch needs a length.
    error EpochInvalid();

    constructor(uint256 start, uint256 length) {
        if (length == 0) revert EpochInvalid();
        START = start;
        EPOCH = length;
    }

    /// @notice The number of the epoch now; 0 also before START.
    function epoch() public view returns (uint256) {
        return block.timestamp < START ? 0 : (block.timestamp - START) / EPOCH;
    }

    /// @notice First second after epoch `number`.
    function endOf(uint256 number) public view returns (uint256) {
        return START + (number + 1) * EPOCH;
    }
}
