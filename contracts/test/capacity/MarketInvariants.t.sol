// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MarketHandler} from "../utils/MarketHandler.sol";
import {Walk} from "../utils/Walk.sol";

/// @title What holds after any sequence of offers, sales, uses, judgements and settlements
contract MarketInvariantTest is Walk {
    MarketHandler private handler;

    function setUp() public {
        handler = new MarketHandler();
        handler.setUp();
        _actions = [
            handler.offer.selector,
            handler.buy.selector,
            handler.redeem.selector,
            handler.judgeLine.selector,
            handler.settle.selector,
            handler.expire.selector,
            handler.collect.selector
        ];
    }

    function walker() public view override returns (address) {
        return address(handler);
    }

    function invariant_everyRightBondAndCreditIsCovered() public view {
        vm.assertEq(handler.put(), handler.taken() + handler.held(), "in = out + here");
        uint256 owed = handler.credits() + handler.locked();
        vm.assertGe(handler.held(), owed, "all that is owed is here");
        vm.assertLe(handler.held(), owed + handler.dust(), "and nothing but dust besides");
        vm.assertTrue(!handler.oversold(), "sold, at most offered; offered, at most proved");
        vm.assertEq(handler.settledTwice(), 0, "settled once");
    }
}
