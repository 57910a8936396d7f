// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title WAY, as other contracts see it
interface IWay is IERC20 {
    /// @notice Only the two minters fixed at construction may mint.
    error NotMinter(address caller);
    /// @notice There would be more WAY than {CAP}.
    error CapExceeded(uint256 supply, uint256 amount);

    /// @notice Makes new WAY for `to`. By {emissions} and {usageMint} only.
    function mint(address to, uint256 amount) external;
    /// @notice Destroys WAY of the caller.
    function burn(uint256 amount) external;
    /// @notice Destroys WAY of `account` that the caller may spend.
    function burnFrom(address account, uint256 amount) external;

    /// @notice Most that can exist at one time.
    function CAP() external view returns (uint256);
    /// @notice What existed from the first moment.
    function genesis() external view returns (uint256);
    /// @notice All that was minted since. totalSupply = genesis + minted - burned, always.
    function minted() external view returns (uint256);
    /// @notice All that was ever burnt.
    function burned() external view returns (uint256);
    /// @notice Mints by schedule.
    function emissions() external view returns (address);
    /// @notice Mints for what burnt.
    function usageMint() external view returns (address);
}
