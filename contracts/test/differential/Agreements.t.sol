// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ServiceAgreements, Terms} from "../../src/agreements/ServiceAgreements.sol";
import {Coin, Replay} from "./Replay.sol";

/// @title Service agreements and test/differential/agreements.ts
contract AgreementsDifferentialTest is Replay {
    uint256 private constant CONSUMER = 1;
    uint256 private constant PROVIDER = 2;
    address private constant SINK = address(0x51);

    Coin private _coin = new Coin();
    ServiceAgreements private _agreements;
    /// @dev Consumer, provider, reporter, disputer; the sink is the fifth.
    address[5] private _accounts;
    bytes32[] private _ids;
    uint256 private _nonce;

    function setUp() public {
        _agreements = new ServiceAgreements(address(_coin), address(this), address(this), 1_000_001, SINK);
        _accounts = [vm.addr(CONSUMER), vm.addr(PROVIDER), address(0xA002), address(0xA003), SINK];
        for (uint256 i = 0; i < 4; ++i) {
            _coin.mint(_accounts[i], 1e30);
            vm.prank(_accounts[i]);
            _coin.approve(address(_agreements), type(uint256).max);
        }
    }

    function test_differential_agreements() public {
        _replay("agreements");
    }

    function _operate() internal override {
        Drawn memory drawn = _next(10);
        bytes32 id = _ids.length == 0 ? bytes32(0) : _ids[_ids.length - 1 - drawn.who % Math.min(2, _ids.length)];
        (address target, uint256 kind) = (address(_agreements), drawn.kind);
        bytes32[2][] memory none = new bytes32[2][](0);
        uint16 indicator = uint16(drawn.what % 10_001);
        if (kind == 0) {
            _open(drawn);
        } else if (kind == 2) {
            _pass(drawn.amount % (drawn.what % 4 != 0 ? 1 hours : 4 days));
        } else if (kind == 1 || kind == 3) {
            _attempt(_accounts[2], target, abi.encodeCall(ServiceAgreements.report, (id, indicator, 0, none)));
        } else if (kind == 4 || kind == 8) {
            _attempt(_accounts[3], target, abi.encodeCall(ServiceAgreements.dispute, (id)));
        } else if (kind == 5 || kind == 9) {
            // Every other ruling confirms the report.
            if (drawn.what % 2 == 0) indicator = _agreements.agreementOf(id).indicator;
            _attempt(address(this), target, abi.encodeCall(ServiceAgreements.rule, (id, indicator, 0, none)));
        } else if (kind == 6) {
            _attempt(address(this), target, abi.encodeCall(ServiceAgreements.settle, (id)));
        } else if (drawn.what % 5 == 4) {
            _attempt(address(this), target, abi.encodeCall(ServiceAgreements.drain, ()));
        } else {
            address account = _accounts[drawn.what % 5];
            _attempt(account, target, abi.encodeCall(ServiceAgreements.collect, (account)));
        }
        for (uint256 i = 0; i < 5; ++i) {
            _fold(_agreements.credits(_accounts[i]));
        }
    }

    function _open(Drawn memory drawn) private {
        Terms memory terms = Terms({
            consumer: _accounts[0],
            provider: _accounts[1],
            payment: uint96(drawn.amount % 1e12),
            bond: uint96((drawn.amount >> 40) % 1e12),
            objective: uint16(drawn.what % 10_001),
            metric: "uptime",
            start: uint64(block.timestamp),
            end: uint64(block.timestamp + 1 + drawn.what % 7_200),
            nonce: uint64(++_nonce),
            deadline: uint64(block.timestamp)
        });
        bytes32 id = _agreements.idOf(terms);
        bytes32[4] memory signatures;
        (signatures[0], signatures[1]) = _sign(CONSUMER, id);
        (signatures[2], signatures[3]) = _sign(PROVIDER, id);
        bytes memory data = abi.encodeCall(ServiceAgreements.open, (terms, signatures));
        if (_attemptOnly(address(this), address(_agreements), data)) _ids.push(id);
    }

    function _sign(uint256 key, bytes32 digest) private pure returns (bytes32, bytes32) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return (r, bytes32(uint256(v - 27) << 255 | uint256(s)));
    }

    function _end() internal override {
        _fold(_coin.balanceOf(address(_agreements)));
        for (uint256 i = 0; i < 5; ++i) {
            _fold(_coin.balanceOf(_accounts[i]));
        }
    }
}
