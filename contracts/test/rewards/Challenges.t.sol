// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EpochRoots, Leaf} from "../../src/rewards/EpochRoots.sol";
import {RootsFixture} from "../utils/RootsFixture.sol";

/// @title Roots that are doubted, and roots that contradict themselves
contract ChallengesTest is RootsFixture {
    // -------------------------------------------------------------------------------------------- challenge, appeal

    function test_C13_challengedOnceAndUpToTheLastSecondOfTheWindow() public {
        _propose(0, 300e18, 200e18);
        uint256 endsAt = roots.pending().endsAt;
        bytes memory data = abi.encodeCall(roots.challenge, ());
        vm.warp(endsAt);
        _sendReverts(bob, address(roots), data, abi.encodeWithSelector(EpochRoots.WindowOver.selector, endsAt));
        vm.warp(endsAt - 1);
        _challenge();
        _sendReverts(eve, address(roots), data, abi.encodeWithSelector(EpochRoots.AlreadyChallenged.selector));
    }

    function test_rule_thatAgreesMakesItFinalAtTheChallengersCost() public {
        _propose(0, 300e18, 200e18);
        bytes memory early = abi.encodeCall(roots.rule, (0, 0, 0, new bytes32[2][](0)));
        _sendReverts(eve, address(roots), early, abi.encodeWithSelector(EpochRoots.NotChallenged.selector));
        _challenge();
        uint256 stakes = _stakeOfAll();
        uint256 supply = way.totalSupply();
        _send(dan, address(roots), _ruling(0, _root(300e18, 200e18), 500e18));
        vm.assertEq(roots.root(), _root(300e18, 200e18), "final");
        vm.assertEq(roots.credits(eve), BOND + BOND / 2, "her bond and half of his");
        vm.assertEq(roots.credits(bob), 0, "nothing");
        vm.assertEq(supply - way.totalSupply(), BOND / 2, "half is burnt");
        vm.assertEq(_stakeOfAll(), stakes, "nobody is slashed");
    }

    function test_rule_thatDiffersDropsItAndSlashesWhoSigned() public {
        _propose(0, 300e18, 200e18);
        _challenge();
        uint256 stakes = _stakeOfAll();
        _send(dan, address(roots), _ruling(0, _root(300e18, 100e18), 400e18));
        vm.assertEq(roots.root(), 0, "not final");
        vm.assertEq(roots.attempt(), 1, "another try");
        vm.assertEq(stakes - _stakeOfAll(), 3 * MINIMUM / 2, "half of the stake of three signers");
        vm.assertEq(roots.credits(bob), BOND + BOND / 2, "his bond and half of hers");
        vm.assertEq(registry.creditOf(bob), 3 * MINIMUM / 4, "and the reporter's share");
        // The next try has a committee and a stream of its own: correcting oneself is no equivocation.
        _propose(0, 300e18, 100e18);
    }

    function test_rule_notWithoutQuorumNorAfterItsTime() public {
        _propose(0, 300e18, 200e18);
        _challenge();
        bytes memory none = abi.encodeCall(roots.rule, (0, 0, 0, new bytes32[2][](0)));
        _sendReverts(eve, address(roots), none, abi.encodeWithSelector(EpochRoots.NoQuorum.selector));
        bytes memory ruling = _ruling(0, _root(300e18, 200e18), 500e18);
        uint256 endsAt = roots.pending().endsAt;
        vm.warp(endsAt);
        _sendReverts(eve, address(roots), ruling, abi.encodeWithSelector(EpochRoots.WindowOver.selector, endsAt));
        roots.settle();
        vm.assertEq(roots.root(), 0, "an appeal without ruling drops the root");
        vm.assertEq(roots.credits(eve), BOND, "and returns her bond");
        vm.assertEq(roots.credits(bob), BOND, "and his");
        vm.assertEq(way.balanceOf(address(roots)), FUNDS + 2 * BOND, "all there");
    }

    // ----------------------------------------------------------------------------------------------------- refuting

    function _refutes(Leaf memory a, Leaf memory b, bool inFinal) private {
        uint256 stakes = _stakeOfAll();
        _send(bob, address(roots), abi.encodeCall(roots.refute, (a, b, inFinal)));
        vm.assertGe(stakes, _stakeOfAll() + MINIMUM, "the signers pay");
        vm.assertEq(roots.credits(bob), BOND / 2, "half the bond to who showed it");
        vm.assertEq(roots.credits(address(0)), 0, "and nothing to a challenger there was not");
        vm.assertEq(roots.pending().proposer, address(0), "dropped");
    }

    function test_refute_leavesBeyondTheTotal() public {
        bytes32 topic = _committeeFor(0);
        _send(eve, address(roots), _proposal(topic, 0, _root(600e18, 500e18), 1_000e18, 3));
        _refutes(_annLeaf(600e18, 500e18), _danLeaf(600e18, 500e18), false);
    }

    function test_refute_oneLeafBeyondTheTotal() public {
        bytes32 topic = _committeeFor(0);
        _send(eve, address(roots), _proposal(topic, 0, _root(600e18, 500e18), 599e18, 3));
        _refutes(_annLeaf(600e18, 500e18), _annLeaf(600e18, 500e18), false);
    }

    function test_refute_twoLeavesOfOneOperator() public {
        bytes32 topic = _committeeFor(0);
        bytes32 root = _pair(_leafHash(ann, 1e18), _leafHash(ann, 2e18));
        _send(eve, address(roots), _proposal(topic, 0, root, 3e18, 3));
        _refutes(_single(ann, 1e18, _leafHash(ann, 2e18)), _single(ann, 2e18, _leafHash(ann, 1e18)), false);
    }

    function test_refute_whatFell() public {
        _final(0, 300e18, 200e18);
        _send(eve, address(roots), abi.encodeCall(roots.collect, ()));
        _propose(1, 299e18, 300e18);
        _refutes(_annLeaf(299e18, 300e18), _annLeaf(300e18, 200e18), true);
    }

    function test_refute_whatFellBelowAClaim() public {
        _final(0, 300e18, 200e18);
        roots.claim(_annLeaf(300e18, 200e18));
        _propose(1, 299e18, 300e18);
        _refutes(_annLeaf(299e18, 300e18), _danLeaf(299e18, 300e18), false);
    }

    function test_refute_whileAnAppealRuns() public {
        _propose(0, 600e18, 400e18);
        vm.warp(block.timestamp + WINDOW);
        roots.settle();
        _propose(1, 500e18, 500e18);
        _challenge();
        vm.prank(dan);
        roots.refute(_annLeaf(500e18, 500e18), _annLeaf(600e18, 400e18), true);
        vm.assertEq(roots.credits(bob), BOND, "the challenger was right too");
        vm.assertEq(roots.credits(dan), BOND / 2, "who showed it");
    }

    function test_refute_nothingThatIsTrue() public {
        _final(0, 300e18, 200e18);
        _propose(1, 400e18, 300e18);
        bytes memory expected = abi.encodeWithSelector(EpochRoots.NoContradiction.selector);
        Leaf memory a = _annLeaf(400e18, 300e18);
        Leaf memory b = _danLeaf(400e18, 300e18);
        _sendReverts(bob, address(roots), abi.encodeCall(roots.refute, (a, b, false)), expected);
        _sendReverts(bob, address(roots), abi.encodeCall(roots.refute, (a, a, false)), expected);
        _sendReverts(bob, address(roots), abi.encodeCall(roots.refute, (a, _annLeaf(300e18, 200e18), true)), expected);
        expected = abi.encodeWithSelector(EpochRoots.ProofInvalid.selector, ann);
        bytes memory foreign = abi.encodeCall(roots.refute, (a, _annLeaf(1, 2), false));
        _sendReverts(bob, address(roots), foreign, expected);
    }
}
