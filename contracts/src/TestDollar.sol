// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Test Dollar: the stablecoin of a development network
/// @notice Six decimals and permit, like the dollars people pay with. Anyone may mint it, so it is worth nothing:
///         DEVNET ONLY. A deployment that holds real money names a real stablecoin in the constructor of Channels.
contract TestDollar is ERC20, ERC20Permit {
    /// @notice Most that one call may mint: 10,000 dollars, in units of a millionth.
    /// @dev Not a defence (the caller may call again): it keeps a slipped zero from making a test balance absurd.
    uint256 public constant MINT_LIMIT = 10_000e6;

    /// @notice The faucet was asked for more than {MINT_LIMIT} in one call.
    error MintLimitExceeded(uint256 amount, uint256 limit);

    constructor() ERC20("Test Dollar", "TUSD") ERC20Permit("Test Dollar") {}

    /// @notice The faucet: gives `amount` units to `to`. Open to everybody.
    function mint(address to, uint256 amount) external {
        if (amount > MINT_LIMIT) revert MintLimitExceeded(amount, MINT_LIMIT);
        _mint(to, amount);
    }

    /// @notice Six, like USDC and USDT, so that code tested here meets no surprise there.
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
