// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Agreement, State, Terms} from "../../src/agreements/ServiceAgreements.sol";
import {AgreementsFixture} from "./AgreementsFixture.sol";
import {Counting} from "./Walk.sol";

/// @title Random agreements, each driven to one of its ends
contract AgreementsHandler is AgreementsFixture, Counting {
    bytes32[] private _ids;
    /// @dev Those of them that are not over: looking through all for one to act on took most of a walk's time.
    bytes32[] private _live;
    mapping(bytes32 id => State) private _final;
    uint64 private _nonce = 100;
    uint256 public put;
    uint256 public taken;

    function setUp() public override {
        super.setUp();
        _time = START;
        _ids.push(id);
        _live.push(id);
        put = _held();
        for (uint256 i = 0; i < 4; ++i) {
            dollar.mint([consumer, provider, eve, dan][i], 1e15);
        }
    }

    function _held() private view returns (uint256) {
        return dollar.balanceOf(address(agreements));
    }

    function open(uint256 payment, uint256 bond, uint256 objective, uint256 length) public counted(0) {
        _openNext(payment, bond, objective, length);
        ++worked[0];
    }

    function _openNext(uint256 payment, uint256 bond, uint256 objective, uint256 length) private {
        Terms memory terms = _terms();
        terms.nonce = ++_nonce;
        terms.payment = uint96(payment % 1_000e6);
        terms.bond = uint96(bond % 1_000e6);
        terms.objective = uint16(_bound(objective, 1, 10_000));
        terms.start = uint64(_time);
        terms.end = uint64(_time + _bound(length, 1, 30 days));
        terms.deadline = uint64(_time);
        uint256 before = _held();
        id = _open(terms);
        _ids.push(id);
        _live.push(id);
        put += _held() - before;
    }

    /// @dev Chooses an agreement in a state; opens one and leads it there if there is none.
    function _choose(State wanted, uint256 which) private {
        uint256 n = _live.length;
        for (uint256 k = 0; k < n; ++k) {
            id = _live[(which % n + k) % n];
            Agreement memory one = _agreement();
            if (one.state == wanted && _time < one.until) return;
        }
        _openNext(which, which >> 30, which >> 60, which >> 90);
        if (wanted >= State.Reported) _reportNow(which);
        if (wanted == State.Disputed) _disputeNow();
    }

    function _reportNow(uint256 level) private {
        uint256 end = _agreement().end;
        if (_time < end) vm.warp(_time = end);
        uint256 before = _held();
        _send(eve, address(agreements), _reporting(uint16(level % 10_001), 3));
        put += _held() - before;
    }

    function _disputeNow() private {
        uint256 before = _held();
        _disputed();
        put += _held() - before;
    }

    function report(uint256 which, uint256 level) public counted(1) {
        _choose(State.Open, which);
        _reportNow(level);
        ++worked[1];
    }

    function dispute(uint256 which) public counted(2) {
        _choose(State.Reported, which);
        _disputeNow();
        ++worked[2];
    }

    function rule(uint256 which, uint256 level) public counted(3) {
        _choose(State.Disputed, which);
        uint16 said = level % 3 == 0 ? _agreement().indicator : uint16(level % 10_001);
        _send(eve, address(agreements), _ruling(said, 3));
        _ended();
        ++worked[3];
    }

    function settle(uint256 which, uint256 state) public counted(4) {
        _choose(State(_bound(state, uint256(State.Open), uint256(State.Disputed))), which);
        uint256 until = _agreement().until;
        if (_time < until) vm.warp(_time = until);
        agreements.settle(id);
        _ended();
        ++worked[4];
    }

    function collect(uint256 who) public counted(5) {
        if (who % 5 == 4) {
            taken += agreements.drain();
        } else {
            address owner = [consumer, provider, eve, dan][who % 5];
            bytes memory result = _send(owner, address(agreements), abi.encodeCall(agreements.collect, (owner)));
            taken += abi.decode(result, (uint256));
        }
        ++worked[5];
    }

    function _ended() private {
        _final[id] = _agreement().state;
        for (uint256 i = 0; i < _live.length; ++i) {
            if (_live[i] != id) continue;
            _live[i] = _live[_live.length - 1];
            _live.pop();
            return;
        }
    }

    // ---------------------------------------------------------------------------------------- what should be there

    function held() external view returns (uint256) {
        return _held();
    }

    function credits() external view returns (uint256 sum) {
        address[5] memory all = [consumer, provider, eve, dan, sink];
        for (uint256 i = 0; i < 5; ++i) {
            sum += agreements.credits(all[i]);
        }
    }

    /// @notice What agreements hold that are not over, bonds of reporters and disputers with it.
    function locked() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _ids.length; ++i) {
            Agreement memory one = agreements.agreementOf(_ids[i]);
            if (one.state >= State.Met) continue;
            sum += uint256(one.payment) + one.bond;
            if (one.state == State.Reported) sum += DISPUTE_BOND;
            if (one.state == State.Disputed) sum += 2 * DISPUTE_BOND;
        }
    }

    /// @notice Agreements that were over and are in another state now.
    function changed() external view returns (uint256 count) {
        for (uint256 i = 0; i < _ids.length; ++i) {
            State was = _final[_ids[i]];
            if (was != State.None && agreements.agreementOf(_ids[i]).state != was) ++count;
        }
    }
}
