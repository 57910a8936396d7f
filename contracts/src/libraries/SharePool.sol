// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @notice Tokens of many owners who share losses pro rata.
/// @param tokens What is in the pool.
/// @param shares What was issued for it and not returned. At least `tokens`.
/// @param generation How often the pool was emptied by losses. Shares of an older generation are worth nothing.
struct Pool {
    uint128 tokens;
    uint128 shares;
    uint64 generation;
}

/// @title A pool of shares that can only lose
/// @notice The rule it keeps: a share is never worth more than one token. It starts at one, losses lower it, and both
///         ways of rounding leave the dust in the pool without lifting it above one (proof at {exit}). Nothing can be
///         donated, so the inflation attack on the first depositor has no handle.
library SharePool {
    using SafeCast for uint256;

    /// @notice A pool whose shares are worth less than a billionth of a token is emptied: otherwise the shares for the
    ///         next deposit would outgrow 128 bits, and one total loss would lock the pool for ever.
    uint256 internal constant MAX_SHARES_PER_TOKEN = 1e9;

    /// @notice Adds `tokens`; returns the shares for them, at least as many.
    function enter(Pool storage pool, uint256 tokens) internal returns (uint256 shares) {
        // A pool has tokens whenever it has shares: {cut} starts a new generation otherwise.
        shares = pool.shares == 0 ? tokens : Math.mulDiv(tokens, pool.shares, pool.tokens);
        pool.tokens = (pool.tokens + tokens).toUint128();
        pool.shares = (pool.shares + shares).toUint128();
    }

    /// @notice Takes `shares` out, which must be in the pool; returns their tokens, rounded down.
    /// @dev With S >= T: x shares out keep S - x >= T - floor(x T / S), because x - floor(x T / S) < x (S - T) / S + 1
    ///      and the left side is an integer. The last share takes the last token.
    function exit(Pool storage pool, uint256 shares) internal returns (uint256 tokens) {
        tokens = worth(pool, shares);
        pool.tokens = (pool.tokens - tokens).toUint128();
        pool.shares = (pool.shares - shares).toUint128();
    }

    /// @notice Takes `tokens` out at everybody's cost. What is left of a pool that is all but empty goes too.
    /// @return removed At least `tokens`, at most what was there.
    function cut(Pool storage pool, uint256 tokens) internal returns (uint256 removed) {
        uint256 left = pool.tokens - tokens;
        removed = tokens;
        if (left * MAX_SHARES_PER_TOKEN < pool.shares) {
            removed = pool.tokens;
            left = 0;
            pool.shares = 0;
            ++pool.generation;
        }
        pool.tokens = left.toUint128();
    }

    /// @notice What `shares` of the present generation are worth, rounded down.
    function worth(Pool storage pool, uint256 shares) internal view returns (uint256) {
        return shares == 0 ? 0 : Math.mulDiv(shares, pool.tokens, pool.shares);
    }
}
