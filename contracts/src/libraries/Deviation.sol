// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title What a missed objective costs
/// @notice (objective - indicator) / ((objective + indicator) / 2) of the bond, at most a cap, and nothing for whoever
///         delivers more. The formula of DSLA made one-sided. The same as src/economy/agreement.ts.
library Deviation {
    uint256 private constant WHOLE = 10_000;
    /// @notice Largest cap whatever the parameters say, in hundredths of a percent.
    uint256 internal constant MAX_CAP = 2_500;

    /// @notice Part of `bond` that goes to the consumer, rounded down.
    function refund(uint256 bond, uint256 objective, uint256 indicator, uint256 cap) internal pure returns (uint256) {
        if (indicator >= objective) return 0;
        uint256 most = Math.mulDiv(bond, Math.min(cap, MAX_CAP), WHOLE);
        return Math.min(Math.mulDiv(bond, 2 * (objective - indicator), objective + indicator), most);
    }
}
