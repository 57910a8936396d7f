// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Leaf, Proposal} from "../../src/rewards/EpochRoots.sol";
import {RootsFixture} from "./RootsFixture.sol";
import {Counting} from "./Walk.sol";

/// @title Random epochs: roots that grow, are challenged, ruled on, refuted or forgotten, and claims in any order
contract RootsHandler is RootsFixture, Counting {
    uint256 private _number;
    /// @dev Leaves of the pending root and of the final one.
    uint256[2] private _next;
    uint256[2] private _now;
    uint256 public put;
    uint256 public taken;
    uint256 public burnt;
    uint256 public fell;

    function setUp() public override {
        super.setUp();
        _time = START + EPOCH;
        put = FUNDS;
        way.mint(eve, 1e30);
        way.mint(bob, 1e30);
    }

    function _held() private view returns (uint256) {
        return way.balanceOf(address(roots));
    }

    function fund(uint256 amount) public counted(0) {
        _fund(_bound(amount, 1, 100e18));
        ++worked[0];
    }

    function _fund(uint256 amount) private {
        way.mint(address(roots), amount);
        put += amount;
    }

    /// @dev Everybody who judges has stake and keys again, or the walk would end with the first slash.
    function _restock() private {
        for (uint256 i = 0; i < PROBERS; ++i) {
            (uint256 bonded,) = registry.stakeOf(probers[i]);
            if (bonded >= 2 * MINIMUM) continue;
            way.mint(probers[i], 10 * MINIMUM);
            _stake(probers[i], probers[i], 10 * MINIMUM);
        }
        vm.roll(block.number + 1);
    }

    function _isPending() private view returns (bool) {
        return roots.pending().proposer != address(0);
    }

    function propose(uint256 forAnn, uint256 forDan) public counted(1) {
        _settleOld();
        _proposeNext(forAnn, forDan);
        ++worked[1];
    }

    function _proposeNext(uint256 forAnn, uint256 forDan) private {
        _restock();
        forAnn %= 20e18;
        forDan %= 20e18;
        uint256 missing = _now[0] + _now[1] + forAnn + forDan;
        if (missing > roots.funded()) _fund(missing - roots.funded());
        _next = [_now[0] + forAnn, _now[1] + forDan];
        _number = roots.root() == 0 ? _number : roots.epochOfRoot() + 1;
        if (_time < roots.endOf(_number)) vm.warp(_time = roots.endOf(_number));
        uint256 before = _held();
        _propose(_number, _next[0], _next[1]);
        put += _held() - before;
    }

    /// @dev Ends what is pending by time.
    function _settleOld() private {
        Proposal memory old = roots.pending();
        if (old.proposer == address(0)) return;
        if (_time < old.endsAt) vm.warp(_time = old.endsAt);
        roots.settle();
        if (old.challenger == address(0)) _now = _next;
    }

    function settle(uint256 forAnn) public counted(2) {
        if (!_isPending()) _proposeNext(forAnn, forAnn >> 100);
        _settleOld();
        ++worked[2];
    }

    function _challengeNow(uint256 seed) private {
        Proposal memory old = roots.pending();
        if (old.proposer == address(0) || (old.challenger == address(0) && _time >= old.endsAt)) {
            _settleOld();
            _proposeNext(seed, seed >> 100);
        }
        if (roots.pending().challenger != address(0)) return;
        uint256 before = _held();
        _challenge();
        put += _held() - before;
        // At once: the walk may pass a day, and after that no committee can be drawn with the block's hash.
        _draw(committee.topicOf(address(roots), roots.labelOf(roots.APPEAL(), _number)));
    }

    function challenge(uint256 seed) public counted(3) {
        _challengeNow(seed);
        ++worked[3];
    }

    function rule(uint256 seed, bool agrees) public counted(4) {
        if (roots.pending().challenger != address(0) && _time >= roots.pending().endsAt) _settleOld();
        _challengeNow(seed);
        _restock();
        uint256 before = _held();
        (uint256 a, uint256 b) = agrees ? (_next[0], _next[1]) : (_next[0] + 1, _next[1]);
        _send(dan, address(roots), _ruling(_number, _root(a, b), a + b));
        burnt += before - _held();
        if (agrees) _now = _next;
        ++worked[4];
    }

    function refute(uint256 seed) public counted(5) {
        _settleOld();
        _restock();
        if (roots.root() == 0 || _now[0] == 0) {
            _proposeNext(1 + seed % 1e18, 1);
            _settleOld();
        }
        // A root in which ann falls.
        uint256[2] memory kept = _now;
        _now[0] -= 1;
        _proposeLower();
        _now = kept;
        uint256 before = _held();
        _send(
            bob,
            address(roots),
            abi.encodeCall(roots.refute, (_annLeaf(_next[0], _next[1]), _annLeaf(kept[0], kept[1]), true))
        );
        burnt += before - _held();
        ++worked[5];
    }

    function _proposeLower() private {
        uint256 total = roots.total();
        _next = [_now[0], _now[1] + 1];
        _number = roots.epochOfRoot() + 1;
        if (_time < roots.endOf(_number)) vm.warp(_time = roots.endOf(_number));
        bytes32 topic = _committeeFor(_number);
        uint256 before = _held();
        _send(eve, address(roots), _proposal(topic, _number, _root(_next[0], _next[1]), total, 3));
        put += _held() - before;
    }

    function claim(uint256 who, uint256 seed) public counted(6) {
        if (roots.root() == 0) {
            if (!_isPending()) _proposeNext(seed, seed >> 90);
            _settleOld();
            if (roots.root() == 0) return;
        }
        address operator = who % 2 == 0 ? ann : dan;
        uint256 before = roots.claimed(operator);
        Leaf memory leaf = who % 2 == 0 ? _annLeaf(_now[0], _now[1]) : _danLeaf(_now[0], _now[1]);
        taken += roots.claim(leaf);
        if (roots.claimed(operator) < before) ++fell;
        ++worked[6];
    }

    function collect(bool first) public counted(7) {
        address owner = first ? eve : bob;
        taken += abi.decode(_send(owner, address(roots), abi.encodeCall(roots.collect, ())), (uint256));
        ++worked[7];
    }

    // ---------------------------------------------------------------------------------------- what should be there

    function held() external view returns (uint256) {
        return _held();
    }

    function books() external view returns (uint256 paid, uint256 total, uint256 funded, uint256 bonds) {
        return (roots.paid(), roots.total(), roots.funded(), roots.bonds());
    }

    /// @notice Bonds that are pending and bonds that are booked.
    function bondsOwed() external view returns (uint256 sum) {
        Proposal memory one = roots.pending();
        sum = one.bond + (one.challenger == address(0) ? 0 : one.bond);
        sum += roots.credits(eve) + roots.credits(bob);
    }

    function overclaimed() external view returns (bool) {
        return roots.claimed(ann) > _now[0] || roots.claimed(dan) > _now[1];
    }
}
