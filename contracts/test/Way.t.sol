// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEmissions} from "../interfaces/IEmissions.sol";
import {IWay} from "../interfaces/IWay.sol";
import {Emissions} from "../src/token/Emissions.sol";
import {Schedule} from "../src/token/Schedule.sol";
import {Way} from "../src/token/Way.sol";
import {Economy} from "./utils/Economy.sol";

/// @title The token and its schedule
contract WayTest is Economy {
    function test_way_startsWithItsGenesisAndItsMinters() public view {
        vm.assertEq(way.totalSupply(), GENESIS, "supply");
        vm.assertEq(way.balanceOf(buyer), GENESIS, "holder");
        vm.assertEq(way.emissions(), address(emissions), "emissions");
        vm.assertEq(way.usageMint(), address(usage), "usage mint");
        _supplyIdentity();
    }

    function test_mint_isForTheTwoMintersAlone() public {
        bytes memory mint = abi.encodeCall(way.mint, (stranger, 1));
        address[4] memory others = [stranger, buyer, TIMELOCK, address(this)];
        for (uint256 i = 0; i < others.length; ++i) {
            _sendReverts(others[i], address(way), mint, abi.encodeWithSelector(IWay.NotMinter.selector, others[i]));
        }
        _send(address(emissions), address(way), mint);
        _send(address(usage), address(way), mint);
        vm.assertEq(way.balanceOf(stranger), 2, "both may");
        _supplyIdentity();
    }

    function test_mint_neverGoesBeyondTheCap() public {
        uint256 room = way.CAP() - way.totalSupply();
        bytes memory expected = abi.encodeWithSelector(IWay.CapExceeded.selector, way.totalSupply(), room + 1);
        _sendReverts(address(usage), address(way), abi.encodeCall(way.mint, (stranger, room + 1)), expected);
        _send(address(usage), address(way), abi.encodeCall(way.mint, (stranger, room)));
        vm.assertEq(way.totalSupply(), way.CAP(), "to the last unit");
        // What burns makes room again.
        _send(stranger, address(way), abi.encodeCall(way.burn, (5)));
        _send(address(usage), address(way), abi.encodeCall(way.mint, (stranger, 5)));
        _supplyIdentity();
    }

    function test_way_cannotStartAboveItsCap() public {
        uint256 cap = way.CAP();
        try new Way(address(1), address(2), buyer, cap + 1) {
            vm.assertTrue(false, "should have reverted");
        } catch (bytes memory reason) {
            vm.assertEq(reason, abi.encodeWithSelector(IWay.CapExceeded.selector, 0, cap + 1), "cap");
        }
    }

    function test_burn_isTheHoldersAlone() public {
        _send(buyer, address(way), abi.encodeCall(way.burn, (7)));
        vm.assertEq(way.burned(), 7, "burned");
        (bool ok,) = _try(stranger, address(way), abi.encodeCall(way.burnFrom, (buyer, 1)));
        vm.assertTrue(!ok, "without allowance");
        _supplyIdentity();
    }

    /// @dev Only votes of the past count, and only delegated ones: what is borrowed within a block counts for nothing.
    function test_votes_countFromThePastAndOnlyWhenDelegated() public {
        vm.assertEq(way.getVotes(buyer), 0, "nobody delegated");
        _send(buyer, address(way), abi.encodeCall(way.delegate, (buyer)));
        vm.assertEq(way.getVotes(buyer), GENESIS, "delegated");
        vm.warp(block.timestamp + 10);
        _send(buyer, address(way), abi.encodeCall(way.transfer, (stranger, 1e18)));
        _send(stranger, address(way), abi.encodeCall(way.delegate, (stranger)));
        vm.assertEq(way.getPastVotes(stranger, block.timestamp - 1), 0, "not at the snapshot");
        vm.assertEq(way.clock(), block.timestamp, "by timestamp");
    }

    // ------------------------------------------------------------------------------------------------- schedule

    function test_schedule_ofTheFirstYears() public pure {
        vm.assertEq(Schedule.capacityAt(0), 246_575e18, "first day");
        vm.assertEq(Schedule.capacityAt(364), 246_575e18, "last day of the first year");
        vm.assertEq(Schedule.capacityAt(365), 246_575e18 * 85 / 100, "second year");
        vm.assertEq(Schedule.capacityAt(730), 246_575e18 * 85 / 100 * 85 / 100, "third year");
        vm.assertEq(Schedule.capacityAt(500 * 365), 0, "the end");
        vm.assertEq(Schedule.bootstrapAt(0), 364_963e18, "bootstrap, first day");
        vm.assertEq(Schedule.bootstrapAt(1_094), uint256(364_963e18) / 1_095, "bootstrap, last day");
        vm.assertEq(Schedule.bootstrapAt(1_095), 0, "bootstrap, over");
    }

    /// @dev Golden sums; src/economy/emission.test.ts has the same.
    function test_schedule_sumsStayBelowTheirPartOfTheCap() public pure {
        uint256 capacity;
        for (uint256 year = 0; year < 400; ++year) {
            capacity += 365 * Schedule.capacityAt(year * 365);
        }
        uint256 bootstrap;
        for (uint256 day = 0; day < 1_100; ++day) {
            bootstrap += Schedule.bootstrapAt(day);
        }
        vm.assertLe(capacity, 600_000_000e18, "capacity");
        vm.assertLe(bootstrap, 200_000_000e18, "bootstrap");
        vm.assertGe(capacity, 599_999_000e18, "capacity is used");
        vm.assertGe(bootstrap, 199_999_000e18, "bootstrap is used");
        vm.assertLe(GENESIS + capacity + bootstrap, 1_000_000_000e18, "all within the cap");
    }

    function test_turn_mintsEachEpochOnceAfterItEnded() public {
        vm.assertEq(emissions.turn(), 0, "epoch 0 is not over");
        vm.warp(START + EPOCH - 1);
        vm.assertEq(emissions.turn(), 0, "still not");
        vm.warp(START + EPOCH);
        vm.assertEq(emissions.turn(), 1, "over");
        vm.assertEq(way.balanceOf(REWARDS), 246_575e18, "capacity");
        vm.assertEq(way.balanceOf(BOOTSTRAP), 364_963e18, "bootstrap");
        vm.assertEq(emissions.budgetOf(0).capacity, 246_575e18, "budget");
        vm.assertEq(emissions.turn(), 0, "once");
        vm.warp(START + 1_000 * EPOCH);
        vm.assertEq(emissions.turn(), 100, "in parts");
        vm.assertEq(emissions.nextEpoch(), 101, "next");
        _supplyIdentity();
    }

    /// @dev economics 3.1: 34.24 in; .10190 out in the first epoch, half after 233 epochs, all in the end.
    function test_netEmissions_impulse() public {
        _send(buyer, address(way), abi.encodeCall(way.burn, (342.4e18)));
        uint256 given;
        uint256 half;
        uint256 first;
        for (uint256 e = 0; e < 4_000; ++e) {
            vm.warp(START + (e + 1) * EPOCH);
            emissions.turn();
            uint256 back = emissions.budgetOf(e).capacity - Schedule.capacityAt(e);
            given += back;
            if (e == 0) first = back;
            if (half == 0 && 2 * given >= 34.24e18) half = e + 1;
        }
        vm.assertEq(first, uint256(34.24e18) / 336, "first epoch: .10190");
        vm.assertEq(half, 233, "half");
        vm.assertGe(given, 34.239e18, "all of it");
        vm.assertLe(given, 34.24e18, "and no more");
    }

    function test_netEmissions_areBounded() public {
        _send(buyer, address(way), abi.encodeCall(way.burn, (1_000_000e18)));
        vm.warp(START + EPOCH);
        emissions.turn();
        vm.assertEq(emissions.netPool(), 5_000e18 - uint256(5_000e18) / 336, "the rest is gone for good");
        vm.warp(START + 2 * EPOCH);
        emissions.turn();
        vm.assertEq(emissions.burnedSeen(), 1_000_000e18, "seen once");
        vm.assertLe(emissions.netPool(), 5_000e18, "not again");
    }

    /// @dev Whatever burns and whenever it is turned: supply never above genesis + schedule.
    ///      Each run is a long walk: a thousand of them take as long as all other suites together; nightly runs more.
    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: quick.fuzz.runs = 32
    function testFuzz_supply_neverExceedsGenesisAndSchedule(uint256 seed) public {
        uint256 scheduled;
        for (uint256 i = 0; i < 6; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 burn = (seed >> 128) % (way.balanceOf(buyer) / 4);
            _send(buyer, address(way), abi.encodeCall(way.burn, (burn)));
            // The usage mint at its most.
            _send(address(usage), address(way), abi.encodeCall(way.mint, (buyer, burn * 9 / 10)));
            vm.warp(block.timestamp + seed % (5 * EPOCH));
            uint256 before = emissions.nextEpoch();
            emissions.turn();
            for (uint256 e = before; e < emissions.nextEpoch(); ++e) {
                scheduled += Schedule.capacityAt(e) + Schedule.bootstrapAt(e);
            }
            vm.assertLe(way.totalSupply() + emissions.netPool(), GENESIS + scheduled, "schedule");
            _supplyIdentity();
        }
    }

    /// @dev What wallets and vote counters ask for before they sign or count.
    function test_clockAndNonces() public {
        vm.assertEq(bytes(way.CLOCK_MODE()), bytes("mode=timestamp"), "clock mode");
        vm.assertEq(way.clock(), block.timestamp, "clock");
        (address owner, uint256 key) = (vm.addr(7), 7);
        vm.assertEq(way.nonces(owner), 0, "fresh");
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 hash = keccak256(abi.encode(kind, owner, stranger, 5, 0, START + 1));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(bytes.concat(hex"1901", way.DOMAIN_SEPARATOR(), hash)));
        way.permit(owner, stranger, 5, START + 1, v, r, s);
        vm.assertEq(way.nonces(owner), 1, "used");
        vm.assertEq(way.allowance(owner, stranger), 5, "allowed");
    }

    function test_emissions_needRecipients() public {
        IWay token = IWay(address(way));
        try new Emissions(token, START, EPOCH, address(0), BOOTSTRAP) {
            vm.assertTrue(false, "should have reverted");
        } catch (bytes memory reason) {
            vm.assertEq(reason, abi.encodeWithSelector(IEmissions.EmissionsInvalid.selector), "capacity");
        }
        try new Emissions(token, START, EPOCH, REWARDS, address(0)) {
            vm.assertTrue(false, "should have reverted");
        } catch (bytes memory reason) {
            vm.assertEq(reason, abi.encodeWithSelector(IEmissions.EmissionsInvalid.selector), "bootstrap");
        }
    }
}
