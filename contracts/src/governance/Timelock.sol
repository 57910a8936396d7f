// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title The wait between a vote and its effect
/// @notice OpenZeppelin's timelock, with a delay that no vote can take below the one it was built with: the time in which
///         whoever disagrees claims, closes and leaves. The governor alone proposes, anyone executes, nobody administers.
contract Timelock is TimelockController {
    /// @notice Least delay, in seconds: two days in production.
    uint256 public immutable LEAST;

    /// @notice The delay would be below {LEAST}.
    error DelayTooShort(uint256 delay, uint256 least);

    constructor(uint256 least, address governor)
        TimelockController(least, _one(governor), _one(address(0)), address(0))
    {
        LEAST = least;
    }

    /// @inheritdoc TimelockController
    function updateDelay(uint256 newDelay) public override {
        if (newDelay < LEAST) revert DelayTooShort(newDelay, LEAST);
        super.updateDelay(newDelay);
    }

    function _one(address account) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }
}
