// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRegistry, Profile, Role} from "../../interfaces/IRegistry.sol";
import {Registry} from "../../src/registry/Registry.sol";
import {Coin, Replay} from "./Replay.sol";

/// @title The Registry and test/differential/registry.ts
contract RegistryDifferentialTest is Replay {
    Coin private _coin = new Coin();
    Registry private _registry;
    /// @dev Two operators, a delegator, the operators' payouts, a reporter.
    address[6] private _accounts;
    uint256 private _thaws;

    function setUp() public {
        _registry = new Registry(address(_coin), address(this), address(this));
        address[] memory judges = new address[](1);
        judges[0] = address(this);
        _registry.seal(judges);
        _coin.mint(address(this), 1e30);
        _coin.approve(address(_registry), type(uint256).max);
        for (uint256 i = 0; i < 6; ++i) {
            _accounts[i] = address(uint160(0xA000 + i));
            if (i > 2) continue;
            _coin.mint(_accounts[i], 1e30);
            vm.prank(_accounts[i]);
            _coin.approve(address(_registry), type(uint256).max);
        }
        for (uint256 i = 0; i < 2; ++i) {
            Profile memory profile = Profile({
                nodeKey: 0,
                offerHash: 0,
                payout: _accounts[3 + i],
                region: "eu",
                mbps: 0,
                commissionBps: i == 0 ? 500 : 2_000,
                role: Role.Provider
            });
            vm.prank(_accounts[i]);
            _registry.setProfile(profile);
        }
    }

    function test_differential_registry() public {
        _replay("registry");
    }

    function _operate() internal override {
        Drawn memory drawn = _next(8);
        address operator = _accounts[drawn.who % 2];
        address owner = _accounts[(drawn.who >> 1) % 3];
        (address target, uint256 kind) = (address(_registry), drawn.kind);
        if (kind == 0) {
            _attempt(owner, target, abi.encodeCall(IRegistry.stake, (operator, 1 + drawn.amount % 1e24)));
        } else if (kind == 1) {
            (uint256 held,) = _registry.sharesOf(operator, owner);
            address to = drawn.what % 3 == 0 ? _accounts[1 - drawn.who % 2] : address(0);
            bytes memory data = abi.encodeCall(IRegistry.unbond, (operator, drawn.amount % (held + 1), to));
            if (_attempt(owner, target, data)) ++_thaws;
        } else if (kind == 2) {
            _pass(drawn.amount % 20 days);
        } else if (kind == 3) {
            _attempt(owner, target, abi.encodeCall(IRegistry.release, (drawn.what % (_thaws + 1))));
        } else if (kind == 4) {
            _attempt(address(this), target, abi.encodeCall(IRegistry.distribute, (operator, drawn.amount % 1e21)));
        } else if (kind == 5) {
            _attempt(owner, target, abi.encodeCall(IRegistry.claimRewards, (operator)));
        } else if (kind == 6) {
            uint256 part = drawn.what % 16 == 0 ? 10_000 : drawn.amount % 2_000;
            address reporter = drawn.what % 2 == 1 ? _accounts[5] : address(0);
            _attempt(
                address(this), target, abi.encodeCall(IRegistry.slash, (operator, part, reporter, bytes32("judged")))
            );
        } else {
            address account = _accounts[drawn.what % 6];
            _attempt(account, target, abi.encodeCall(IRegistry.collect, (account)));
        }
        _fold(_registry.totalStake());
        (, uint256 worth) = _registry.sharesOf(operator, owner);
        _fold(worth);
        _fold(_registry.rewardOf(operator, owner));
        _fold(_registry.creditOf(owner));
    }

    function _end() internal override {
        _fold(_coin.balanceOf(address(_registry)));
        for (uint256 i = 0; i < 6; ++i) {
            _fold(_coin.balanceOf(_accounts[i]));
        }
    }
}
