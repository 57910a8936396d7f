// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRegistry, Statement} from "../../interfaces/IRegistry.sol";
import {EpochRoots, Leaf, Proposal} from "../../src/rewards/EpochRoots.sol";
import {RootsFixture} from "../utils/RootsFixture.sol";

/// @title Roots, and every way to be paid more than they say
contract EpochRootsTest is RootsFixture {
    // ---------------------------------------------------------------------------- C28: proofs of what is not there

    function test_C28_aLeafIsPaidOnce() public {
        _final(0, 600e18, 400e18);
        vm.assertEq(roots.claim(_annLeaf(600e18, 400e18)), 600e18, "paid");
        vm.assertEq(roots.claim(_annLeaf(600e18, 400e18)), 0, "once");
        vm.assertEq(roots.claim(_danLeaf(600e18, 400e18)), 400e18, "and so is the other");
        vm.assertEq(way.balanceOf(address(roots)), roots.bonds(), "all that was funded is out");
    }

    function test_C28_everyBitOfAProofCounts(uint256 bit) public {
        _final(0, 600e18, 400e18);
        Leaf memory leaf = _annLeaf(600e18, 400e18);
        leaf.proof[0] ^= bytes32(1 << (bit % 256));
        _refuseLeaf(leaf);
        leaf = _annLeaf(600e18, 400e18);
        leaf.cumulative ^= 1 << (bit % 256);
        _refuseLeaf(leaf);
        leaf = _annLeaf(600e18, 400e18);
        leaf.operator = dan;
        _refuseLeaf(leaf);
        vm.assertEq(roots.claim(_annLeaf(600e18, 400e18)), 600e18, "the true one works");
    }

    /// @dev With leaves hashed once, the 64 bytes of two children would read as (operator, cumulative).
    function test_C28_anInnerNodeIsNoLeaf() public {
        // Four leaves: the inner node of ann and dan on one side, of two others on the other.
        bytes32 left = _leafHash(ann, 1e18);
        bytes32 right = _leafHash(dan, 2e18);
        bytes32 other = _pair(_leafHash(eve, 3e18), _leafHash(bob, 4e18));
        bytes32 root = _pair(_pair(left, right), other);
        bytes32 topic = _committeeFor(0);
        _send(eve, address(roots), _proposal(topic, 0, root, 10e18, 3));
        vm.warp(block.timestamp + WINDOW);
        roots.settle();
        (bytes32 low, bytes32 high) = left < right ? (left, right) : (right, left);
        // The same 64 bytes, cut to an address: a hash that fits 160 bits is found by trying 2^96 leaves.
        Leaf memory leaf =
            Leaf({operator: address(uint160(uint256(low))), cumulative: uint256(high), proof: _proof(other)});
        _refuseLeaf(leaf);
        // The single hash of a leaf's own 64 bytes, as a broken tree would have it, is no leaf either.
        bytes32 single = keccak256(abi.encode(ann, uint256(5e18)));
        root = _pair(single, other);
        topic = _committeeFor(1 + roots.epochOfRoot());
        _send(eve, address(roots), _proposal(topic, 1, root, 10e18, 3));
        vm.warp(block.timestamp + WINDOW);
        roots.settle();
        _refuseLeaf(Leaf({operator: ann, cumulative: 5e18, proof: _proof(other)}));
    }

    // ------------------------------------------------------------------ C29: a new root, another, one that is too big

    function test_C29_aNewRootDoesNotResetClaims() public {
        _final(0, 300e18, 200e18);
        vm.assertEq(roots.claim(_annLeaf(300e18, 200e18)), 300e18, "the first epoch");
        _final(1, 500e18, 300e18);
        vm.assertEq(roots.claim(_annLeaf(500e18, 300e18)), 200e18, "only what is new");
        vm.assertEq(roots.claimed(ann), 500e18, "claimed");
        // A leaf that is lower than what was claimed pays nothing and takes nothing.
        _final(2, 400e18, 400e18);
        vm.assertEq(roots.claim(_annLeaf(400e18, 400e18)), 0, "nothing");
        vm.assertEq(roots.claimed(ann), 500e18, "never falls");
        _refuseLeaf(_annLeaf(500e18, 300e18));
    }

    function test_C29_anEpochHasOneRoot() public {
        _propose(0, 300e18, 200e18);
        bytes32 topic = committee.topicOf(address(roots), roots.labelOf(roots.ROOT(), 0));
        bytes memory again = _proposal(topic, 0, _root(500e18, 0), 500e18, 3);
        _sendReverts(eve, address(roots), again, abi.encodeWithSelector(EpochRoots.ProposalPending.selector));
        vm.warp(block.timestamp + WINDOW);
        roots.settle();
        bytes memory expected = abi.encodeWithSelector(EpochRoots.EpochNotNew.selector, 0, 0);
        _sendReverts(eve, address(roots), again, expected);
        _sendReverts(eve, address(roots), abi.encodeCall(roots.summon, (0)), expected);
    }

    function test_C29_aTotalBeyondTheFundsIsRefused() public {
        bytes32 topic = _committeeFor(0);
        bytes memory data = _proposal(topic, 0, _root(FUNDS, 1), FUNDS + 1, 3);
        bytes4 selector = EpochRoots.TotalInvalid.selector;
        _sendReverts(eve, address(roots), data, abi.encodeWithSelector(selector, FUNDS + 1, 0, FUNDS));
        _send(eve, address(roots), _proposal(topic, 0, _root(FUNDS, 0), FUNDS, 3));
        vm.assertEq(roots.funded(), FUNDS, "a bond is no funding");
        vm.warp(block.timestamp + WINDOW);
        roots.settle();
        topic = _committeeFor(1);
        data = _proposal(topic, 1, _root(FUNDS - 1, 0), FUNDS - 1, 3);
        _sendReverts(eve, address(roots), data, abi.encodeWithSelector(selector, FUNDS - 1, FUNDS, FUNDS));
    }

    /// @dev The leaves say 1,000 each, the total says 1,000.
    function test_C29_leavesBeyondTheTotalAreNotPaid() public {
        bytes32 topic = _committeeFor(0);
        _send(eve, address(roots), _proposal(topic, 0, _root(FUNDS, FUNDS), FUNDS, 3));
        vm.warp(block.timestamp + WINDOW);
        roots.settle();
        vm.assertEq(roots.claim(_annLeaf(FUNDS, FUNDS)), FUNDS, "the first takes all there is");
        bytes memory data = abi.encodeCall(roots.claim, (_danLeaf(FUNDS, FUNDS)));
        bytes memory expected = abi.encodeWithSelector(EpochRoots.TotalInvalid.selector, 2 * FUNDS, 0, FUNDS);
        _sendReverts(eve, address(roots), data, expected);
    }

    // ------------------------------------------------------------------------ C30: more, a little at a time, over epochs

    /// @dev Twenty-four epochs of random growth, claims in and out of turn, operators that leave and come back.
    /// forge-config: default.fuzz.runs = 100
    /// forge-config: quick.fuzz.runs = 16
    function test_C30_nobodyGetsMoreOverManyRoundsThanTheLastRootSays(uint256 seed) public {
        uint256[2] memory cumulative;
        uint256 received;
        for (uint256 number = 0; number < 24; ++number) {
            seed = uint256(keccak256(abi.encode(seed)));
            cumulative[0] += seed % 15e18;
            cumulative[1] += (seed >> 64) % 15e18;
            _final(number, cumulative[0], cumulative[1]);
            if (seed & 1 << 128 != 0) received += roots.claim(_annLeaf(cumulative[0], cumulative[1]));
            if (seed & 1 << 129 != 0) received += roots.claim(_danLeaf(cumulative[0], cumulative[1]));
            if (seed & 1 << 130 != 0) received += roots.claim(_annLeaf(cumulative[0], cumulative[1]));
            if (seed & 1 << 131 != 0 && _sharesOf(dan, dan) > 4) {
                _unbond(dan, dan, _sharesOf(dan, dan) / 2, address(0));
            }
            vm.assertLe(roots.claimed(ann), cumulative[0], "ann, at most her leaf");
            vm.assertLe(roots.claimed(dan), cumulative[1], "dan, at most his");
            vm.assertEq(roots.paid(), received, "what was paid");
            vm.assertLe(roots.paid(), roots.total(), "at most the total");
        }
        received += roots.claim(_annLeaf(cumulative[0], cumulative[1]))
        + roots.claim(_danLeaf(cumulative[0], cumulative[1]));
        vm.assertEq(received, cumulative[0] + cumulative[1], "in the end exactly that");
    }

    function test_challengeSeconds_isNeverLongerThanAnEpoch() public {
        parameters.set("challengeWindow", 1 hours);
        vm.assertEq(roots.challengeSeconds(), 1 hours, "the governed number");
        parameters.set("challengeWindow", 7 days);
        vm.assertEq(roots.challengeSeconds(), EPOCH, "and never more than an epoch");
        _propose(0, 1, 2);
        vm.assertEq(roots.pending().endsAt, block.timestamp + EPOCH, "which is what a proposal is given");
    }

    // ----------------------------------------------------------------------------------------------------- quorum

    function test_propose_needsTwoFPlusOne() public {
        bytes32 topic = _committeeFor(0);
        bytes memory data = _proposal(topic, 0, _root(1, 2), 3, 2);
        _sendReverts(eve, address(roots), data, abi.encodeWithSelector(EpochRoots.NoQuorum.selector));
        _send(eve, address(roots), _proposal(topic, 0, _root(1, 2), 3, 3));
        Proposal memory pending = roots.pending();
        vm.assertEq(pending.proposer, eve, "proposer");
        vm.assertEq(pending.bond, BOND, "bond");
        bytes memory early = abi.encodeCall(roots.settle, ());
        vm.warp(pending.endsAt - 1);
        _sendReverts(eve, address(roots), early, abi.encodeWithSelector(EpochRoots.WindowOpen.selector, pending.endsAt));
        vm.warp(pending.endsAt);
        roots.settle();
        uint256 before = way.balanceOf(eve);
        _send(eve, address(roots), abi.encodeCall(roots.collect, ()));
        vm.assertEq(way.balanceOf(eve) - before, BOND, "the bond is back");
        vm.assertEq(roots.bonds(), 0, "and none is held");
    }

    function test_propose_notBeforeTheEpochIsOverNorWithoutARoot() public {
        bytes memory expected = abi.encodeWithSelector(EpochRoots.EpochNotOver.selector, 1);
        _sendReverts(eve, address(roots), abi.encodeCall(roots.summon, (1)), expected);
        bytes32 topic = _committeeFor(0);
        expected = abi.encodeWithSelector(EpochRoots.ProofInvalid.selector, address(0));
        _sendReverts(eve, address(roots), _proposal(topic, 0, 0, 0, 3), expected);
        _refuseLeaf(_annLeaf(1, 1));
        expected = abi.encodeWithSelector(EpochRoots.NothingPending.selector);
        _sendReverts(eve, address(roots), abi.encodeCall(roots.settle, ()), expected);
    }

    /// @dev Whoever signs two roots for one epoch needs no appeal: the Registry takes all.
    function test_twoRootsSignedForOneEpochAreEquivocation() public {
        bytes32 topic = _committeeFor(0);
        uint256 key = _keyOf(committee.membersOf(topic)[0]);
        Statement memory first = roots.statementOf(roots.ROOT(), 0, _root(1, 2), 3);
        Statement memory second = roots.statementOf(roots.ROOT(), 0, _root(2, 1), 3);
        vm.assertEq(
            first.content, keccak256(abi.encode(_root(1, 2), uint256(3))), "what they sign, as members compute it"
        );
        _send(reporter, address(registry), _report(first, key, second, key));
        vm.assertTrue(registry.struckOff(committee.membersOf(topic)[0]), "struck off");
        bytes memory data = _proposal(topic, 0, _root(1, 2), 3, 3);
        _sendReverts(eve, address(roots), data, abi.encodeWithSelector(EpochRoots.NoQuorum.selector));
    }

    function test_claim_paysDelegatorsToo() public {
        _stake(eve, ann, 10_000e18);
        _final(0, 100e18, 0);
        roots.claim(_annLeaf(100e18, 0));
        vm.assertEq(registry.creditOf(ann), 10e18, "commission");
        vm.assertEq(registry.rewardOf(ann, eve) + 1, 45e18, "half of the rest, less dust");
        vm.assertEq(registry.token(), address(way), "in WAY");
        // An operator without a profile has nobody to pay.
        bytes32 topic = _committeeFor(1);
        bytes32 root = _pair(_leafHash(reporter, 1), _leafHash(ann, 100e18));
        _send(eve, address(roots), _proposal(topic, 1, root, 100e18 + 1, 3));
        vm.warp(block.timestamp + WINDOW);
        roots.settle();
        _sendReverts(
            eve,
            address(roots),
            abi.encodeCall(roots.claim, (_single(reporter, 1, _leafHash(ann, 100e18)))),
            abi.encodeWithSelector(IRegistry.OperatorUnknown.selector, reporter)
        );
    }
}
