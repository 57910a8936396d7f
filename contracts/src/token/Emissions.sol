// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Budget, IEmissions} from "../../interfaces/IEmissions.sol";
import {IWay} from "../../interfaces/IWay.sol";
import {Epochs} from "../Epochs.sol";
import {Schedule} from "./Schedule.sol";

/// @title Scheduled emissions
/// @notice Mints each epoch's budget once, after it ended, to the contracts that pay capacity and bootstrap rewards. The
///         numbers are in {Schedule}. The rule it keeps: whatever burns, the supply never exceeds genesis + schedule.
/// @dev Net emissions: a tenth of what burnt comes back, a 336th of the pool each epoch, so that capacity is still paid
///      when the schedule has faded. Only a tenth, because the other nine may be minted by {UsageMint}: together never
///      more than burnt. And no more than NET_MAX an epoch, 2 % of the first schedule as Helium has it: what burns
///      beyond that is gone, which is what gives WAY a value from use (with all of it coming back there is none).
contract Emissions is IEmissions, Epochs {
    /// @notice Most epochs that one call turns; call again for more.
    uint256 public constant MAX_TURN = 100;
    /// @notice The pool gives back this part of itself each epoch.
    uint256 public constant NET_EPOCHS = 336;
    /// @notice This part of what burnt enters the pool.
    uint256 public constant NET_PART = 10;
    /// @notice Most that enters the pool for each epoch turned.
    uint256 public constant NET_MAX = 5_000e18;

    IWay public immutable WAY;
    /// @inheritdoc IEmissions
    address public immutable capacityRewards;
    /// @inheritdoc IEmissions
    address public immutable bootstrapRewards;

    /// @inheritdoc IEmissions
    uint256 public nextEpoch;
    /// @inheritdoc IEmissions
    uint256 public netPool;
    /// @notice How much of {IWay.burned} has been looked at.
    uint256 public burnedSeen;

    mapping(uint256 epoch => Budget) private _budgets;

    constructor(IWay way, uint256 start, uint256 length, address capacity, address bootstrap) Epochs(start, length) {
        if (capacity == address(0) || bootstrap == address(0)) revert EmissionsInvalid();
        WAY = way;
        capacityRewards = capacity;
        bootstrapRewards = bootstrap;
    }

    /// @inheritdoc IEmissions
    function turn() external returns (uint256 turned) {
        uint256 first = nextEpoch;
        turned = epoch() - first;
        if (turned == 0) return 0;
        if (turned > MAX_TURN) turned = MAX_TURN;

        uint256 reentered = _reenter(turned);
        uint256 pool = netPool;
        uint256 capacity;
        uint256 bootstrap;
        for (uint256 e = first; e < first + turned; ++e) {
            uint256 back = pool / NET_EPOCHS;
            pool -= back;
            uint256 forCapacity = Schedule.capacityAt(e) + back;
            uint256 forBootstrap = Schedule.bootstrapAt(e);
            // forge-lint: disable-next-line(unsafe-typecast) -- below the cap of WAY, 2^90
            _budgets[e] = Budget({capacity: uint128(forCapacity), bootstrap: uint128(forBootstrap)});
            capacity += forCapacity;
            bootstrap += forBootstrap;
        }
        netPool = pool;
        nextEpoch = first + turned;
        emit Turned(first, first + turned - 1, capacity, bootstrap, reentered);
        if (capacity != 0) WAY.mint(capacityRewards, capacity);
        if (bootstrap != 0) WAY.mint(bootstrapRewards, bootstrap);
    }

    /// @inheritdoc IEmissions
    function budgetOf(uint256 number) external view returns (Budget memory) {
        return _budgets[number];
    }

    /// @dev Takes a tenth of what burnt since the last turn into the pool, up to the most for the epochs turned.
    function _reenter(uint256 turned) private returns (uint256 amount) {
        uint256 burned = WAY.burned();
        amount = (burned - burnedSeen) / NET_PART;
        if (amount > turned * NET_MAX) amount = turned * NET_MAX;
        burnedSeen = burned;
        netPool += amount;
    }
}
