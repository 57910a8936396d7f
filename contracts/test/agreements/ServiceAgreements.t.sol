// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ServiceAgreements, State, Terms} from "../../src/agreements/ServiceAgreements.sol";
import {Deviation} from "../../src/libraries/Deviation.sol";
import {AgreementsFixture} from "../utils/AgreementsFixture.sol";

/// @title An agreement ends in exactly one way, and every dollar goes somewhere
contract ServiceAgreementsTest is AgreementsFixture {
    function _refused(bytes memory data, bytes memory expected) private {
        _sendReverts(eve, address(agreements), data, expected);
    }

    function _wrongState(State state) private view returns (bytes memory) {
        return abi.encodeWithSelector(ServiceAgreements.WrongState.selector, id, state);
    }

    function _settle() private {
        _send(eve, address(agreements), abi.encodeCall(agreements.settle, (id)));
    }

    // -------------------------------------------------------------------------------------------------------- opening

    function test_open_signedByBothAndOnce() public {
        vm.assertEq(agreements.idOf(_terms()), _digest(_terms()), "name: what both sign");
        vm.assertEq(dollar.balanceOf(address(agreements)), PAYMENT + ORDER_BOND, "both paid");
        vm.assertEq(agreements.agreementOf(id).disputer, address(0), "nobody disputes it yet");
        Terms memory terms = _terms();
        bytes4 selector = ServiceAgreements.AlreadyOpened.selector;
        _refused(_opening(terms, CONSUMER_KEY, PROVIDER_KEY), abi.encodeWithSelector(selector, id));
        terms.nonce = 2;
        selector = ServiceAgreements.NotSigned.selector;
        _refused(_opening(terms, PROVIDER_KEY, PROVIDER_KEY), abi.encodeWithSelector(selector, consumer));
        _refused(_opening(terms, CONSUMER_KEY, CONSUMER_KEY), abi.encodeWithSelector(selector, provider));
        // Nobody signs for the party without a name, though a bad signature recovers to it.
        terms.consumer = address(0);
        bytes32[4] memory none;
        bytes memory data = abi.encodeCall(agreements.open, (terms, none));
        _refused(data, abi.encodeWithSelector(selector, address(0)));
        (none[0], none[1]) = _sign(CONSUMER_KEY, _digest(terms));
        terms = _terms();
        terms.provider = address(0);
        (none[0], none[1]) = _sign(CONSUMER_KEY, _digest(terms));
        data = abi.encodeCall(agreements.open, (terms, none));
        _refused(data, abi.encodeWithSelector(selector, address(0)));
        terms = _terms();
        terms.nonce = 2;
        _open(terms);
    }

    function _invalid(Terms memory terms) private {
        bytes memory expected = abi.encodeWithSelector(ServiceAgreements.TermsInvalid.selector);
        _refused(_opening(terms, CONSUMER_KEY, PROVIDER_KEY), expected);
    }

    function test_open_termsMakeSense() public {
        Terms memory terms = _terms();
        (terms.nonce, terms.objective) = (2, 0);
        _invalid(terms);
        terms.objective = 10_001;
        _invalid(terms);
        terms.objective = 9_900;
        terms.end = terms.start;
        _invalid(terms);
        terms.start = terms.end = uint64(START + 10 days);
        _invalid(terms);
        (terms.start, terms.end) = (0, uint64(START));
        _invalid(terms);
        terms.end = uint64(START + 367 days);
        _invalid(terms);
        terms = _terms();
        (terms.nonce, terms.provider) = (2, consumer);
        bytes memory expected = abi.encodeWithSelector(ServiceAgreements.TermsInvalid.selector);
        _refused(_opening(terms, CONSUMER_KEY, CONSUMER_KEY), expected);
        terms = _terms();
        terms.nonce = 2;
        vm.warp(terms.deadline + 1);
        expected = abi.encodeWithSelector(ServiceAgreements.TermsExpired.selector, terms.deadline);
        _refused(_opening(terms, CONSUMER_KEY, PROVIDER_KEY), expected);
        vm.warp(terms.deadline);
        dollar.setFee(1);
        expected = abi.encodeWithSelector(ServiceAgreements.DepositMismatch.selector, PAYMENT, PAYMENT - 1);
        _refused(_opening(terms, CONSUMER_KEY, PROVIDER_KEY), expected);
    }

    // -------------------------------------------------------------------------------------------------------- outcomes

    function test_met_whenNobodyReports() public {
        bytes memory data = abi.encodeCall(agreements.settle, (id));
        uint256 until = END + agreements.PATIENCE();
        vm.warp(until - 1);
        _refused(data, abi.encodeWithSelector(ServiceAgreements.TooEarly.selector, until));
        bytes memory late = _reporting(9_000, 3);
        vm.warp(until);
        _refused(late, abi.encodeWithSelector(ServiceAgreements.TooLate.selector, until));
        _settle();
        _assertState(State.Met);
        vm.assertEq(agreements.credits(provider), PAYMENT + ORDER_BOND, "payment and bond");
        _refused(data, _wrongState(State.Met));
        _assertAllBooked();
        uint256 before = dollar.balanceOf(dan);
        _send(provider, address(agreements), abi.encodeCall(agreements.collect, (dan)));
        vm.assertEq(dollar.balanceOf(dan) - before, PAYMENT + ORDER_BOND, "where the provider says");
    }

    function test_met_overDeliveryCostsNothing() public {
        _reported(10_000);
        vm.warp(block.timestamp + 2 hours);
        _settle();
        _assertState(State.Met);
        vm.assertEq(agreements.credits(consumer), 0, "nothing to refund");
        vm.assertEq(agreements.credits(eve), DISPUTE_BOND, "the reporter's bond is back");
        _assertAllBooked();
    }

    function test_broken_refundsItself() public {
        _reported(9_405);
        vm.warp(block.timestamp + 2 hours);
        _settle();
        _assertState(State.Broken);
        // 495 / 9652.5 of the bond.
        vm.assertEq(agreements.credits(consumer), 51_282_051, "5.128 % of 1,000 dollars");
        vm.assertEq(agreements.credits(provider), PAYMENT + ORDER_BOND - 51_282_051, "the rest");
        _assertAllBooked();
    }

    /// @dev The last second of liveness belongs to the dispute, the next one to the settlement; never both, never neither.
    function test_boundary_everySecondBelongsToOne() public {
        _reported(9_000);
        uint256 until = _agreement().until;
        bytes memory settle = abi.encodeCall(agreements.settle, (id));
        bytes memory dispute = abi.encodeCall(agreements.dispute, (id));
        vm.warp(until - 1);
        _refused(settle, abi.encodeWithSelector(ServiceAgreements.TooEarly.selector, until));
        vm.warp(until);
        _refused(dispute, abi.encodeWithSelector(ServiceAgreements.TooLate.selector, until));
        _settle();
        _refused(dispute, _wrongState(State.Broken));
        // And the other way round, on another agreement.
        Terms memory terms = _terms();
        terms.nonce = 3;
        vm.warp(START);
        id = _open(terms);
        _reported(9_000);
        vm.warp(uint256(_agreement().until) - 1);
        _disputed();
        _refused(
            dispute,
            abi.encodeWithSelector(ServiceAgreements.WrongState.selector, agreements.idOf(_terms()), State.Broken)
        );
        _assertState(State.Disputed);
    }

    function test_report_onlyAtTheEndWithQuorumAndOnce() public {
        bytes memory data = _reporting(9_000, 3);
        _refused(data, abi.encodeWithSelector(ServiceAgreements.TooEarly.selector, END));
        vm.warp(END);
        _refused(_reporting(9_000, 2), abi.encodeWithSelector(ServiceAgreements.NoQuorum.selector));
        _send(eve, address(agreements), data);
        _refused(data, _wrongState(State.Reported));
        bytes memory none = abi.encodeCall(agreements.rule, (id, 1, 0, new bytes32[2][](0)));
        _refused(none, _wrongState(State.Reported));
        _refused(abi.encodeCall(agreements.summon, (id)), _wrongState(State.Reported));
    }

    // --------------------------------------------------------------------------------------------------------- disputes

    /// @dev Golden UMA1: of two bonds of 100 the winner gets 150.
    function test_UMA1_disputeThatIsRight() public {
        _reported(9_000);
        _disputed();
        _send(eve, address(agreements), _ruling(9_900, 3));
        _assertState(State.Met);
        vm.assertEq(agreements.credits(dan), 150e6, "the winner");
        vm.assertEq(agreements.credits(sink), 50e6, "the rest");
        vm.assertEq(agreements.credits(eve), 0, "the loser");
        _assertAllBooked();
        agreements.drain();
        vm.assertEq(dollar.balanceOf(sink), 50e6, "where lost bonds go");
        vm.assertEq(agreements.drain(), 0, "once");
    }

    function test_UMA1_disputeThatIsWrong() public {
        _reported(9_000);
        _disputed();
        _refused(_ruling(9_000, 2), abi.encodeWithSelector(ServiceAgreements.NoQuorum.selector));
        _send(eve, address(agreements), _ruling(9_000, 3));
        _assertState(State.Broken);
        vm.assertEq(agreements.credits(eve), 150e6, "the winner");
        vm.assertEq(agreements.credits(dan), 0, "the loser");
        _assertAllBooked();
    }

    function test_cancelled_whenNobodyRules() public {
        _reported(9_000);
        _disputed();
        uint256 until = _agreement().until;
        bytes memory settle = abi.encodeCall(agreements.settle, (id));
        vm.warp(until - 1);
        _refused(settle, abi.encodeWithSelector(ServiceAgreements.TooEarly.selector, until));
        vm.warp(until);
        _refused(_ruling(9_000, 3), abi.encodeWithSelector(ServiceAgreements.TooLate.selector, until));
        _settle();
        _assertState(State.Cancelled);
        vm.assertEq(agreements.credits(consumer), PAYMENT, "his payment");
        vm.assertEq(agreements.credits(provider), ORDER_BOND, "its bond");
        vm.assertEq(agreements.credits(eve) + agreements.credits(dan), 2 * DISPUTE_BOND, "both bonds");
        _assertAllBooked();
        _refused(settle, _wrongState(State.Cancelled));
    }

    // -------------------------------------------------------------------------------------------------------- SLA1

    /// @dev Golden SLA1 in millionths of a percent of the bond, objective 100 %.
    function test_SLA1_deviations() public pure {
        uint16[8] memory levels = [9_990, 9_900, 9_700, 9_500, 9_000, 8_000, 7_777, 0];
        uint32[8] memory expected =
            [100_050, 1_005_025, 3_045_685, 5_128_205, 10_526_315, 22_222_222, 25_000_000, 25_000_000];
        for (uint256 i = 0; i < 8; ++i) {
            vm.assertEq(Deviation.refund(1e8, 10_000, levels[i], 2_500), expected[i], "deviation");
        }
        vm.assertEq(Deviation.refund(1e8, 10_000, 11_000, 2_500), 0, "more than promised");
        vm.assertEq(Deviation.refund(1e8, 10_000, 0, 10_000), 25_000_000, "whatever the parameters say");
        vm.assertEq(Deviation.refund(1e8, 10_000, 0, 100), 1_000_000, "a lower cap holds");
    }

    /// @dev Any levels, amounts and ends: one final state, and every dollar booked.
    function test_everyEndBooksEveryDollar(uint256 seed) public {
        Terms memory terms = _terms();
        terms.nonce = 9;
        terms.payment = uint96(seed % 1_000e6);
        terms.bond = uint96((seed >> 40) % 1_000e6);
        terms.objective = uint16(1 + (seed >> 80) % 10_000);
        vm.warp(END + agreements.PATIENCE());
        _settle();
        vm.warp(START);
        id = _open(terms);
        uint16 level = uint16((seed >> 100) % 10_001);
        uint256 way_ = (seed >> 120) % 4;
        if (way_ != 0) _reported(level);
        if (way_ >= 2) _disputed();
        if (way_ == 3) {
            _send(eve, address(agreements), _ruling(uint16((seed >> 140) % 10_001), 3));
        } else {
            vm.warp(_agreement().until);
            _settle();
        }
        vm.assertTrue(_agreement().state >= State.Met, "a final state");
        _refused(abi.encodeCall(agreements.settle, (id)), _wrongState(_agreement().state));
        _assertAllBooked();
    }
}
