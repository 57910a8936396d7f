// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParameters} from "../../interfaces/IParameters.sol";
import {IRegistry, Statement} from "../../interfaces/IRegistry.sol";
import {Epochs} from "../Epochs.sol";
import {Committee} from "../registry/Committee.sol";

/// @notice What was last proved of an operator.
/// @param mbps The sum of the n - f smallest verified counts: never above the truth.
/// @param epoch Of the audit.
struct Proven {
    uint32 mbps;
    uint64 epoch;
}

/// @title Bandwidth audits
/// @notice Keeps what committees proved of each operator, and slashes who claimed more than twice that. One audit an
///         operator and epoch, by a committee drawn after the audit was called.
contract Audits is Epochs {
    bytes32 public constant AUDIT = keccak256("audit");
    /// @notice Epochs for which a proof is good.
    uint256 public constant GOOD_FOR = 14;

    IRegistry public immutable REGISTRY;
    Committee public immutable COMMITTEE;
    IParameters public immutable PARAMETERS;

    mapping(address operator => Proven) private _proven;
    /// @dev The claim at the time of the call: lowering it afterwards helps nobody. Plus one, so that 0 is "not called".
    mapping(address operator => mapping(uint256 epoch => uint256)) private _claimed;

    event Called(address indexed operator, uint256 indexed epoch, uint32 claimed);
    event Audited(address indexed operator, uint256 indexed epoch, uint32 claimed, uint32 proven, uint256 slashed);

    error AlreadyCalled(address operator, uint256 epoch);
    error NotCalled(address operator, uint256 epoch);
    error NoQuorum();

    constructor(address committee_, address parameters_, uint256 start, uint256 length) Epochs(start, length) {
        (COMMITTEE, PARAMETERS) = (Committee(committee_), IParameters(parameters_));
        REGISTRY = COMMITTEE.REGISTRY();
    }

    /// @notice Calls the audit of an operator in this epoch. Anyone may.
    function summon(address operator) external returns (bytes32 topic) {
        uint256 now_ = epoch();
        if (_claimed[operator][now_] != 0) revert AlreadyCalled(operator, now_);
        uint32 claim = REGISTRY.profileOf(operator).mbps;
        _claimed[operator][now_] = uint256(claim) + 1;
        emit Called(operator, now_, claim);
        topic = COMMITTEE.summon(labelOf(operator, now_));
    }

    /// @notice Brings what the committee measured. A claim of more than twice that is slashed, for `msg.sender`'s share.
    function report(address operator, uint256 number, uint32 mbps, uint256 signers, bytes32[2][] calldata signatures)
        external
        returns (uint256 slashed)
    {
        uint256 claim = _claimed[operator][number];
        if (claim < 2) revert NotCalled(operator, number);
        bytes32 topic = COMMITTEE.topicOf(address(this), labelOf(operator, number));
        if (!COMMITTEE.agreed(topic, statementOf(operator, number, mbps), signers, signatures)) revert NoQuorum();
        // One report an audit: what is left says that it was called and is over.
        _claimed[operator][number] = 1;
        --claim;
        // forge-lint: disable-next-line(unsafe-typecast) -- an epoch that came: it was called
        if (number >= _proven[operator].epoch) _proven[operator] = Proven({mbps: mbps, epoch: uint64(number)});
        if (2 * uint256(mbps) < claim) {
            slashed = REGISTRY.slash(operator, PARAMETERS.get("slashAudit"), msg.sender, "audit");
        }
        // forge-lint: disable-next-line(unsafe-typecast) -- it was a uint32
        emit Audited(operator, number, uint32(claim), mbps, slashed);
    }

    /// @notice Mbps that an operator has proved lately; 0 if never, or too long ago.
    function provenMbps(address operator) external view returns (uint256) {
        Proven memory proven = _proven[operator];
        return proven.mbps == 0 || epoch() > proven.epoch + GOOD_FOR ? 0 : proven.mbps;
    }

    /// @notice Label of the committee of an audit.
    function labelOf(address operator, uint256 number) public pure returns (bytes32) {
        return keccak256(abi.encode(AUDIT, operator, number));
    }

    /// @notice What the committee signs.
    function statementOf(address operator, uint256 number, uint32 mbps) public view returns (Statement memory) {
        return Statement({
            kind: AUDIT,
            stream: keccak256(abi.encode(address(this), operator)),
            // forge-lint: disable-next-line(unsafe-typecast) -- an epoch that came, wherever it is used
            counter: uint64(number),
            content: keccak256(abi.encode(mbps))
        });
    }
}
