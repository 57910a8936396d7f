// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A dollar that tests may mint, and that keeps a fee when told to.
contract FeeDollar is ERC20 {
    uint256 private _fee;

    constructor() ERC20("Fee dollar", "FEE") {}

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFee(uint256 fee) external {
        _fee = fee;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_fee != 0 && from != address(0) && to != address(0)) super._update(to, address(0), _fee);
    }
}
