// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {RegionVault} from "../../src/vaults/RegionVault.sol";
import {Coin, Replay} from "./Replay.sol";

/// @title Region vaults and test/differential/vault.ts
contract VaultDifferentialTest is Replay {
    Coin private _coin = new Coin();
    RegionVault private _vault;
    /// @dev Two investors, three providers.
    address[5] private _accounts;

    function setUp() public {
        _vault = new RegionVault(address(_coin), address(this), "eu", 5_000_000, START, 30 days);
        _coin.mint(address(this), 1e30);
        _coin.approve(address(_vault), type(uint256).max);
        for (uint256 i = 0; i < 5; ++i) {
            _accounts[i] = address(uint160(0xA000 + i));
            if (i > 1) continue;
            _coin.mint(_accounts[i], 1e30);
            vm.prank(_accounts[i]);
            _coin.approve(address(_vault), type(uint256).max);
        }
    }

    function test_differential_vault() public {
        _replay("vault");
    }

    function _operate() internal override {
        Drawn memory drawn = _next(9);
        address investor = _accounts[drawn.who % 2];
        address node = _accounts[2 + drawn.who % 3];
        (address target, uint256 kind) = (address(_vault), drawn.kind);
        if (kind == 0) {
            _attempt(investor, target, abi.encodeCall(ERC4626.deposit, (drawn.amount % 1e12, investor)));
        } else if (kind == 1) {
            uint256 shares = drawn.amount % (_vault.balanceOf(investor) + 1);
            _attempt(investor, target, abi.encodeCall(RegionVault.requestRedeem, (shares)));
        } else if (kind == 2) {
            _pass(drawn.amount % 60 days);
        } else if (kind == 3) {
            uint256 id = drawn.what % (_vault.exitCount() + 1);
            _attempt(investor, target, abi.encodeCall(RegionVault.serve, (id)));
        } else if (kind == 4) {
            _attempt(address(this), target, abi.encodeCall(RegionVault.earn, (node, drawn.amount % 1e8)));
        } else if (kind == 5) {
            _settle(drawn.what);
        } else if (kind == 6) {
            _attempt(address(this), target, abi.encodeCall(RegionVault.lapse, ()));
        } else if (kind == 7) {
            uint256 period = drawn.what % (_vault.nextPeriod() + 1);
            _attempt(address(this), target, abi.encodeCall(RegionVault.collectFees, (period, node)));
        } else {
            _attempt(_accounts[drawn.what % 5], target, abi.encodeCall(RegionVault.collect, ()));
        }
        _fold(_vault.totalAssets());
        _fold(_vault.totalSupply());
        _fold(_vault.owed());
        _fold(_vault.subsidised());
        _fold(_vault.returned());
        _fold(_vault.creditOf(node));
        _fold(_vault.creditOf(investor));
    }

    function _settle(uint256 what) private {
        address[] memory came = new address[](3);
        address[] memory left = new address[](3);
        (uint256 cameCount, uint256 leftCount) = (0, 0);
        for (uint256 i = 2; i < 5; ++i) {
            if ((what >> i) % 2 == 0) continue;
            if (_vault.isNode(_accounts[i])) left[leftCount++] = _accounts[i];
            else came[cameCount++] = _accounts[i];
        }
        assembly ("memory-safe") {
            mstore(came, cameCount)
            mstore(left, leftCount)
        }
        bytes memory data =
            abi.encodeCall(RegionVault.settle, (_vault.nextPeriod(), came, left, 0, new bytes32[2][](0)));
        _attempt(address(this), address(_vault), data);
    }

    function _end() internal override {
        _fold(_coin.balanceOf(address(_vault)));
        for (uint256 i = 0; i < 5; ++i) {
            _fold(_coin.balanceOf(_accounts[i]));
        }
    }
}
