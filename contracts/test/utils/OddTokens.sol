// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token anyone may mint, for the odd ones to build on.
contract PlainToken is ERC20("Odd", "ODD") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice Keeps one percent of every transfer.
contract FeeToken is PlainToken {
    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(0xFEE), value / 100);
    }
}

/// @notice Refuses to move anything to a listed address, as USDC and USDT can.
contract BlacklistToken is PlainToken {
    mapping(address => bool) public listed;

    error Blacklisted(address who);

    function list(address who, bool on) external {
        listed[who] = on;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (listed[to]) revert Blacklisted(to);
        super._update(from, to, value);
    }
}

/// @notice Says false instead of reverting, and moves nothing, once told so.
contract FalseToken is PlainToken {
    bool public broken;

    function breakDown() external {
        broken = true;
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        return !broken && super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        return !broken && super.transferFrom(from, to, value);
    }
}

/// @notice Says true and moves nothing.
contract LyingToken is PlainToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }
}

/// @notice An ERC-20 from before return values, as USDT is on Ethereum.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address, uint256) external {}

    function transfer(address to, uint256 value) external {
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
    }

    function transferFrom(address from, address to, uint256 value) external {
        balanceOf[from] -= value;
        balanceOf[to] += value;
    }
}

/// @notice Makes the given calls in the middle of the next transfer or permit, as a token with hooks may.
contract HookToken is PlainToken {
    address public target;
    bytes[] private _calls;
    bytes[] private _results;

    function arm(address target_, bytes[] memory calls) external {
        target = target_;
        _calls = calls;
        delete _results;
    }

    /// @notice What each call gave: its revert data, or "ok".
    function results() external view returns (bytes[] memory) {
        return _results;
    }

    function permit(address, address, uint256, uint256, uint8, bytes32, bytes32) external {
        _hook();
    }

    function _update(address from, address to, uint256 value) internal override {
        _hook();
        super._update(from, to, value);
    }

    function _hook() private {
        address once = target;
        target = address(0);
        for (uint256 i = 0; once != address(0) && i < _calls.length; ++i) {
            (bool ok, bytes memory result) = once.call(_calls[i]);
            _results.push(ok ? bytes("ok") : result);
        }
    }
}
