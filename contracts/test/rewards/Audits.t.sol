// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Profile, Role} from "../../interfaces/IRegistry.sol";
import {Audits} from "../../src/rewards/Audits.sol";
import {CommitteeFixture} from "../utils/CommitteeFixture.sol";

/// @title What is proved of an operator, and what a false claim costs
contract AuditsTest is CommitteeFixture {
    function _called() private returns (bytes32 topic) {
        topic = audits.summon(ann);
        _draw(topic);
    }

    function _reportOf(bytes32 topic, uint256 number, uint32 mbps, uint256 count) private view returns (bytes memory) {
        (uint256 signers, bytes32[2][] memory signatures) =
            _signedBy(topic, audits.statementOf(ann, number, mbps), count);
        return abi.encodeCall(audits.report, (ann, number, mbps, signers, signatures));
    }

    function test_report_keepsWhatWasProvedForAWhile() public {
        bytes32 topic = _called();
        _send(eve, address(audits), _reportOf(topic, 0, 80, 3));
        vm.assertEq(audits.provenMbps(ann), 80, "proved");
        (uint256 bonded,) = registry.stakeOf(ann);
        vm.assertEq(bonded, 10_000e18, "no fault");
        vm.warp(START + 15 * EPOCH - 1);
        vm.assertEq(audits.provenMbps(ann), 80, "still good");
        vm.warp(START + 15 * EPOCH);
        vm.assertEq(audits.provenMbps(ann), 0, "too long ago");
        vm.assertEq(audits.provenMbps(bob), 0, "never");
    }

    function test_report_belowHalfOfTheClaimIsSlashed() public {
        _send(eve, address(audits), _reportOf(_called(), 0, 50, 3));
        (uint256 bonded,) = registry.stakeOf(ann);
        vm.assertEq(bonded, 10_000e18, "half is no fault");
        vm.warp(START + EPOCH);
        bytes32 topic = _called();
        // Lowering the claim after the call helps nobody.
        Profile memory profile = _profile(ann, Role.Provider);
        profile.mbps = 1;
        _send(ann, address(registry), abi.encodeCall(registry.setProfile, (profile)));
        _send(eve, address(audits), _reportOf(topic, 1, 49, 3));
        (bonded,) = registry.stakeOf(ann);
        vm.assertEq(bonded, 9_500e18, "5 %");
        vm.assertEq(registry.creditOf(eve), 250e18, "half of it to who brought it");
        vm.assertEq(audits.provenMbps(ann), 49, "and that is what is proved");
    }

    function test_report_onceWithQuorumAndOnlyWhenCalled() public {
        bytes32 topic = _called();
        vm.assertEq(topic, committee.topicOf(address(audits), audits.labelOf(ann, 0)), "its topic");
        bytes memory data = abi.encodeCall(audits.summon, (ann));
        _sendReverts(eve, address(audits), data, abi.encodeWithSelector(Audits.AlreadyCalled.selector, ann, 0));
        data = _reportOf(topic, 0, 80, 2);
        _sendReverts(eve, address(audits), data, abi.encodeWithSelector(Audits.NoQuorum.selector));
        data = _reportOf(topic, 1, 80, 3);
        _sendReverts(eve, address(audits), data, abi.encodeWithSelector(Audits.NotCalled.selector, ann, 1));
        data = _reportOf(topic, 0, 80, 3);
        _send(eve, address(audits), data);
        _sendReverts(eve, address(audits), data, abi.encodeWithSelector(Audits.NotCalled.selector, ann, 0));
    }

    function test_report_anOlderOneDoesNotReplaceANewer() public {
        bytes32 first = _called();
        vm.warp(START + EPOCH);
        bytes32 second = _called();
        _send(eve, address(audits), _reportOf(second, 1, 90, 3));
        _send(eve, address(audits), _reportOf(first, 0, 70, 3));
        vm.assertEq(audits.provenMbps(ann), 90, "the newer");
    }
}
