// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The arithmetic of regional multipliers
/// @notice Whole numbers only; multipliers are in ten-thousandths. The same as src/economy/multiplier.ts.
library Multipliers {
    uint256 internal constant WHOLE = 10_000;
    /// @dev One new epoch counts for an eighth: a day of odd demand moves little, two weeks move most.
    uint256 private constant SMOOTHING = 8;

    /// @notice Demand over supply, in ten-thousandths; no supply at all counts as the most there is.
    function ratio(uint256 demand, uint256 supply, uint256 most) internal pure returns (uint256) {
        if (demand == 0) return 0;
        return supply == 0 ? most : Math.min(Math.mulDiv(demand, WHOLE, supply), most);
    }

    /// @notice A ratio smoothed over epochs. `old` 0 means that there is none yet.
    function smoothed(uint256 old, uint256 now_) internal pure returns (uint256) {
        return old == 0 ? now_ : (old * (SMOOTHING - 1) + now_) / SMOOTHING;
    }

    /// @notice How much a region of `nodes` nodes counts: 1, 1, 1, 2, 3, 4, 4, 4 for 0 to 7 (the rule of HIP-17 with a
    ///         target of 1, two neighbours and a limit of 4).
    function density(uint256 nodes) internal pure returns (uint256) {
        return nodes < 2 ? 1 : Math.min(4, nodes - 1);
    }

    /// @notice Weight of a region in the budget: multiplier x density x progress.
    function weight(uint256 multiplier, uint256 nodes, uint256 progress) internal pure returns (uint256) {
        return multiplier * density(nodes) * Math.min(progress, WHOLE) / WHOLE;
    }

    /// @notice Parts of `budget` by weight, which add up to it exactly: rounding is done on the running sum. Nothing if
    ///         all weights are 0.
    function split(uint256 budget, uint256[] memory weights) internal pure returns (uint256[] memory parts) {
        parts = new uint256[](weights.length);
        uint256 sum;
        for (uint256 i = 0; i < weights.length; ++i) {
            sum += weights[i];
        }
        if (sum == 0) return parts;
        uint256 running;
        uint256 given;
        for (uint256 i = 0; i < weights.length; ++i) {
            running += weights[i];
            uint256 until = Math.mulDiv(budget, running, sum);
            parts[i] = until - given;
            given = until;
        }
    }
}
