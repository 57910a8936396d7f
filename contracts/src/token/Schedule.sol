// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title How much WAY each epoch brings
/// @notice Pure numbers; src/economy/emission.ts computes the same. An epoch is a day, a year is 365 epochs.
///
///     capacity   246,575 WAY a day in year 0, 15 % less each year    below 599,999,167 WAY for ever
///     bootstrap  364,963 WAY on day 0, linear to 0 on day 1,095         199,999,723 WAY in three years
///
/// @dev Why these. Capacity: 15 % a year is what DIMO took (a fifth of all in 16 months, half in 4.3 years): no halving
///      day to trade on. Bootstrap: the time in which a region cannot carry itself; it ends on a known day and is
///      counted apart, so that it can never become a subsidy of use. Both are sums below their part of the cap.
library Schedule {
    uint256 internal constant YEAR = 365;
    uint256 internal constant CAPACITY_FIRST = 246_575e18;
    uint256 internal constant CAPACITY_KEEP = 85; // percent of a year that the next one brings
    uint256 internal constant BOOTSTRAP_FIRST = 364_963e18;
    uint256 internal constant BOOTSTRAP_EPOCHS = 1_095;

    /// @notice Scheduled for the capacity of one epoch.
    function capacityAt(uint256 epoch) internal pure returns (uint256 amount) {
        amount = CAPACITY_FIRST;
        // Ends by itself: after 385 years nothing is left.
        for (uint256 year = epoch / YEAR; year != 0 && amount != 0; --year) {
            amount = amount * CAPACITY_KEEP / 100;
        }
    }

    /// @notice Scheduled for the bootstrap of one epoch.
    function bootstrapAt(uint256 epoch) internal pure returns (uint256) {
        if (epoch >= BOOTSTRAP_EPOCHS) return 0;
        return BOOTSTRAP_FIRST * (BOOTSTRAP_EPOCHS - epoch) / BOOTSTRAP_EPOCHS;
    }
}
