// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Deviation} from "../../src/libraries/Deviation.sol";
import {Multipliers} from "../../src/libraries/Multipliers.sol";
import {Reservation} from "../../src/libraries/Reservation.sol";
import {RegionVault} from "../../src/vaults/RegionVault.sol";
import {Coin, Replay} from "./Replay.sol";

/// @title Formulas without a state and test/differential/formulas.ts
contract FormulasDifferentialTest is Replay {
    /// @dev Only its arithmetic is asked.
    RegionVault private _vault = new RegionVault(address(new Coin()), address(this), "test", 1, 0, 1);

    function test_differential_formulas() public {
        _replay("formulas");
    }

    function _below(uint256 limit) private returns (uint256) {
        return _raw() % limit;
    }

    function _operate() internal override {
        uint256 bond = _below(1 << 96);
        uint256 objective = 1 + _below(10_000);
        uint256 indicator = _below(10_001);
        _fold(Deviation.refund(bond, objective, indicator, _below(4_000)));
        uint256 price = _below(1 << 64);
        uint256 percent = 1 + _below(100);
        _fold(Reservation.upfront(price, percent));
        _fold(Reservation.onUse(price, percent));
        uint256 old = _below(50_000);
        uint256 demand = _below(1 << 80);
        _fold(Multipliers.smoothed(old, Multipliers.ratio(demand, _below(1 << 80), 50_000)));
        uint256[] memory weights = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            uint256 multiplier = 10_000 + _below(40_001);
            uint256 nodes = _below(12);
            weights[i] = Multipliers.weight(multiplier, nodes, _below(12_000));
        }
        uint256[] memory parts = Multipliers.split(_below(1 << 90), weights);
        for (uint256 i = 0; i < 4; ++i) {
            _fold(parts[i]);
        }
        uint256 subsidised = _below(10 ** 12);
        uint256 fees = _below(10 ** 12);
        uint256 providers = _below(100);
        (uint256 subsidy, uint256 taken) = _vault.flow(fees, providers, _below(10 ** 10), subsidised, 0);
        _fold(subsidy);
        _fold(taken);
    }
}
