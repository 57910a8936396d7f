// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWay} from "../../interfaces/IWay.sol";
import {Subscription} from "../../src/payments/Subscription.sol";
import {RegionMultipliers, RegionReport} from "../../src/rewards/RegionMultipliers.sol";
import {Emissions} from "../../src/token/Emissions.sol";
import {Coin, Replay} from "./Replay.sol";

/// @title Subscriptions and test/differential/clocked.ts
contract SubscriptionDifferentialTest is Replay {
    Coin private _coin = new Coin();
    Subscription private _subscription;
    Subscription.Plan private _plan =
        Subscription.Plan({provider: address(0xA000), price: 3_000_001, allowance: 1 << 40});

    function setUp() public {
        _subscription = new Subscription(_coin);
        for (uint256 i = 1; i < 3; ++i) {
            address subscriber = address(uint160(0xA000 + i));
            _coin.mint(subscriber, 1e18);
            vm.prank(subscriber);
            _coin.approve(address(_subscription), type(uint256).max);
        }
    }

    function test_differential_subscription() public {
        _replay("subscription");
    }

    function _operate() internal override {
        Drawn memory drawn = _next(4);
        address subscriber = address(uint160(0xA001 + drawn.who % 2));
        address target = address(_subscription);
        if (drawn.kind == 0) {
            _attemptOnly(subscriber, target, abi.encodeCall(Subscription.subscribe, (_plan, drawn.what % 26)));
        } else if (drawn.kind == 1) {
            _pass(drawn.amount % 20 days);
        } else if (drawn.kind == 2) {
            _attempt(address(this), target, abi.encodeCall(Subscription.take, (_plan, subscriber)));
        } else {
            _attempt(subscriber, target, abi.encodeCall(Subscription.cancel, (_plan)));
        }
        _fold(_coin.balanceOf(_plan.provider));
        _fold(_coin.balanceOf(address(0xA001)));
        _fold(_coin.balanceOf(address(0xA002)));
    }
}

/// @title Emissions and test/differential/clocked.ts
/// @notice This contract is the token: it says what burnt, and adds up what is minted.
contract EmissionsDifferentialTest is Replay {
    Emissions private _emissions;
    uint256 public burned;
    mapping(address to => uint256) private _minted;

    function setUp() public {
        _emissions = new Emissions(IWay(address(this)), START, 1 days, address(0xCA), address(0xB0));
    }

    function mint(address to, uint256 amount) external {
        _minted[to] += amount;
    }

    function test_differential_emissions() public {
        _replay("emissions");
    }

    function _operate() internal override {
        Drawn memory drawn = _next(3);
        if (drawn.kind == 0) {
            _pass(drawn.amount % (drawn.what % 8 == 0 ? 400 days : 5 days));
        } else if (drawn.kind == 1) {
            burned += drawn.amount % 1e24;
            _pass(0);
        } else {
            _attempt(address(this), address(_emissions), abi.encodeCall(Emissions.turn, ()));
        }
        _fold(_emissions.netPool());
        _fold(_minted[address(0xCA)]);
        _fold(_minted[address(0xB0)]);
        uint256 turned = _emissions.nextEpoch();
        _fold(_emissions.budgetOf(turned == 0 ? 0 : drawn.what % turned).capacity);
    }
}

/// @title Regional multipliers and test/differential/clocked.ts
contract MultipliersDifferentialTest is Replay {
    address private constant REWARDS = address(0xCA);
    Coin private _coin = new Coin();
    RegionMultipliers private _multipliers;
    bytes6[] private _regions;

    function setUp() public {
        _regions.push("aa");
        _regions.push("bb");
        _multipliers = new RegionMultipliers(address(_coin), address(this), address(this), REWARDS, START, 1 days);
        _coin.mint(address(this), 1e30);
        _coin.approve(address(_multipliers), type(uint256).max);
    }

    function test_differential_multipliers() public {
        _replay("multipliers");
    }

    function _operate() internal override {
        Drawn memory drawn = _next(4);
        address target = address(_multipliers);
        if (drawn.kind == 0) {
            _pass(drawn.amount % 10 days);
        } else if (drawn.kind == 1) {
            _report(drawn);
        } else if (drawn.kind == 2) {
            uint64 end = uint64(block.timestamp + drawn.what * 100);
            bytes memory data = abi.encodeCall(RegionMultipliers.ask, (bytes6("aa"), uint128(drawn.amount % 1e20), end));
            _attempt(address(this), target, data);
        } else {
            uint256 id = drawn.what % (_multipliers.ticketCount() + 1);
            _attempt(address(this), target, abi.encodeCall(RegionMultipliers.pay, (id)));
        }
        _fold(_multipliers.multiplierOf("aa"));
        _fold(_multipliers.multiplierOf("bb"));
        uint256[] memory parts = _multipliers.split(1e24, _regions);
        _fold(parts[0]);
        _fold(parts[1]);
        _fold(_coin.balanceOf(REWARDS));
    }

    /// @dev One region or both; each with a part of the same bits.
    function _report(Drawn memory drawn) private {
        uint256 only = drawn.who % 3;
        RegionReport[] memory reports = new RegionReport[](only == 2 ? 2 : 1);
        uint256 count = 0;
        for (uint256 i = 0; i < 2; ++i) {
            if (only == i) continue;
            uint256 bits = drawn.amount >> (24 * i);
            reports[count++] = RegionReport({
                region: _regions[i],
                demand: uint96(bits % 5_000),
                supply: uint96((bits >> 13) % 1_500),
                nodes: uint32(bits % 12),
                progress: uint32((bits >> 8) % 12_000)
            });
        }
        bytes memory data = abi.encodeCall(
            RegionMultipliers.report, (_multipliers.nextEpoch() + drawn.what % 2, reports, 0, new bytes32[2][](0))
        );
        _attempt(address(this), address(_multipliers), data);
    }
}
