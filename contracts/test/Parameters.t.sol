// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParameters, Issuance, Parameter} from "../interfaces/IParameters.sol";
import {ParameterTable} from "../src/governance/ParameterTable.sol";
import {Parameters} from "../src/governance/Parameters.sol";
import {Test} from "./utils/Test.sol";

/// @title Bounds, and who may do what
contract ParametersTest is Test {
    address private constant TIMELOCK = address(0x71);
    address private constant GUARDIAN = address(0x6A);
    address private constant STRANGER = address(0x57);

    Parameters private parameters;

    function setUp() public {
        vm.warp(1_800_000_000);
        parameters = new Parameters(TIMELOCK, GUARDIAN);
    }

    function _set(bytes32 name, uint256 from, uint256 to) private pure returns (bytes memory) {
        return abi.encodeCall(IParameters.set, (name, from, to));
    }

    function test_parameters_startAsTheTableSays() public view {
        bytes32[] memory names = parameters.names();
        Parameter[] memory table = ParameterTable.all();
        vm.assertEq(names.length, table.length, "names");
        for (uint256 i = 0; i < names.length; ++i) {
            Parameter memory found = parameters.parameter(names[i]);
            vm.assertEq(keccak256(abi.encode(found)), keccak256(abi.encode(table[i])), "row");
            vm.assertEq(parameters.get(names[i]), table[i].initial, "value");
        }
    }

    /// @dev economics 7.11: what no vote may ever do.
    function test_parameters_keepTheBoundsOfTheDesign() public view {
        vm.assertEq(parameters.parameter("remint").max, 9_000, "remint, below kappa's .95");
        vm.assertEq(parameters.parameter("burnShare").min, 500, "burn share, least");
        vm.assertEq(parameters.parameter("burnShare").max, 10_000, "burn share, most");
        vm.assertEq(parameters.get("burnShare"), 1_000, "burn share");
        vm.assertGe(parameters.parameter("feeStep").min * 64, 10_000, "d, least 1/64");
        vm.assertEq(parameters.parameter("feeStep").max, 2_500, "d, most 1/4");
        vm.assertEq(parameters.parameter("multiplierMin").min, 10_000, "m, least 1");
        vm.assertEq(parameters.parameter("multiplierMax").max, 50_000, "m, most 5");
        vm.assertEq(parameters.parameter("slashEquivocation").max, 10_000, "slash, most all");
        vm.assertEq(parameters.parameter("reporterShare").max, 5_000, "reporter, most half");
        vm.assertEq(uint256(parameters.parameter("remint").issuance), uint256(Issuance.RisesWithIt), "remint up");
        vm.assertEq(uint256(parameters.parameter("burnShare").issuance), uint256(Issuance.FallsWithIt), "burn down");
    }

    function test_set_changesAValueWithinItsBounds() public {
        _send(TIMELOCK, address(parameters), _set("burnShare", 1_000, 10_000));
        vm.assertEq(parameters.get("burnShare"), 10_000, "up");
        _send(TIMELOCK, address(parameters), _set("burnShare", 10_000, 500));
        vm.assertEq(parameters.get("burnShare"), 500, "down");
    }

    function test_set_revertsIfNotTheTimelock() public {
        bytes memory expected = abi.encodeWithSelector(IParameters.NotTimelock.selector, STRANGER);
        _sendReverts(STRANGER, address(parameters), _set("burnShare", 1_000, 2_000), expected);
        expected = abi.encodeWithSelector(IParameters.NotTimelock.selector, GUARDIAN);
        _sendReverts(GUARDIAN, address(parameters), _set("burnShare", 1_000, 2_000), expected);
    }

    function test_set_revertsOutsideTheBounds() public {
        bytes4 outside = IParameters.ParameterOutOfBounds.selector;
        bytes memory expected = abi.encodeWithSelector(outside, bytes32("burnShare"), 499, 500, 10_000);
        _sendReverts(TIMELOCK, address(parameters), _set("burnShare", 1_000, 499), expected);
        expected = abi.encodeWithSelector(outside, bytes32("burnShare"), 10_001, 500, 10_000);
        _sendReverts(TIMELOCK, address(parameters), _set("burnShare", 1_000, 10_001), expected);
    }

    /// @dev Two proposals that each lower issuance alone could raise it in sequence: the second no longer applies.
    function test_set_revertsIfTheValueMovedMeanwhile() public {
        _send(TIMELOCK, address(parameters), _set("remint", 9_000, 5_000));
        bytes memory expected =
            abi.encodeWithSelector(IParameters.ParameterMoved.selector, bytes32("remint"), 9_000, 5_000);
        _sendReverts(TIMELOCK, address(parameters), _set("remint", 9_000, 8_500), expected);
    }

    function test_get_revertsForAnUnknownName() public {
        bytes memory expected = abi.encodeWithSelector(IParameters.ParameterUnknown.selector, bytes32("burnshare"));
        _sendReverts(STRANGER, address(parameters), abi.encodeCall(IParameters.get, ("burnshare")), expected);
        _sendReverts(STRANGER, address(parameters), abi.encodeCall(IParameters.parameter, ("burnshare")), expected);
        _sendReverts(TIMELOCK, address(parameters), _set("burnshare", 0, 0), expected);
    }

    /// @dev No parameter leaves its bounds in any sequence of changes that get through.
    function testFuzz_set_neverLeavesTheBounds(uint256 seed) public {
        bytes32[] memory names = parameters.names();
        for (uint256 i = 0; i < 16; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            Parameter memory row = parameters.parameter(names[seed % names.length]);
            uint256 to = (seed >> 8) % (2 * uint256(row.max) + 2);
            (bool ok,) = _try(TIMELOCK, address(parameters), _set(row.name, parameters.get(row.name), to));
            vm.assertEq(ok ? 1 : 0, to >= row.min && to <= row.max ? 1 : 0, "taken if within");
            vm.assertGe(parameters.get(row.name), row.min, "least");
            vm.assertLe(parameters.get(row.name), row.max, "most");
        }
    }

    function test_pauseDeposits_lastsAWeekAndCannotBeChained() public {
        bytes memory pause = abi.encodeCall(IParameters.pauseDeposits, ());
        uint256 until = block.timestamp + 7 days;
        _send(GUARDIAN, address(parameters), pause);
        vm.assertEq(parameters.pausedUntil(), until, "a week");
        vm.warp(until + 7 days - 1);
        bytes memory expected = abi.encodeWithSelector(IParameters.PauseTooSoon.selector, until + 7 days);
        _sendReverts(GUARDIAN, address(parameters), pause, expected);
        vm.warp(until + 7 days);
        _send(GUARDIAN, address(parameters), pause);
        vm.assertEq(parameters.pausedUntil(), until + 14 days, "again");
    }

    function test_pauseDeposits_revertsIfNotTheGuardian() public {
        bytes memory pause = abi.encodeCall(IParameters.pauseDeposits, ());
        bytes memory expected = abi.encodeWithSelector(IParameters.NotGuardian.selector, STRANGER);
        _sendReverts(STRANGER, address(parameters), pause, expected);
        expected = abi.encodeWithSelector(IParameters.NotGuardian.selector, TIMELOCK);
        _sendReverts(TIMELOCK, address(parameters), pause, expected);
    }

    function test_setGuardian_isTheTimelocksAlone() public {
        bytes memory change = abi.encodeCall(IParameters.setGuardian, (STRANGER));
        bytes memory expected = abi.encodeWithSelector(IParameters.NotTimelock.selector, GUARDIAN);
        _sendReverts(GUARDIAN, address(parameters), change, expected);
        _send(TIMELOCK, address(parameters), change);
        vm.assertEq(parameters.guardian(), STRANGER, "guardian");
    }
}
