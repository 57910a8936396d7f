// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What the auction offers at this moment.
/// @param vintage The epoch whose dollars are on sale.
/// @param price WAY (in its smallest unit) for one unit of the dollar.
/// @param lot Most dollars in one purchase; 0 when nothing is on sale.
struct Quote {
    uint256 vintage;
    uint256 price;
    uint256 lot;
}

/// @title A standing Dutch auction that sells dollars for WAY and burns the WAY
interface IBurnAuction {
    /// @notice Dollars of an epoch came in; they are on sale when it has ended and older ones are sold.
    event Added(uint256 indexed vintage, uint256 dollars);
    /// @notice Dollars were sold, and the WAY paid for them is burnt.
    event Sold(uint256 indexed vintage, address indexed buyer, uint256 dollars, uint256 price);

    /// @notice Only the contract that collects burn shares adds to the auction.
    error NotSeller(address caller);
    /// @notice A number at construction is 0.
    error AuctionInvalid();
    /// @notice Nothing is on sale, or nothing was asked for.
    error NothingOnSale();
    /// @notice The purchase would cost more than the buyer said.
    error PriceAboveLimit(uint256 cost, uint256 limit);

    /// @notice Takes note of dollars that were just sent here, for the epoch `vintage`, which never falls. Seller only.
    function add(uint256 vintage, uint256 dollars) external;

    /// @notice Buys up to `dollars` for `to`, at one price, and burns the caller's WAY.
    /// @param limit Most WAY the caller pays in all: who is overtaken by another buyer pays this much or nothing.
    /// @return sold Dollars bought: less than asked for when the lot or the epoch's dollars are smaller.
    /// @return cost WAY burnt.
    function buy(uint256 dollars, uint256 limit, address to) external returns (uint256 sold, uint256 cost);

    /// @notice What a purchase would meet now.
    function quote() external view returns (Quote memory);

    /// @notice Dollars of an epoch not sold yet, and WAY burnt for those that are.
    function vintageOf(uint256 vintage) external view returns (uint256 unsold, uint256 burnt);
}
