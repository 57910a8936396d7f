// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Issuance, Parameter} from "../../interfaces/IParameters.sol";

/// @title The table of governed numbers
/// @notice One line each: name, lowest, highest, first value, and whether it moves issuance. Bounds are code: a change
///         of a bound is another contract. Unit: hundredths of a percent unless the line says another.
library ParameterTable {
    /// @notice Part of each claim that is burnt.
    bytes32 internal constant BURN_SHARE = "burnShare";
    /// @notice Part of what burnt that is minted again for the dollars that burnt it (kappa).
    bytes32 internal constant REMINT = "remint";
    /// @notice Largest relative step of a region's price in an epoch, and the use it steers to.
    bytes32 internal constant FEE_STEP = "feeStep";
    bytes32 internal constant FEE_TARGET = "feeTarget";
    /// @notice A region's multiplier, and the notice before one is lowered, in seconds.
    bytes32 internal constant MULTIPLIER_MIN = "multiplierMin";
    bytes32 internal constant MULTIPLIER_MAX = "multiplierMax";
    bytes32 internal constant MULTIPLIER_NOTICE = "multiplierNotice";
    /// @notice Parts of a stake that are slashed, and the part of a slash that whoever proved it keeps.
    bytes32 internal constant SLASH_EQUIVOCATION = "slashEquivocation";
    bytes32 internal constant SLASH_AUDIT = "slashAudit";
    bytes32 internal constant SLASH_ROOT = "slashRoot";
    bytes32 internal constant REPORTER_SHARE = "reporterShare";
    /// @notice Largest part of an order bond that a missed agreement costs.
    bytes32 internal constant SLA_DEVIATION = "slaDeviation";
    /// @notice Least stake of a provider and of a prober, in whole WAY, and how long unbonding takes, in seconds.
    bytes32 internal constant STAKE_PROVIDER = "stakeProvider";
    bytes32 internal constant STAKE_PROBER = "stakeProber";
    bytes32 internal constant UNBONDING = "unbonding";
    /// @notice How long an epoch root may be challenged, in seconds, and the bond behind it, in whole WAY.
    bytes32 internal constant CHALLENGE_WINDOW = "challengeWindow";
    bytes32 internal constant ROOT_BOND = "rootBond";
    /// @notice Stake of a provider for each Mbps it claims, in whole WAY.
    bytes32 internal constant STAKE_PER_MBPS = "stakePerMbps";
    /// @notice Price of failing to deliver sold capacity, as a part of its price.
    bytes32 internal constant CAPACITY_PENALTY = "capacityPenalty";

    /// @notice All of them.
    function all() internal pure returns (Parameter[] memory table) {
        table = new Parameter[](19);
        // Less than 5 % and the token has no tie to use; 100 % is the pure burn-and-mint economy.
        table[0] = Parameter(BURN_SHARE, 500, 10_000, 1_000, Issuance.FallsWithIt);
        // 0.90: with all of it minted again the token would be worth nothing to hold, and a self-dealer would lose nothing.
        table[1] = Parameter(REMINT, 0, 9_000, 9_000, Issuance.RisesWithIt);
        // 1/64 to 1/4. 1/8 is stable up to a demand elasticity of 8 with one epoch of delay.
        table[2] = Parameter(FEE_STEP, 157, 2_500, 1_250, Issuance.Unaffected);
        table[3] = Parameter(FEE_TARGET, 2_500, 7_500, 5_000, Issuance.Unaffected);
        table[4] = Parameter(MULTIPLIER_MIN, 10_000, 10_000, 10_000, Issuance.Unaffected);
        table[5] = Parameter(MULTIPLIER_MAX, 10_000, 50_000, 50_000, Issuance.Unaffected);
        table[6] = Parameter(MULTIPLIER_NOTICE, 7 days, 90 days, 30 days, Issuance.Unaffected);
        table[7] = Parameter(SLASH_EQUIVOCATION, 1_000, 10_000, 10_000, Issuance.Unaffected);
        table[8] = Parameter(SLASH_AUDIT, 0, 10_000, 500, Issuance.Unaffected);
        table[9] = Parameter(SLASH_ROOT, 0, 10_000, 10_000, Issuance.Unaffected);
        // Below all of it, or reporting oneself would cost nothing.
        table[10] = Parameter(REPORTER_SHARE, 0, 5_000, 5_000, Issuance.Unaffected);
        table[11] = Parameter(SLA_DEVIATION, 0, 2_500, 2_500, Issuance.Unaffected);
        table[12] = Parameter(STAKE_PROVIDER, 1, 1_000_000, 1_000, Issuance.Unaffected);
        table[13] = Parameter(STAKE_PROBER, 1, 1_000_000, 10_000, Issuance.Unaffected);
        // A stake must stay within reach longer than any dispute about it, and leave within a time people plan with.
        table[14] = Parameter(UNBONDING, 7 days, 60 days, 21 days, Issuance.Unaffected);
        table[15] = Parameter(CHALLENGE_WINDOW, 1 hours, 7 days, 1 days, Issuance.Unaffected);
        table[16] = Parameter(ROOT_BOND, 1, 1_000_000, 1_000, Issuance.Unaffected);
        table[17] = Parameter(CAPACITY_PENALTY, 0, 10_000, 1_000, Issuance.Unaffected);
        table[18] = Parameter(STAKE_PER_MBPS, 0, 1_000, 1, Issuance.Unaffected);
    }
}
