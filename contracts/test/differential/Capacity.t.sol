// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Role} from "../../interfaces/IRegistry.sol";
import {CapacityMarket, Line} from "../../src/capacity/CapacityMarket.sol";
import {Coin, Replay} from "./Replay.sol";

/// @title The capacity market and test/differential/capacity.ts
contract CapacityDifferentialTest is Replay {
    Coin private _coin = new Coin();
    CapacityMarket private _market;
    /// @dev The provider and two buyers.
    address[3] private _accounts;
    uint256[] private _rights;
    address[] private _holders;

    function setUp() public {
        _market = new CapacityMarket(address(_coin), address(this), address(this), 1e9);
        for (uint256 i = 0; i < 3; ++i) {
            _accounts[i] = address(uint160(0xA000 + i));
            _coin.mint(_accounts[i], 1e30);
            vm.prank(_accounts[i]);
            _coin.approve(address(_market), type(uint256).max);
        }
    }

    function test_differential_capacity() public {
        _replay("capacity");
    }

    // What the market asks of the audits and the registry.

    // forge-lint: disable-next-item(mixed-case-function)
    function COMMITTEE() external view returns (address) {
        return address(this);
    }

    // forge-lint: disable-next-item(mixed-case-function)
    function REGISTRY() external view returns (address) {
        return address(this);
    }

    function isActive(address, Role) external pure returns (bool) {
        return true;
    }

    function provenMbps(address) external pure returns (uint256) {
        return 1_000;
    }

    function _operate() internal override {
        Drawn memory drawn = _next(9);
        (address target, uint256 kind) = (address(_market), drawn.kind);
        uint32 hour = uint32(START / 3_600 + 1 + drawn.who % 4);
        uint256 line = _market.lineOf(_accounts[0], "eu", 0, hour);
        address holder = _accounts[1 + (drawn.who >> 2) % 2];
        uint256 place = _rights.length == 0 ? 0 : drawn.what % _rights.length;
        if (kind == 0) {
            uint96 price = uint96(1_000_000 + (drawn.what % 8 == 0 ? 777 : 0));
            bytes memory data = abi.encodeCall(CapacityMarket.offer, ("eu", 0, hour, uint32(drawn.amount % 200), price));
            _attemptOnly(_accounts[0], target, data);
        } else if (kind < 3) {
            uint8 percent = uint8(drawn.what % 102);
            bytes memory data = abi.encodeCall(CapacityMarket.buy, (line, percent, uint32(drawn.amount % 60)));
            if (_attemptOnly(holder, target, data)) {
                _rights.push(line | percent);
                _holders.push(holder);
            }
        } else if (kind == 3) {
            _pass(drawn.amount % (drawn.what % 4 == 0 ? 50 hours : 1 hours));
        } else if (kind == 4) {
            if (_rights.length == 0) {
                _fold(0);
            } else {
                (uint256 id, address of_) = (_rights[place], _holders[place]);
                uint32 gb = uint32(drawn.amount % (_market.balanceOf(of_, id) + 2));
                _attempt(of_, target, abi.encodeCall(CapacityMarket.redeem, (id, gb)));
            }
        } else if (kind == 5) {
            uint16 deviation = uint16(drawn.amount % 12_000);
            bytes memory data = abi.encodeCall(CapacityMarket.judge, (line, deviation, 0, new bytes32[2][](0)));
            _attempt(address(this), target, data);
        } else if (kind == 6) {
            _attempt(address(this), target, abi.encodeCall(CapacityMarket.settle, (line)));
        } else if (kind == 7) {
            if (_rights.length == 0) {
                _fold(0);
            } else {
                _attempt(
                    address(this), target, abi.encodeCall(CapacityMarket.expire, (_rights[place], _holders[place]))
                );
            }
        } else {
            _attempt(_accounts[drawn.what % 3], target, abi.encodeCall(CapacityMarket.collect, ()));
        }
        Line memory entry = _market.lineAt(line);
        _fold(entry.offered);
        _fold(entry.sold);
        _fold(entry.unused);
        _fold(entry.unusedUpfront);
        for (uint256 i = 0; i < 3; ++i) {
            _fold(_market.credits(_accounts[i]));
        }
    }

    function _end() internal override {
        _fold(_coin.balanceOf(address(_market)));
        for (uint256 i = 0; i < 3; ++i) {
            _fold(_coin.balanceOf(_accounts[i]));
        }
    }
}
