// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What one epoch may pay.
/// @param capacity For proven capacity: the schedule and what the burnt gives back.
/// @param bootstrap For the first years only.
struct Budget {
    uint128 capacity;
    uint128 bootstrap;
}

/// @title Scheduled emissions
interface IEmissions {
    /// @notice Epochs `first` to `last` were turned; their budgets were minted to those who pay them out.
    event Turned(uint256 first, uint256 last, uint256 capacity, uint256 bootstrap, uint256 reentered);

    /// @notice The schedule would take more than its part of the cap, or a recipient is 0. Only at construction.
    error EmissionsInvalid();

    /// @notice Mints the budgets of all epochs that have ended, {MAX_TURN} in one call at most. Anyone may call.
    /// @return turned How many epochs.
    function turn() external returns (uint256 turned);

    /// @notice What was minted for an epoch; zeros until it was turned.
    function budgetOf(uint256 epoch) external view returns (Budget memory);

    /// @notice First epoch not turned yet.
    function nextEpoch() external view returns (uint256);

    /// @notice Burnt WAY that is still to come back, a 336th of it each epoch.
    function netPool() external view returns (uint256);

    /// @notice The contract that pays out capacity rewards: every capacity budget is minted to it.
    function capacityRewards() external view returns (address);

    /// @notice The contract that pays out bootstrap rewards; may be the same.
    function bootstrapRewards() external view returns (address);
}
