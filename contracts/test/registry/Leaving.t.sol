// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Role} from "../../interfaces/IRegistry.sol";
import {Parameters} from "../../src/governance/Parameters.sol";
import {Registry} from "../../src/registry/Registry.sol";
import {StakeFixture} from "../utils/StakeFixture.sol";

/// @title Leaving with everything, whatever is broken, with the parameters as they are deployed
contract LeavingTest is StakeFixture {
    Parameters private governed;
    address private guardian = address(0x6A4D);

    function setUp() public override {
        super.setUp();
        // The timelock is an address nobody has a key of.
        governed = new Parameters(address(0xDEAD), guardian);
        registry = new Registry(address(way), address(governed), address(this));
        _seal(judge);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(i == 0 ? ann : dan);
            way.approve(address(registry), type(uint256).max);
        }
        _operator(ann, Role.Both, 10_000e18);
        _stake(dan, ann, 5_000e18);
    }

    /// @dev Every name the stake contracts read is in the table: none of them can revert for want of it.
    function test_parameters_everyNameIsGoverned() public view {
        bytes32[10] memory names = [
            bytes32("stakeProvider"),
            "stakeProber",
            "stakePerMbps",
            "unbonding",
            "reporterShare",
            "slashEquivocation",
            "slashAudit",
            "slashRoot",
            "challengeWindow",
            "rootBond"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            governed.get(names[i]);
        }
        bytes32[5] memory more =
            [bytes32("multiplierMin"), "multiplierMax", "multiplierNotice", "capacityPenalty", "slaDeviation"];
        for (uint256 i = 0; i < more.length; ++i) {
            governed.get(more[i]);
        }
        vm.assertTrue(registry.isActive(ann, Role.Provider) && registry.isActive(ann, Role.Prober), "in standing");
    }

    /// @dev Paused, the timelock's keys lost, no judge, no prober and no other operator left to act.
    function test_C36_everybodyLeavesWithinTheUnbondingTime() public {
        vm.prank(guardian);
        governed.pauseDeposits();
        vm.etch(judge, "");
        uint256 first = _unbond(dan, ann, _sharesOf(ann, dan), address(0));
        uint256 second = _unbond(ann, ann, _sharesOf(ann, ann), address(0));
        vm.assertLe(registry.unbondingSeconds(), registry.MAX_UNBONDING(), "a stated time");
        vm.warp(block.timestamp + registry.unbondingSeconds());
        registry.release(first);
        registry.release(second);
        address fresh = address(0xF4E54);
        _send(dan, address(registry), abi.encodeCall(registry.collect, (fresh)));
        _send(ann, address(registry), abi.encodeCall(registry.collect, (fresh)));
        vm.assertEq(way.balanceOf(fresh), 15_000e18, "all of it");
        vm.assertEq(registry.totalStake(), 0, "nothing stays");
        vm.assertEq(way.balanceOf(address(registry)), 0, "nor is left");
    }

    /// @dev An operator that was slashed to nothing keeps nobody.
    function test_C36_delegatorsLeaveAPunishedOperator() public {
        _slash(ann, 5_000);
        uint256 id = _unbond(dan, ann, _sharesOf(ann, dan), address(0));
        _slash(ann, 5_000);
        vm.warp(block.timestamp + registry.unbondingSeconds());
        vm.assertEq(registry.release(id), 1_250e18, "what two slashes left");
    }
}
