// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The arithmetic of the auction's price
/// @notice Pure numbers; src/economy/auction.ts computes the same. A price is WAY for one unit of the dollar, at least 1.
library DutchPrice {
    /// @notice `start` halved every `halfLife` seconds, on a straight line in between.
    function fallen(uint256 start, uint256 elapsed, uint256 halfLife) internal pure returns (uint256 price) {
        uint256 halvings = elapsed / halfLife;
        if (halvings >= 128) return 1;
        price = Math.mulDiv(start, 2 * halfLife - elapsed % halfLife, 2 * halfLife) >> halvings;
        if (price == 0) price = 1;
    }

    /// @notice The price after `sold` of a lot of `lot` went at `price`: a whole lot doubles it, a part raises it in
    ///         proportion, rounded up. In pieces it rises more, never less.
    function risen(uint256 price, uint256 sold, uint256 lot) internal pure returns (uint256) {
        return price + Math.mulDiv(price, sold, lot, Math.Rounding.Ceil);
    }

    /// @notice The remembered price, moved towards `price` by the part of a lot that was sold at it.
    function remembered(uint256 before, uint256 price, uint256 sold, uint256 lot) internal pure returns (uint256) {
        return (before * (lot - sold) + price * sold) / lot;
    }
}
