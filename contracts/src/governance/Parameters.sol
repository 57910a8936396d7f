// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParameters, Issuance, Parameter} from "../../interfaces/IParameters.sol";
import {ParameterTable} from "./ParameterTable.sol";

/// @title The governed numbers
/// @notice Keeps one rule: whatever is voted, in whatever order, no parameter leaves the bounds of {ParameterTable}.
///         The timelock changes values, the guardian pauses deposits for a while, and nobody can do more.
contract Parameters is IParameters {
    /// @notice How long one pause of deposits lasts, and how long the next must wait after it ended.
    uint256 public constant PAUSE = 7 days;

    /// @inheritdoc IParameters
    address public immutable timelock;

    /// @inheritdoc IParameters
    address public guardian;

    /// @inheritdoc IParameters
    uint256 public pausedUntil;

    /// @dev `value` first, with what says that the name is known: a reader pays for one slot.
    struct Entry {
        uint128 value;
        Issuance issuance;
        bool known;
        uint128 min;
        uint128 max;
        uint128 initial;
    }

    mapping(bytes32 name => Entry) private _entries;
    bytes32[] private _names;

    /// @param timelock_ The timelock of the governor.
    /// @param guardian_ Who may pause deposits at first; 0 for nobody.
    constructor(address timelock_, address guardian_) {
        timelock = timelock_;
        guardian = guardian_;
        Parameter[] memory table = ParameterTable.all();
        for (uint256 i = 0; i < table.length; ++i) {
            Parameter memory row = table[i];
            if (_entries[row.name].known || row.initial < row.min || row.initial > row.max) {
                revert TableInvalid(row.name);
            }
            _entries[row.name] = Entry({
                value: row.initial,
                issuance: row.issuance,
                known: true,
                min: row.min,
                max: row.max,
                initial: row.initial
            });
            _names.push(row.name);
        }
    }

    /// @inheritdoc IParameters
    function get(bytes32 name) external view returns (uint256) {
        return _known(name).value;
    }

    /// @inheritdoc IParameters
    function parameter(bytes32 name) external view returns (Parameter memory) {
        Entry storage entry = _known(name);
        return Parameter({name: name, min: entry.min, max: entry.max, initial: entry.initial, issuance: entry.issuance});
    }

    /// @inheritdoc IParameters
    function names() external view returns (bytes32[] memory) {
        return _names;
    }

    /// @inheritdoc IParameters
    function set(bytes32 name, uint256 from, uint256 to) external {
        if (msg.sender != timelock) revert NotTimelock(msg.sender);
        Entry storage entry = _known(name);
        if (entry.value != from) revert ParameterMoved(name, from, entry.value);
        if (to < entry.min || to > entry.max) revert ParameterOutOfBounds(name, to, entry.min, entry.max);
        // forge-lint: disable-next-line(unsafe-typecast) -- at most `max`, which is a uint128
        entry.value = uint128(to);
        emit ParameterChanged(name, from, to);
    }

    /// @inheritdoc IParameters
    function pauseDeposits() external {
        if (msg.sender != guardian) revert NotGuardian(msg.sender);
        uint256 next = pausedUntil == 0 ? 0 : pausedUntil + PAUSE;
        if (block.timestamp < next) revert PauseTooSoon(next);
        pausedUntil = block.timestamp + PAUSE;
        emit DepositsPaused(pausedUntil);
    }

    /// @inheritdoc IParameters
    function setGuardian(address guardian_) external {
        if (msg.sender != timelock) revert NotTimelock(msg.sender);
        guardian = guardian_;
        emit GuardianChanged(guardian_);
    }

    function _known(bytes32 name) private view returns (Entry storage entry) {
        entry = _entries[name];
        if (!entry.known) revert ParameterUnknown(name);
    }
}
