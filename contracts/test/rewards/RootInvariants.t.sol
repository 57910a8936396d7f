// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RootsHandler} from "../utils/RootsHandler.sol";
import {Walk} from "../utils/Walk.sol";

/// @title What holds after any sequence of epochs, challenges, refutations and claims
contract RootInvariantTest is Walk {
    RootsHandler private handler;

    function setUp() public {
        handler = new RootsHandler();
        handler.setUp();
        _actions = [
            handler.fund.selector,
            handler.propose.selector,
            handler.settle.selector,
            handler.challenge.selector,
            handler.rule.selector,
            handler.refute.selector,
            handler.claim.selector,
            handler.collect.selector
        ];
    }

    function walker() public view override returns (address) {
        return address(handler);
    }

    function invariant_claimedIsAtMostSignedAndSignedAtMostFunded() public view {
        (uint256 paid, uint256 total, uint256 funded, uint256 bonds) = handler.books();
        vm.assertLe(paid, total, "paid, at most the total of the final root");
        vm.assertLe(total, funded, "which is at most what was funded");
        vm.assertEq(bonds, handler.bondsOwed(), "bonds are pending or booked");
        vm.assertEq(handler.put(), handler.taken() + handler.burnt() + handler.held(), "in = out + burnt + here");
        vm.assertEq(handler.fell(), 0, "what was claimed never falls");
        vm.assertTrue(!handler.overclaimed(), "nor exceeds a leaf");
    }
}
