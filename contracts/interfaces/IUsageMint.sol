// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBurnAuction} from "./IBurnAuction.sol";
import {IChannels} from "./IChannels.sol";

/// @notice One token people pay with.
/// @param channels Where it is held and claimed.
/// @param auction Sells what its claims leave to burn; 0 for WAY itself, which burns directly.
struct Lane {
    IChannels channels;
    IBurnAuction auction;
}

/// @title Usage mint: collects what claims leave to burn, and mints a part of what burnt to those who left it
interface IUsageMint {
    /// @notice Of `payee`'s claims, `amount` went to be burnt; it counts in epoch `vintage`.
    event Collected(uint256 indexed lane, uint256 indexed vintage, address indexed payee, uint256 amount);
    /// @notice `payee` received `amount` WAY for what burnt of epoch `vintage`.
    event Minted(uint256 indexed lane, uint256 indexed vintage, address indexed payee, uint256 amount);

    /// @notice There is no such lane, or it has no auction.
    error LaneUnknown(uint256 lane);

    /// @notice Takes what the claims of `payees` left to burn, on the way to be burnt. Anyone may call, for anyone: it
    ///         costs the payee nothing that a claim has not taken already, and begins what it is paid for.
    function collect(uint256 lane, address[] calldata payees) external;

    /// @notice Mints to each of `payees` what it has coming for epoch `vintage`. Anyone may call; repeat it when more sold.
    function mint(uint256 lane, uint256 vintage, address[] calldata payees) external;

    /// @notice What {mint} would give `payee` now.
    function mintable(uint256 lane, uint256 vintage, address payee) external view returns (uint256);

    /// @notice Dollars that `payee`, and that all, left to burn in epoch `vintage`.
    function weightOf(uint256 lane, uint256 vintage, address payee) external view returns (uint256 own, uint256 all);

    /// @notice Number of lanes, and one of them.
    function lanes() external view returns (uint256);
    function laneOf(uint256 lane) external view returns (Lane memory);
}
