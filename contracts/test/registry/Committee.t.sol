// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Role, Statement} from "../../interfaces/IRegistry.sol";
import {Committee} from "../../src/registry/Committee.sol";
import {CommitteeFixture} from "../utils/CommitteeFixture.sol";

/// @title Who is drawn, and what counts as agreed
contract CommitteeTest is CommitteeFixture {
    bytes32 private _topic;

    function setUp() public override {
        super.setUp();
        _topic = committee.summon("label");
    }

    function _agreed(Statement memory statement, uint256 signers, bytes32[2][] memory signatures)
        private
        view
        returns (bool)
    {
        return committee.agreed(_topic, statement, signers, signatures);
    }

    function test_draw_isAfterTheCallAndOnce() public {
        bytes memory data = abi.encodeCall(committee.draw, (_topic));
        bytes memory cannot = abi.encodeWithSelector(Committee.CannotDraw.selector, _topic);
        _sendReverts(eve, address(committee), data, cannot);
        vm.roll(block.number + committee.WAIT());
        _sendReverts(eve, address(committee), data, cannot);
        vm.roll(block.number + 1);
        committee.draw(_topic);
        vm.assertEq(committee.membersOf(_topic).length, SIZE, "four members");
        _sendReverts(eve, address(committee), data, cannot);
        bytes32 unknown = bytes32("never called");
        data = abi.encodeCall(committee.draw, (unknown));
        _sendReverts(eve, address(committee), data, abi.encodeWithSelector(Committee.CannotDraw.selector, unknown));
    }

    function test_summon_againOnlyIfTheBlockIsForgotten() public {
        bytes memory again = abi.encodeCall(committee.summon, ("label"));
        bytes memory called = abi.encodeWithSelector(Committee.AlreadyCalled.selector, _topic);
        _sendReverts(address(this), address(committee), again, called);
        vm.roll(block.number + 100);
        _sendReverts(address(this), address(committee), again, called);
        vm.roll(block.number + 10_000);
        committee.summon("label");
        _draw(_topic);
        vm.roll(block.number + 10_000);
        _sendReverts(address(this), address(committee), again, called);
        // Another's label is another topic.
        _send(eve, address(committee), again);
    }

    function test_draw_membersDifferAndEveryoneIsDrawnAlike() public {
        uint256[PROBERS] memory counts;
        for (uint256 i = 0; i < 140; ++i) {
            bytes32 topic = committee.summon(bytes32(i + 1));
            _draw(topic);
            address[] memory members = committee.membersOf(topic);
            for (uint256 j = 0; j < members.length; ++j) {
                ++counts[uint160(members[j]) - 0x9B000];
                for (uint256 k = 0; k < j; ++k) {
                    vm.assertTrue(members[j] != members[k], "nobody twice");
                }
            }
        }
        // 140 draws of 4 of 7: 80 each, standard deviation 5.9.
        for (uint256 i = 0; i < PROBERS; ++i) {
            vm.assertTrue(counts[i] > 50 && counts[i] < 110, "within five standard deviations");
        }
    }

    /// @dev The hash is known one block after the seed; nobody may come, leave or move to use that.
    function test_draw_nobodyGetsInWhoKnowsTheHash() public {
        for (uint256 i = 4; i < PROBERS; ++i) {
            _unbond(probers[i], probers[i], MINIMUM, address(0));
        }
        bytes32[4] memory topics;
        for (uint256 i = 0; i < topics.length; ++i) {
            topics[i] = committee.summon(bytes32(i + 1));
        }
        vm.roll(block.number + committee.WAIT() + 1);
        // Four of these stand in places that are older than the call; who stands in them is not.
        for (uint256 i = 0; i < 12; ++i) {
            address late = address(uint160(0x1A7E0 + i));
            _fundWay(late, MINIMUM);
            _operator(late, Role.Prober, MINIMUM);
        }
        for (uint256 i = 0; i < topics.length; ++i) {
            address[] memory members = committee.draw(topics[i]);
            vm.assertEq(members.length, 4, "all who were there");
            for (uint256 j = 0; j < members.length; ++j) {
                vm.assertTrue(uint160(members[j]) >= 0x9B000 && uint160(members[j]) < 0x9B004, "and nobody else");
            }
        }
    }

    function test_draw_nobodyToDraw() public {
        for (uint256 i = 0; i < PROBERS; ++i) {
            _unbond(probers[i], probers[i], MINIMUM, address(0));
        }
        vm.roll(block.number + 3);
        bytes memory data = abi.encodeCall(committee.draw, (_topic));
        _sendReverts(eve, address(committee), data, abi.encodeWithSelector(Committee.NoProbers.selector));
    }

    function test_draw_fewerThanTheSize() public {
        for (uint256 i = 2; i < PROBERS; ++i) {
            _unbond(probers[i], probers[i], MINIMUM, address(0));
        }
        _draw(_topic);
        vm.assertEq(committee.membersOf(_topic).length, 2, "both");
        vm.assertEq(committee.quorumOf(_topic), 1, "f = 0: one signature");
    }

    function test_agreed_needsAQuorumOfDistinctMembers() public {
        Statement memory statement = _said(1, "root");
        (uint256 signers, bytes32[2][] memory none) = (0, new bytes32[2][](0));
        vm.assertTrue(!_agreed(statement, 0, none), "nobody before the draw");
        _draw(_topic);
        vm.assertEq(committee.quorumOf(_topic), 3, "2f + 1 of 4");
        bytes32[2][] memory signatures;
        (signers, signatures) = _signedBy(_topic, statement, 3);
        vm.assertTrue(_agreed(statement, signers, signatures), "three");
        vm.assertTrue(!_agreed(_said(1, "other"), signers, signatures), "of this statement");
        vm.assertTrue(!_agreed(statement, signers | 1 << 3, signatures), "a bit without a signature");
        vm.assertTrue(!_agreed(statement, signers & ~uint256(1), signatures), "a signature without a bit");
        vm.assertTrue(!_agreed(statement, signers | 1 << 200, signatures), "a bit without a member");
        (signers, signatures) = _signedBy(_topic, statement, 2);
        vm.assertTrue(!_agreed(statement, signers, signatures), "two are too few");
        bytes32[2][] memory repeated = new bytes32[2][](3);
        (repeated[0], repeated[1], repeated[2]) = (signatures[0], signatures[0], signatures[1]);
        vm.assertTrue(!_agreed(statement, 7, repeated), "nobody signs for another");
        vm.assertEq(committee.named(_topic, 5).length, 2, "the members behind a bitmap");
        vm.assertEq(committee.named(_topic, 5)[1], committee.membersOf(_topic)[2], "by their bits");
    }

    function test_agreed_membersMustBeInStanding() public {
        _draw(_topic);
        Statement memory statement = _said(1, "root");
        (uint256 signers, bytes32[2][] memory signatures) = _signedBy(_topic, statement, 3);
        vm.assertTrue(_agreed(statement, signers, signatures), "in standing");
        address member = committee.membersOf(_topic)[1];
        bytes memory retire = abi.encodeCall(registry.retireKey, (vm.addr(_keyOf(member))));
        _send(member, address(registry), retire);
        vm.assertTrue(!_agreed(statement, signers, signatures), "a retired key signs nothing");
        _topic = committee.summon("second");
        _draw(_topic);
        member = committee.membersOf(_topic)[0];
        if (!registry.keyActive(vm.addr(_keyOf(member)))) member = committee.membersOf(_topic)[2];
        _unbond(member, member, MINIMUM, address(0));
        (signers, signatures) = _signedBy(_topic, statement, 4);
        vm.assertTrue(!_agreed(statement, signers, signatures), "nor who has no stake");
    }

    function test_constructor_bounds() public {
        for (uint256 i = 0; i < 2; ++i) {
            uint256 size = i * 256;
            try new Committee(address(registry), size) {
                vm.assertTrue(false, "a size that does not fit");
            } catch (bytes memory reason) {
                vm.assertEq(reason, abi.encodeWithSelector(Committee.SizeInvalid.selector, size), "size");
            }
        }
    }
}
