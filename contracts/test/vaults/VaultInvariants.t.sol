// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VaultHandler} from "../utils/VaultHandler.sol";
import {Walk} from "../utils/Walk.sol";

/// @title What holds after any sequence of deposits, months and exits
contract VaultInvariantTest is Walk {
    VaultHandler private handler;

    function setUp() public {
        handler = new VaultHandler();
        handler.setUp();
        _actions = [
            handler.deposit.selector,
            handler.requestRedeem.selector,
            handler.serve.selector,
            handler.earn.selector,
            handler.settle.selector,
            handler.collectFees.selector,
            handler.collect.selector
        ];
    }

    function walker() public view override returns (address) {
        return address(handler);
    }

    function invariant_theVaultOwesWhatItHasAtMost() public view {
        vm.assertEq(handler.put(), handler.taken() + handler.held(), "in = out + here");
        vm.assertLe(handler.owed(), handler.held(), "owed, at most what is here");
        vm.assertLe(handler.collectable(), handler.owed(), "collectable, at most what is set aside");
        (uint256 subsidised, uint256 returned) = handler.books();
        vm.assertLe(2 * returned, 3 * subsidised, "taken back, at most one and a half times what was paid");
    }

    /// @dev Whoever has shares is out after one notice, and then nobody but providers has anything here.
    function _everybodyLeaves() internal override {
        handler.leave();
        vm.assertEq(handler.outstanding(), 0, "exit: no shares are left");
        vm.assertLe(handler.owed(), handler.held(), "exit: what is left is there");
    }
}
