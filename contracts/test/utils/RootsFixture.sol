// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Role, Statement} from "../../interfaces/IRegistry.sol";
import {EpochRoots, Leaf} from "../../src/rewards/EpochRoots.sol";
import {CommitteeFixture} from "./CommitteeFixture.sol";

/// @title Trees of two leaves, ann's and dan's, and the way of a root through its states
abstract contract RootsFixture is CommitteeFixture {
    uint256 internal constant FUNDS = 1_000e18;

    function setUp() public virtual override {
        super.setUp();
        _operator(dan, Role.Provider, 10_000e18);
        way.mint(address(roots), FUNDS);
        vm.prank(eve);
        way.approve(address(roots), type(uint256).max);
        vm.prank(bob);
        way.approve(address(roots), type(uint256).max);
        vm.warp(START + EPOCH);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _root(uint256 forAnn, uint256 forDan) internal view returns (bytes32) {
        return _pair(_leafHash(ann, forAnn), _leafHash(dan, forDan));
    }

    function _annLeaf(uint256 forAnn, uint256 forDan) internal view returns (Leaf memory) {
        return Leaf({operator: ann, cumulative: forAnn, proof: _proof(_leafHash(dan, forDan))});
    }

    function _danLeaf(uint256 forAnn, uint256 forDan) internal view returns (Leaf memory) {
        return Leaf({operator: dan, cumulative: forDan, proof: _proof(_leafHash(ann, forAnn))});
    }

    function _committeeFor(uint256 number) internal returns (bytes32 topic) {
        topic = roots.summon(number);
        _draw(topic);
    }

    function _proposal(bytes32 topic, uint256 number, bytes32 root, uint256 total, uint256 count)
        internal
        view
        returns (bytes memory)
    {
        Statement memory statement = roots.statementOf(roots.ROOT(), number, root, total);
        (uint256 signers, bytes32[2][] memory signatures) = _signedBy(topic, statement, count);
        return abi.encodeCall(roots.propose, (number, root, total, signers, signatures));
    }

    function _propose(uint256 number, uint256 forAnn, uint256 forDan) internal {
        bytes32 topic = _committeeFor(number);
        _send(eve, address(roots), _proposal(topic, number, _root(forAnn, forDan), forAnn + forDan, 3));
    }

    function _final(uint256 number, uint256 forAnn, uint256 forDan) internal {
        _propose(number, forAnn, forDan);
        vm.warp(block.timestamp + WINDOW);
        roots.settle();
    }

    function _ruling(uint256 number, bytes32 root, uint256 total) internal returns (bytes memory) {
        bytes32 topic = committee.topicOf(address(roots), roots.labelOf(roots.APPEAL(), number));
        if (committee.membersOf(topic).length == 0) _draw(topic);
        Statement memory statement = roots.statementOf(roots.APPEAL(), number, root, total);
        (uint256 signers, bytes32[2][] memory signatures) = _signedBy(topic, statement, 3);
        return abi.encodeCall(roots.rule, (root, total, signers, signatures));
    }

    function _challenge() internal {
        _send(bob, address(roots), abi.encodeCall(roots.challenge, ()));
    }

    function _stakeOfAll() internal view returns (uint256 sum) {
        for (uint256 i = 0; i < PROBERS; ++i) {
            (uint256 bonded,) = registry.stakeOf(probers[i]);
            sum += bonded;
        }
    }

    function _refuseLeaf(Leaf memory leaf) internal {
        bytes memory expected = abi.encodeWithSelector(EpochRoots.ProofInvalid.selector, leaf.operator);
        _sendReverts(eve, address(roots), abi.encodeCall(roots.claim, (leaf)), expected);
    }

    function _single(address operator, uint256 cumulative, bytes32 sibling) internal pure returns (Leaf memory) {
        return Leaf({operator: operator, cumulative: cumulative, proof: _proof(sibling)});
    }
}
