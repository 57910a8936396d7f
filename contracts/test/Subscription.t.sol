// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {Subscription} from "../src/payments/Subscription.sol";
import {FeeToken, PlainToken} from "./utils/OddTokens.sol";
import {Test} from "./utils/Test.sol";

/// @title Paid in advance, earned by the second, given back when cancelled
contract SubscriptionTest is Test {
    address private constant ANN = address(0xA22);
    address private constant PROVIDER = address(0x9907);
    uint96 private constant PRICE = 9_000_000;

    PlainToken private _token;
    Subscription private _subscription;
    Subscription.Plan private _plan = Subscription.Plan({provider: PROVIDER, price: PRICE, allowance: 100e9});
    uint256 private _time = 1_800_000_000;

    function setUp() public {
        vm.warp(_time);
        _use(new PlainToken());
    }

    function _use(PlainToken token) private {
        _token = token;
        _subscription = new Subscription(IERC20(address(token)));
        token.mint(ANN, 100 * uint256(PRICE));
        _send(ANN, address(token), abi.encodeCall(token.approve, (address(_subscription), type(uint256).max)));
    }

    function _pass(uint256 secs) private {
        _time += secs;
        vm.warp(_time);
    }

    function _subscribeCall(uint256 months) private view returns (bytes memory) {
        return abi.encodeCall(_subscription.subscribe, (_plan, months));
    }

    function _cancel() private returns (uint256) {
        return abi.decode(_send(ANN, address(_subscription), abi.encodeCall(_subscription.cancel, (_plan))), (uint256));
    }

    function test_subscribe_isEarnedByTheSecond() public {
        _send(ANN, address(_subscription), _subscribeCall(2));
        vm.assertEq(_token.balanceOf(address(_subscription)), 2 * PRICE, "paid in");
        vm.assertEq(_subscription.take(_plan, ANN), 0, "nothing yet");
        _pass(30 days);
        vm.assertEq(_subscription.take(_plan, ANN), PRICE, "a month");
        vm.assertEq(_subscription.take(_plan, ANN), 0, "once");
        _pass(300 days);
        vm.assertEq(_subscription.take(_plan, ANN), PRICE, "the other, and no more");
        vm.assertEq(_token.balanceOf(PROVIDER), 2 * PRICE, "all of it");
    }

    function test_cancel_givesUnusedDaysBackAtOnce() public {
        _send(ANN, address(_subscription), _subscribeCall(1));
        _pass(10 days);
        vm.assertEq(_cancel(), PRICE * 2 / 3, "twenty of thirty days");
        vm.assertEq(_token.balanceOf(ANN), 100 * uint256(PRICE) - PRICE / 3, "ten days cost");
        bytes memory again = abi.encodeCall(_subscription.cancel, (_plan));
        _sendReverts(ANN, address(_subscription), again, _error(Subscription.NotSubscribed.selector));
        _pass(100 days);
        vm.assertEq(_subscription.take(_plan, ANN), PRICE / 3, "what was used waits for the provider");
        vm.assertEq(_token.balanceOf(address(_subscription)), 0, "nothing stays");
    }

    function test_subscribe_againPaysOutWhatWasEarned() public {
        _send(ANN, address(_subscription), _subscribeCall(1));
        bytes memory expected = abi.encodeWithSelector(Subscription.AlreadySubscribed.selector, _time + 30 days);
        _sendReverts(ANN, address(_subscription), _subscribeCall(1), expected);
        _pass(30 days);
        _send(ANN, address(_subscription), _subscribeCall(1));
        vm.assertEq(_token.balanceOf(PROVIDER), PRICE, "the first month");
        vm.assertEq(_token.balanceOf(address(_subscription)), PRICE, "the second");
    }

    function test_subscribe_isPaidBesideWhatOthersPaid() public {
        address bob = address(0xB0B);
        _token.mint(bob, PRICE);
        _send(bob, address(_token), abi.encodeCall(_token.approve, (address(_subscription), PRICE)));
        _send(ANN, address(_subscription), _subscribeCall(1));
        _send(bob, address(_subscription), _subscribeCall(1));
        vm.assertEq(_token.balanceOf(address(_subscription)), 2 * PRICE, "both");
        _pass(30 days);
        vm.assertEq(_subscription.take(_plan, bob) + _subscription.take(_plan, ANN), 2 * PRICE, "and both are earned");
    }

    function test_subscribe_refusesWhatMakesNoSense() public {
        bytes memory expected = _error(Subscription.SubscriptionInvalid.selector);
        _sendReverts(ANN, address(_subscription), _subscribeCall(0), expected);
        _sendReverts(ANN, address(_subscription), _subscribeCall(25), expected);
        _plan.price = type(uint96).max;
        _sendReverts(ANN, address(_subscription), _subscribeCall(2), expected);
        _plan.price = 0;
        _sendReverts(ANN, address(_subscription), _subscribeCall(1), expected);
        (_plan.price, _plan.provider) = (PRICE, address(0));
        _sendReverts(ANN, address(_subscription), _subscribeCall(1), expected);
    }

    function test_subscribe_refusesATokenThatTakesAFee() public {
        _use(new FeeToken());
        bytes memory expected =
            abi.encodeWithSelector(Subscription.PaymentMismatch.selector, PRICE, PRICE - PRICE / 100);
        _sendReverts(ANN, address(_subscription), _subscribeCall(1), expected);
    }

    /// @dev Whenever it is taken and cancelled: what ann and the provider have is what was paid in, to the unit.
    function testFuzz_cancel_partsAddUp(uint256 months, uint256 takenAt, uint256 cancelledAt) public {
        months = _bound(months, 1, 24);
        cancelledAt = _bound(cancelledAt, 0, months * 30 days - 1);
        takenAt = _bound(takenAt, 0, cancelledAt);
        _send(ANN, address(_subscription), _subscribeCall(months));
        _pass(takenAt);
        _subscription.take(_plan, ANN);
        _pass(cancelledAt - takenAt);
        uint256 refund = _cancel();
        _subscription.take(_plan, ANN);
        vm.assertEq(_token.balanceOf(PROVIDER) + refund, PRICE * months, "the whole");
        vm.assertEq(_token.balanceOf(address(_subscription)), 0, "nothing stays");
        vm.assertGe(refund * months * 30 days, PRICE * months * (months * 30 days - cancelledAt), "all unused time");
    }

    function test_termOf_saysWhatWasPaidTakenAndEarned() public {
        bytes32 id = _subscription.planOf(_plan);
        vm.assertEq(id, keccak256(abi.encode(_plan)), "named by its terms");
        _send(ANN, address(_subscription), _subscribeCall(2));
        _pass(15 days);
        (Subscription.Term memory term, uint256 earned) = _subscription.termOf(id, ANN);
        vm.assertEq(earned, PRICE / 2, "half a month");
        vm.assertEq(term.paid, 2 * PRICE, "paid");
        vm.assertEq(term.taken, 0, "not taken");
        _subscription.take(_plan, ANN);
        (term, earned) = _subscription.termOf(id, ANN);
        vm.assertEq(term.taken, PRICE / 2, "taken");
        vm.assertEq(term.end - term.start, 60 days, "two months");
    }

    function _error(bytes4 selector) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }
}
