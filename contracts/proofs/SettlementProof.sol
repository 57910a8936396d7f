// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Settlement} from "../src/libraries/Settlement.sol";

/// @title What is proved of a claim, for every input
contract SettlementProof {
    /// @notice Never below, never above: a channel that paid at most its cap pays at most its cap, and exactly the largest.
    function newlyPaid(uint256 cap, uint256 paid, uint256 cumulative) external pure {
        require(cap <= type(uint96).max && paid <= cap && cumulative <= cap);
        uint256 raise = Settlement.newlyPaid(paid, cumulative);
        uint256 after_ = paid + raise;
        assert(after_ <= cap);
        assert(after_ == (cumulative > paid ? cumulative : paid));
    }

    /// @notice Any two vouchers in either order pay the same.
    function anyOrder(uint256 paid, uint256 a, uint256 b) external pure {
        require(paid <= type(uint96).max && a <= type(uint96).max && b <= type(uint96).max);
        uint256 ab = paid + Settlement.newlyPaid(paid, a);
        ab += Settlement.newlyPaid(ab, b);
        uint256 ba = paid + Settlement.newlyPaid(paid, b);
        ba += Settlement.newlyPaid(ba, a);
        assert(ab == ba);
    }

    /// @notice The parts are the whole: burnt, fee and payee; none is negative.
    function split(uint256 amount, uint256 share, uint256 fee) external pure {
        require(amount <= type(uint128).max && share <= Settlement.WHOLE);
        (uint256 burnt, uint256 left) = Settlement.split(amount, share);
        assert(burnt <= amount);
        assert(left <= amount);
        assert(burnt + left == amount);
        require(fee <= left);
        assert(burnt + fee + (left - fee) == amount);
    }
}
