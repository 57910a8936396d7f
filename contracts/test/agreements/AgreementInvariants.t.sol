// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AgreementsHandler} from "../utils/AgreementsHandler.sol";
import {Walk} from "../utils/Walk.sol";

/// @title What holds after any sequence of agreements, reports, disputes and rulings
contract AgreementInvariantTest is Walk {
    AgreementsHandler private handler;

    function setUp() public {
        handler = new AgreementsHandler();
        handler.setUp();
        _actions = [
            handler.open.selector,
            handler.report.selector,
            handler.dispute.selector,
            handler.rule.selector,
            handler.settle.selector,
            handler.collect.selector
        ];
    }

    function walker() public view override returns (address) {
        return address(handler);
    }

    function invariant_paidRefundedAndBurntAreTheDeposits() public view {
        vm.assertEq(handler.put(), handler.taken() + handler.held(), "in = out + here");
        vm.assertEq(handler.held(), handler.credits() + handler.locked(), "every dollar here is somebody's");
        vm.assertEq(handler.changed(), 0, "what is over stays as it ended");
    }
}
