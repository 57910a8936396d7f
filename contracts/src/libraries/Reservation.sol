// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The reservation that is cheapest for who tells the truth
/// @notice Who will need capacity with probability p declares q, pays f(q) now and g(q) if it is used (Wu, Zhang and
///         Huberman, cs/0508028, with k = 1.5). The expected cost p g(q) + f(q) is least at q = p. `q` is in percent;
///         both results are parts of the price, rounded down. The same as src/economy/reservation.ts.
library Reservation {
    /// @notice Paid at once: k q^2 / 2 of the price.
    function upfront(uint256 price, uint256 q) internal pure returns (uint256) {
        return price * 3 * q * q / 40_000;
    }

    /// @notice Paid on use: 1 + k / 2 - k q of the price.
    function onUse(uint256 price, uint256 q) internal pure returns (uint256) {
        return price * (350 - 3 * q) / 200;
    }
}
