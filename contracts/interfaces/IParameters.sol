// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Which way of moving a parameter makes more WAY come into being, or stay in being.
/// @dev More issuance needs two thirds of the votes, everything else a simple majority: see Governance.sol.
enum Issuance {
    Unaffected,
    RisesWithIt,
    FallsWithIt
}

/// @notice One governed number.
/// @param name Short words as bytes32, such as "burnShare"; the unit stands in ParameterTable.sol.
/// @param initial Its value until the first change; within the bounds.
struct Parameter {
    bytes32 name;
    uint128 min;
    uint128 max;
    uint128 initial;
    Issuance issuance;
}

/// @title The governed numbers
/// @notice Every number that votes may change is read here, and none leaves the bounds that were compiled in.
/// @dev What moves money on every call should not ask here each time: Channels copies what it needs with its `sync`,
///      so that nothing in here can ever stop a claim.
interface IParameters {
    /// @notice The timelock gave parameter `name` the value `to`.
    event ParameterChanged(bytes32 indexed name, uint256 from, uint256 to);
    /// @notice Deposits are paused until `until`, a time in seconds. Nothing else is.
    event DepositsPaused(uint256 until);
    /// @notice Another guardian, or none.
    event GuardianChanged(address guardian);

    /// @notice There is no parameter of that name.
    error ParameterUnknown(bytes32 name);
    /// @notice The value is outside the bounds that no vote can move.
    error ParameterOutOfBounds(bytes32 name, uint256 value, uint256 min, uint256 max);
    /// @notice The change was made for another current value.
    error ParameterMoved(bytes32 name, uint256 expected, uint256 found);
    /// @notice The table names a parameter twice, or starts one outside its bounds. Only at construction.
    error TableInvalid(bytes32 name);
    /// @notice Only the timelock may do this.
    error NotTimelock(address caller);
    /// @notice Only the guardian may do this.
    error NotGuardian(address caller);
    /// @notice The guardian may pause again only from `next` on.
    error PauseTooSoon(uint256 next);

    /// @notice The value of a parameter. Reverts for a name that is not in the table.
    function get(bytes32 name) external view returns (uint256);

    /// @notice Bounds, starting value and direction of a parameter. Reverts for a name that is not in the table.
    function parameter(bytes32 name) external view returns (Parameter memory);

    /// @notice Every name, in the order of the table.
    function names() external view returns (bytes32[] memory);

    /// @notice Changes a parameter, by the timelock alone.
    /// @param from The current value. It is part of the call, so that whether a proposal raises issuance can be told from
    ///        its text, and stays true however long it waits.
    function set(bytes32 name, uint256 from, uint256 to) external;

    /// @notice Until when deposits are paused, a time in seconds; 0 if they never were.
    function pausedUntil() external view returns (uint256);

    /// @notice The guardian pauses deposits for PAUSE seconds. It may do so again only after as long a time without.
    function pauseDeposits() external;

    /// @notice Who may pause deposits; 0 is nobody.
    function guardian() external view returns (address);

    /// @notice Names another guardian, by the timelock alone.
    function setGuardian(address guardian_) external;

    /// @notice Who may change anything.
    function timelock() external view returns (address);
}
