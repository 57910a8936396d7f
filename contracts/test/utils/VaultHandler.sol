// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VaultFixture} from "./VaultFixture.sol";
import {Counting} from "./Walk.sol";

/// @title Random investors, providers and months
contract VaultHandler is VaultFixture, Counting {
    uint256[] private _requests;
    address[4] private _people;
    uint256 public put;
    uint256 public taken;

    function setUp() public override {
        super.setUp();
        _people = [ann, bob, dan, eve];
        _time = START;
        _put(ann, 1_000e6);
    }

    function _put(address who, uint256 amount) private {
        _deposit(who, amount);
        put += amount;
    }

    function deposit(uint256 who, uint256 amount) public counted(0) {
        _put(_people[who % 4], _bound(amount, 1, 500e6));
        ++worked[0];
    }

    function requestRedeem(uint256 who, uint256 part) public counted(1) {
        address owner = _people[who % 4];
        uint256 shares = vault.balanceOf(owner);
        if (shares == 0) return;
        bytes memory data = abi.encodeCall(vault.requestRedeem, (_bound(part, 1, shares)));
        _requests.push(abi.decode(_send(owner, address(vault), data), (uint256)));
        ++worked[1];
    }

    function serve(uint256 which) public counted(2) {
        if (_requests.length == 0) return;
        uint256 i = which % _requests.length;
        uint256 readyAt = vault.exitOf(_requests[i]).readyAt;
        if (_time < readyAt) vm.warp(_time = readyAt);
        vault.serve(_requests[i]);
        _requests[i] = _requests[_requests.length - 1];
        _requests.pop();
        ++worked[2];
    }

    function earn(uint256 who, uint256 amount) public counted(3) {
        amount = _bound(amount, 1, 400e6);
        _earn(_people[who % 4], amount);
        put += amount;
        ++worked[3];
    }

    function settle(uint256 next, bool lapses) public counted(4) {
        uint256 period = vault.nextPeriod();
        if (lapses) {
            uint256 late = START + (period + 3) * PERIOD;
            if (_time < late) vm.warp(_time = late);
            vault.lapse();
        } else {
            uint256 end = START + (period + 1) * PERIOD;
            if (_time < end) vm.warp(_time = end);
            _settle(period, vault.nodes(), next % 8);
        }
        ++worked[4];
    }

    function collectFees(uint256 who, uint256 period) public counted(5) {
        uint256 settled = vault.nextPeriod();
        if (settled == 0) return;
        vault.collectFees(period % settled, _people[who % 4]);
        ++worked[5];
    }

    function collect(uint256 who) public counted(6) {
        address owner = who % 3 == 0 ? _node(who % 8) : _people[who % 4];
        taken += abi.decode(_send(owner, address(vault), abi.encodeCall(vault.collect, ())), (uint256));
        ++worked[6];
    }

    /// @notice Every investor asks to leave, waits one notice, is served and collects.
    function leave() external {
        for (uint256 i = 0; i < 4; ++i) {
            uint256 shares_ = vault.balanceOf(_people[i]);
            if (shares_ == 0) continue;
            bytes memory data = abi.encodeCall(vault.requestRedeem, (shares_));
            _requests.push(abi.decode(_send(_people[i], address(vault), data), (uint256)));
        }
        vm.warp(_time += PERIOD);
        for (uint256 i = 0; i < _requests.length; ++i) {
            vault.serve(_requests[i]);
        }
        delete _requests;
        for (uint256 i = 0; i < 4; ++i) {
            collect(i == 0 ? 4 : i == 3 ? 7 : i);
        }
    }

    function outstanding() external view returns (uint256) {
        return vault.totalSupply();
    }

    /// @notice What everybody could collect now, fees of settled months that are not booked apart.
    function collectable() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 4; ++i) {
            sum += vault.creditOf(_people[i]);
        }
        for (uint256 i = 0; i < 8; ++i) {
            sum += vault.creditOf(_node(i));
        }
    }

    function held() external view returns (uint256) {
        return dollar.balanceOf(address(vault));
    }

    function owed() external view returns (uint256) {
        return vault.owed();
    }

    function books() external view returns (uint256 subsidised, uint256 returned) {
        return (vault.subsidised(), vault.returned());
    }
}
