// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Line} from "../../src/capacity/CapacityMarket.sol";
import {MarketFixture} from "./MarketFixture.sol";
import {Counting} from "./Walk.sol";

/// @title Random hours: each is offered, sold, used, judged and settled in any order that is possible
contract MarketHandler is MarketFixture, Counting {
    uint256[] private _lines;
    uint256[] private _ids;
    address[] private _holders;
    uint256 public put;
    uint256 public taken;
    uint256 public settledTwice;
    uint32 private _nextHour = HOUR;
    address[3] private _people;

    function setUp() public override {
        super.setUp();
        _people = [ann, buyer, dan];
        _time = START;
        // Stake of the committee and the audit are good for the whole walk of some weeks.
        offer(44, 1e6);
        buy(0, 50, 10);
    }

    function _before() private view returns (uint256) {
        return dollar.balanceOf(address(market));
    }

    function _prove() private {
        if (audits.provenMbps(ann) != 0) return;
        uint256 number = audits.epoch();
        bytes32 topic = audits.summon(ann);
        _draw(topic);
        (uint256 signers, bytes32[2][] memory signatures) = _signedBy(topic, audits.statementOf(ann, number, 100), 3);
        audits.report(ann, number, 100, signers, signatures);
    }

    function offer(uint256 gb, uint256 price) public counted(0) {
        _offerNext(gb, price);
        ++worked[0];
    }

    function _offerNext(uint256 gb, uint256 price) private {
        _prove();
        uint32 soon = uint32(_time / 3_600 + 2);
        if (_nextHour < soon) _nextHour = soon;
        uint256 before = _before();
        uint96 asked = uint96(_bound(price, 1, CEILING));
        bytes memory data = abi.encodeCall(market.offer, ("eu-w", 1, _nextHour, uint32(_bound(gb, 1, 45)), asked));
        _lines.push(abi.decode(_send(ann, address(market), data), (uint256)));
        put += _before() - before;
        ++_nextHour;
    }

    function buy(uint256 which, uint256 percent, uint256 gb) public counted(1) {
        _buyOf(which, percent, gb);
        ++worked[1];
    }

    /// @dev From one of the newest lines, or from a fresh one if that is over or sold.
    function _buyOf(uint256 which, uint256 percent, uint256 gb) private {
        uint256 n = _lines.length;
        line = _lines[n - 1 - which % (n < 3 ? n : 3)];
        if (market.lineAt(line).offered == market.lineAt(line).sold || _time >= market.endOf(line)) {
            _offerNext(gb, uint256(keccak256(abi.encode(percent))));
            line = _lines[n];
        }
        uint256 left = market.lineAt(line).offered - market.lineAt(line).sold;
        uint256 before = _before();
        address who = _people[1 + which % 2];
        _ids.push(_buy(who, uint8(_bound(percent, 1, 100)), uint32(_bound(gb, 1, left))));
        _holders.push(who);
        put += _before() - before;
    }

    function redeem(uint256 which, uint256 gb) public counted(2) {
        if (which % 4 == 0) _buyOf(which, gb % 97, gb);
        for (uint256 k = 0; k < _ids.length; ++k) {
            uint256 i = (which % _ids.length + k) % _ids.length;
            uint256 held_ = market.balanceOf(_holders[i], _ids[i]);
            uint256 starts = market.endOf(_ids[i]) - 1 hours;
            if (held_ == 0 || _time >= starts + 1 hours + market.WINDOW()) continue;
            if (_time < starts) vm.warp(_time = starts);
            _send(_holders[i], address(market), abi.encodeCall(market.redeem, (_ids[i], uint32(_bound(gb, 1, held_)))));
            ++worked[2];
            return;
        }
    }

    function judgeLine(uint256 which, uint256 deviation) public counted(3) {
        if (which % 4 == 0) _buyOf(which, deviation % 97, deviation);
        for (uint256 k = 0; k < _lines.length; ++k) {
            line = _lines[(which % _lines.length + k) % _lines.length];
            uint256 end = market.endOf(line);
            if (market.lineAt(line).judged || _time >= end + market.WINDOW() - 1 minutes) continue;
            if (_time < end) vm.warp(_time = end);
            _send(eve, address(market), _judgement(uint16(deviation), 3));
            ++worked[3];
            return;
        }
    }

    function settle(uint256 which) public counted(4) {
        if (which % 4 == 0) _buyOf(which, 60, which);
        for (uint256 k = 0; k < _lines.length; ++k) {
            line = _lines[(which % _lines.length + k) % _lines.length];
            if (market.lineAt(line).settled) {
                (bool ok,) = _try(eve, address(market), abi.encodeCall(market.settle, (line)));
                if (ok) ++settledTwice;
                continue;
            }
            uint256 from = market.endOf(line) + market.WINDOW();
            if (_time < from) vm.warp(_time = from);
            market.settle(line);
            ++worked[4];
            return;
        }
    }

    function expire(uint256 which) public counted(5) {
        for (uint256 k = 0; k < _ids.length; ++k) {
            uint256 i = (which % _ids.length + k) % _ids.length;
            if (!market.lineAt(_ids[i] & ~uint256(0xff)).settled) continue;
            market.expire(_ids[i], _holders[i]);
            ++worked[5];
            return;
        }
    }

    function collect(uint256 who) public counted(6) {
        taken += abi.decode(_send(_people[who % 3], address(market), abi.encodeCall(market.collect, ())), (uint256));
        ++worked[6];
    }

    // ---------------------------------------------------------------------------------------- what should be there

    function held() external view returns (uint256) {
        return _before();
    }

    function credits() external view returns (uint256) {
        return market.credits(ann) + market.credits(buyer) + market.credits(dan);
    }

    /// @notice What lines that are not settled hold: bonds, f of all, g of what was not used; and g and penalties of rights of
    ///         settled ones that were not expired.
    function locked() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _lines.length; ++i) {
            Line memory entry = market.lineAt(_lines[i]);
            if (!entry.settled) sum += uint256(entry.bond) * entry.offered + entry.upfront;
        }
        for (uint256 i = 0; i < _ids.length; ++i) {
            if (_counted(i)) continue;
            uint256 its = _ids[i] & ~uint256(0xff);
            Line memory entry = market.lineAt(its);
            (uint256 now_, uint256 later) = market.dues(its, _ids[i] & 0xff);
            uint256 penalty = entry.settled ? (now_ + entry.bond) * entry.deviation / 10_000 : 0;
            sum += market.balanceOf(_holders[i], _ids[i]) * (later + penalty);
        }
    }

    /// @dev Two purchases of one kind have one id.
    function _counted(uint256 i) private view returns (bool) {
        for (uint256 k = 0; k < i; ++k) {
            if (_ids[k] == _ids[i] && _holders[k] == _holders[i]) return true;
        }
        return false;
    }

    function oversold() external view returns (bool) {
        for (uint256 i = 0; i < _lines.length; ++i) {
            Line memory entry = market.lineAt(_lines[i]);
            if (entry.sold > entry.offered || entry.unused > entry.sold || entry.offered > 45) return true;
        }
        return false;
    }

    /// @notice Settled lines: each may leave dust of one unit a GB.
    function dust() external view returns (uint256) {
        return 50 * _lines.length;
    }
}
