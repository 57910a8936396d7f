// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IParameters, Issuance} from "../../interfaces/IParameters.sol";

/// @title Votes over the parameters
/// @notice OpenZeppelin's governor over WAY. The rule it keeps: making issuance larger takes two thirds of the votes cast,
///         everything else about the parameters a majority, and anything this contract cannot judge two thirds again.
///         Votes are those held and delegated when voting opens, so what is borrowed for a block counts for nothing.
/// @dev Which it is follows from the text of a proposal alone (a change names the value it starts from, and fails if that
///      moved), so it is decided once, when the proposal is made. Periods and threshold are immutable: no vote can make
///      votes impossible.
contract Governance is Governor, GovernorCountingSimple, GovernorVotes, GovernorTimelockControl {
    /// @notice Part of all WAY that must vote for or abstain, in percent.
    uint256 public constant QUORUM = 33;

    IParameters public immutable PARAMETERS;
    uint256 private immutable _DELAY;
    uint256 private immutable _PERIOD;
    uint256 private immutable _THRESHOLD;

    /// @notice Whether a proposal takes two thirds.
    mapping(uint256 proposalId => bool) public needsTwoThirds;

    /// @param delay Seconds from a proposal to the snapshot: time to delegate.
    /// @param period Seconds in which votes are cast.
    /// @param threshold WAY it takes to propose.
    constructor(
        IVotes way,
        TimelockController timelock_,
        IParameters parameters,
        uint256 delay,
        uint256 period,
        uint256 threshold
    ) Governor("Byway Governance") GovernorVotes(way) GovernorTimelockControl(timelock_) {
        PARAMETERS = parameters;
        _DELAY = delay;
        _PERIOD = period;
        _THRESHOLD = threshold;
    }

    /// @notice Whether this call may make issuance larger, or cannot be judged.
    function mayRaiseIssuance(address target, bytes memory data) public view returns (bool) {
        if (target != address(PARAMETERS) || data.length < 4) return true;
        // forge-lint: disable-next-line(unsafe-typecast) -- at least four bytes, the selector are the first
        bytes4 selector = bytes4(data);
        if (selector == IParameters.setGuardian.selector) return false;
        if (selector != IParameters.set.selector || data.length != 100) return true;
        bytes32 name;
        uint256 from;
        uint256 to;
        assembly ("memory-safe") {
            name := mload(add(data, 36))
            from := mload(add(data, 68))
            to := mload(add(data, 100))
        }
        Issuance issuance = PARAMETERS.parameter(name).issuance;
        if (issuance == Issuance.RisesWithIt) return to > from;
        if (issuance == Issuance.FallsWithIt) return to < from;
        return false;
    }

    /// @inheritdoc Governor
    function votingDelay() public view override returns (uint256) {
        return _DELAY;
    }

    /// @inheritdoc Governor
    function votingPeriod() public view override returns (uint256) {
        return _PERIOD;
    }

    /// @inheritdoc Governor
    function proposalThreshold() public view override returns (uint256) {
        return _THRESHOLD;
    }

    /// @inheritdoc Governor
    function quorum(uint256 timepoint) public view override returns (uint256) {
        return Math.mulDiv(token().getPastTotalSupply(timepoint), QUORUM, 100, Math.Rounding.Ceil);
    }

    /// @inheritdoc Governor
    function state(uint256 proposalId) public view override(Governor, GovernorTimelockControl) returns (ProposalState) {
        return super.state(proposalId);
    }

    /// @inheritdoc Governor
    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override returns (uint256 proposalId) {
        proposalId = super._propose(targets, values, calldatas, description, proposer);
        for (uint256 i = 0; i < targets.length; ++i) {
            if (mayRaiseIssuance(targets[i], calldatas[i])) needsTwoThirds[proposalId] = true;
        }
    }

    function _voteSucceeded(uint256 proposalId)
        internal
        view
        override(Governor, GovernorCountingSimple)
        returns (bool)
    {
        if (!super._voteSucceeded(proposalId)) return false;
        if (!needsTwoThirds[proposalId]) return true;
        (uint256 against, uint256 inFavour,) = proposalVotes(proposalId);
        return 3 * inFavour >= 2 * (inFavour + against);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
