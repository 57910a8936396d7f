// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ChannelRef, FeeOrder, Permit} from "../interfaces/IChannels.sol";
import {Channels} from "../src/Channels.sol";
import {TestDollar} from "../src/TestDollar.sol";
import {Deal, Fixture} from "./utils/Fixture.sol";
import {HookToken} from "./utils/OddTokens.sol";

/// @title A token that calls back in the middle of every entry finds all entries shut
/// @dev Each call made from inside would succeed from outside, so nothing but the guard can be what stops it.
contract ReentrancyTest is Fixture {
    HookToken private token;

    function setUp() public override {
        vm.warp(START);
        token = new HookToken();
        dollar = TestDollar(address(token));
        channels = new Channels(address(token), GRACE, address(0), address(0));
        address[2] memory owners = [payer, address(token)];
        for (uint256 i = 0; i < 2; ++i) {
            token.mint(owners[i], 100 * CAP);
            vm.prank(owners[i]);
            token.approve(address(channels), type(uint256).max);
        }
        _openAsPayer(_old());
        _openAsPayer(_current());
        channels.claim(payee, _one(_activation(_current(), PLACE)), "");
        vm.warp(START + 1 + GRACE);
    }

    /// @notice A root that may be claimed from.
    function _current() private view returns (Deal memory) {
        return _deal(payer, _leaves(), 1);
    }

    /// @notice A root that may be closed.
    function _old() private view returns (Deal memory deal) {
        deal = _deal(payer, _leaves(), 2);
        deal.descriptor.expiry = uint64(START) + 1;
        _rename(deal);
    }

    /// @notice The five calls that change something, each ready to succeed when `owner` sends it.
    function _calls(address owner) private view returns (bytes[] memory calls) {
        calls = new bytes[](5);
        Deal memory mine = _deal(owner, _leaves(), 4);
        calls[0] = abi.encodeCall(channels.open, (mine.descriptor));
        Permit memory none;
        Deal memory sponsored = _deal(payer, _leaves(), 5);
        (bytes32 r, bytes32 vs) = _sign(PAYER_KEY, _openOrderDigest(sponsored.descriptor, type(uint64).max));
        calls[1] = abi.encodeCall(channels.openWithPermit, (sponsored.descriptor, none, type(uint64).max, r, vs));
        calls[2] = abi.encodeCall(channels.claim, (payee, _none(), _voucher(_current(), PLACE, 300)));
        FeeOrder memory order = FeeOrder({fee: 1, submitter: address(0), deadline: type(uint64).max});
        bytes memory vouchers = _voucher(_current(), PLACE, 400);
        (r, vs) = _sign(PAYEE_KEY, _feeOrderDigest(payee, vouchers, order));
        calls[3] = abi.encodeCall(channels.claimFor, (payee, _none(), vouchers, order, r, vs));
        calls[4] = abi.encodeCall(channels.close, (_old().descriptor, new ChannelRef[](0)));
    }

    /// @notice Sends call number `outer`; the token makes all five from inside and each must meet the guard.
    function _allShutDuring(uint256 outer) private {
        bytes memory call = _calls(payer)[outer];
        token.arm(address(channels), _calls(address(token)));
        _send(payer, address(channels), call);
        bytes[] memory results = token.results();
        vm.assertEq(results.length, 5, "five calls from inside");
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(results[i], _error(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector), "guarded");
        }
    }

    function test_C17_open_isNotReentrant() public {
        _allShutDuring(0);
    }

    function test_C17_openWithPermit_isNotReentrant() public {
        _allShutDuring(1);
    }

    function test_C17_claim_isNotReentrant() public {
        _allShutDuring(2);
    }

    function test_C17_claimFor_isNotReentrant() public {
        _allShutDuring(3);
    }

    function test_C17_close_isNotReentrant() public {
        _allShutDuring(4);
    }

    /// @dev The control: what the token tries from inside does succeed from outside.
    function test_allFiveCallsWorkFromOutside() public {
        bytes[] memory calls = _calls(address(token));
        for (uint256 i = 0; i < calls.length; ++i) {
            _send(address(token), address(channels), calls[i]);
        }
    }
}
