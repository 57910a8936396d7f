// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegistryHandler} from "../utils/RegistryHandler.sol";
import {StakeFixture} from "../utils/StakeFixture.sol";
import {Walk} from "../utils/Walk.sol";

/// @title What holds after any sequence of stakes, moves, slashes and rewards
contract RegistryInvariantTest is StakeFixture, Walk {
    RegistryHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new RegistryHandler(way, parameters, registry);
        _actions = [
            handler.stake.selector,
            handler.unbond.selector,
            handler.release.selector,
            handler.slash.selector,
            handler.distribute.selector,
            handler.claim.selector,
            handler.collect.selector
        ];
    }

    function walker() public view override returns (address) {
        return address(handler);
    }

    /// @notice All rules after every call.
    function invariant_stakeIsWhereItBelongs() public view {
        vm.assertEq(registry.totalStake(), handler.totalOfPools(), "total stake is bonded + thawing");
        uint256 held = way.balanceOf(address(registry));
        uint256 owed = handler.owed();
        vm.assertGe(held, owed, "everything owed is there");
        // Rounding leaves less than one unit for each booking of each owner.
        vm.assertLe(held, owed + 8 * (handler.bookings() + 1), "and nothing else is");
        for (uint256 i = 0; i < 2; ++i) {
            (uint256 bonded, uint256 thawing) = registry.stakeOf(handler.operators(i));
            (uint256 bondedClaims, uint256 thawingClaims) = handler.claims(i);
            vm.assertLe(bondedClaims, bonded, "owners cannot take more than is bonded");
            vm.assertLe(thawingClaims, thawing, "nor more than is thawing");
        }
        vm.assertEq(handler.earlyReleases(), 0, "releases before their time");
    }

    /// @dev Slashed or not, with the operator struck by anything: everybody is out after the unbonding time.
    function _everybodyLeaves() internal override {
        handler.leave();
        (uint256 left, uint256 dust) = (handler.owed(), 8 * (handler.bookings() + 1));
        vm.assertLe(left, dust, "exit: nothing but dust is owed to anybody");
        vm.assertLe(way.balanceOf(address(registry)), left + dust, "exit: all stake is out");
    }
}
