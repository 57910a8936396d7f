// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TokenHandler} from "./utils/TokenHandler.sol";
import {Walk} from "./utils/Walk.sol";

/// @title What holds after any sequence of use, sales, mints, burns and votes
contract TokenInvariantTest is Walk {
    TokenHandler private handler;

    function setUp() public {
        handler = new TokenHandler();
        handler.setUp();
        _actions = [
            handler.spend.selector,
            handler.buy.selector,
            handler.mint.selector,
            handler.turn.selector,
            handler.burn.selector,
            handler.send.selector,
            handler.delegate.selector,
            handler.vote.selector
        ];
    }

    function walker() public view override returns (address) {
        return address(handler);
    }

    function invariant_supplyIsWhatWasMintedLessWhatBurnt() public view {
        (uint256 supply, uint256 should, uint256 sum) = handler.supplies();
        vm.assertEq(supply, should, "supply = genesis + minted - burned");
        vm.assertEq(supply, sum, "supply is the sum of all balances");
        vm.assertLe(supply, handler.cap(), "supply, at most the cap");
        vm.assertLe(10 * handler.mintedByUse(), 9 * handler.burntForDollars(), "minted by use, at most 0.9 of burnt");
        (uint256 votes, uint256 delegated) = handler.votes();
        vm.assertEq(votes, delegated, "votes, exactly what was delegated");
        vm.assertEq(
            handler.onSale() + handler.sold(), handler.collected(), "dollars on sale and sold are those collected"
        );
    }
}
