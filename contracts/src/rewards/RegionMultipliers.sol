// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IParameters} from "../../interfaces/IParameters.sol";
import {Statement} from "../../interfaces/IRegistry.sol";
import {Epochs} from "../Epochs.sol";
import {Multipliers} from "../libraries/Multipliers.sol";
import {Committee} from "../registry/Committee.sol";

/// @notice What a committee saw of a region in one epoch.
/// @param demand Bytes paid for.
/// @param supply Bytes its proven capacity could have carried.
/// @param nodes Proven nodes.
/// @param progress Measured progress, 0 to 10,000: emission is unlocked by it, not by time.
struct RegionReport {
    bytes6 region;
    uint96 demand;
    uint96 supply;
    uint32 nodes;
    uint32 progress;
}

/// @notice Standing of a region.
/// @param smoothed Demand over supply, smoothed, in ten-thousandths.
/// @param multiplier In force.
/// @param lower Will be in force from `lowerAt` on, unless demand comes back; 0 if nothing is announced.
struct Region {
    uint32 smoothed;
    uint32 multiplier;
    uint32 lower;
    uint32 nodes;
    uint32 progress;
    uint64 lowerAt;
}

/// @notice A public, prepaid wish for scarce capacity: the surcharge of who asks pays the bonus of who comes.
struct Ticket {
    address asker;
    bytes6 region;
    uint64 start;
    uint64 end;
    uint128 amount;
    uint128 paid;
}

/// @title Regional multipliers
/// @notice Which region counts how much in a fixed budget. The rules it keeps: a multiplier stays within its bounds,
///         rises at once and falls only after notice, and never mints: it decides shares, and the shares add up to one.
contract RegionMultipliers is Epochs, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    bytes32 public constant REGIONS = keccak256("regions");
    /// @notice Regions one report may hold; the loop over them is the only one.
    uint256 public constant MAX_REGIONS = 64;
    /// @notice Longest life of a ticket.
    uint256 public constant MAX_TICKET = 366 days;

    IERC20 public immutable TOKEN;
    Committee public immutable COMMITTEE;
    IParameters public immutable PARAMETERS;
    /// @notice Where surcharges go: the contract that pays capacity rewards.
    address public immutable REWARDS;

    /// @notice First epoch without a report.
    uint256 public nextEpoch;
    mapping(bytes6 region => Region) private _regions;
    mapping(uint256 id => Ticket) private _tickets;
    uint256 public ticketCount;

    event Reported(uint256 indexed epoch, uint256 regions);
    event MultiplierRaised(bytes6 indexed region, uint256 multiplier);
    event MultiplierWillFall(bytes6 indexed region, uint256 multiplier, uint256 lowerAt);
    event Asked(uint256 indexed id, bytes6 indexed region, address asker, uint256 amount, uint256 end);
    event SurchargePaid(uint256 indexed id, uint256 amount);

    error EpochNotOver(uint256 epoch);
    error EpochNotNew(uint256 epoch);
    error TooManyRegions(uint256 count);
    error RegionsUnsorted(uint256 index);
    error NoQuorum();
    error TicketInvalid();

    constructor(
        address token_,
        address committee_,
        address parameters_,
        address rewards_,
        uint256 start,
        uint256 length
    ) Epochs(start, length) {
        (TOKEN, COMMITTEE) = (IERC20(token_), Committee(committee_));
        (PARAMETERS, REWARDS) = (IParameters(parameters_), rewards_);
    }

    /// @notice Calls the committee that reports on an epoch that is over.
    function summon(uint256 number) external returns (bytes32) {
        _checkEpoch(number);
        return COMMITTEE.summon(keccak256(abi.encode(REGIONS, number)));
    }

    /// @notice Brings the report of an epoch: each region once, in rising order.
    function report(uint256 number, RegionReport[] calldata reports, uint256 signers, bytes32[2][] calldata signatures)
        external
    {
        _checkEpoch(number);
        if (reports.length > MAX_REGIONS) revert TooManyRegions(reports.length);
        bytes32 topic = COMMITTEE.topicOf(address(this), keccak256(abi.encode(REGIONS, number)));
        if (!COMMITTEE.agreed(topic, statementOf(number, reports), signers, signatures)) revert NoQuorum();
        nextEpoch = number + 1;
        (uint256 least, uint256 most) = bounds();
        uint256 notice = PARAMETERS.get("multiplierNotice");
        for (uint256 i = 0; i < reports.length; ++i) {
            if (i != 0 && reports[i].region <= reports[i - 1].region) revert RegionsUnsorted(i);
            _update(reports[i], least, most, notice);
        }
        emit Reported(number, reports.length);
    }

    /// @notice Asks for more of a region: `amount` goes to the rewards over the time until `end`, and everybody can see
    ///         it. Prepaid and not to be taken back: a provider that comes for it can count on it.
    function ask(bytes6 region, uint128 amount, uint64 end) external nonReentrant returns (uint256 id) {
        if (amount == 0 || end <= block.timestamp || end > block.timestamp + MAX_TICKET) revert TicketInvalid();
        id = ++ticketCount;
        _tickets[id] = Ticket({
            asker: msg.sender, region: region, start: uint64(block.timestamp), end: end, amount: amount, paid: 0
        });
        emit Asked(id, region, msg.sender, amount, end);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Moves what a ticket owes by now to the rewards. Anyone may.
    function pay(uint256 id) external nonReentrant returns (uint256 amount) {
        Ticket storage ticket = _tickets[id];
        if (ticket.amount == 0) revert TicketInvalid();
        uint256 gone = Math.min(block.timestamp, ticket.end) - ticket.start;
        amount = uint256(ticket.amount) * gone / (ticket.end - ticket.start) - ticket.paid;
        // forge-lint: disable-next-line(unsafe-typecast) -- at most `ticket.amount`, which is a uint128
        ticket.paid += uint128(amount);
        emit SurchargePaid(id, amount);
        TOKEN.safeTransfer(REWARDS, amount);
    }

    /// @notice Lowest and highest multiplier, in ten-thousandths.
    function bounds() public view returns (uint256 least, uint256 most) {
        return (PARAMETERS.get("multiplierMin"), PARAMETERS.get("multiplierMax"));
    }

    /// @notice The multiplier of a region in force now; the lowest for a region nobody reported.
    function multiplierOf(bytes6 region) public view returns (uint256 multiplier) {
        (uint256 least, uint256 most) = bounds();
        Region storage entry = _regions[region];
        multiplier = entry.lower != 0 && block.timestamp >= entry.lowerAt ? entry.lower : entry.multiplier;
        multiplier = Math.min(Math.max(multiplier, least), most);
    }

    /// @notice Parts of a budget for regions, by multiplier x density x progress. They add up to it.
    function split(uint256 budget, bytes6[] calldata regions) external view returns (uint256[] memory) {
        uint256[] memory weights = new uint256[](regions.length);
        for (uint256 i = 0; i < regions.length; ++i) {
            Region storage entry = _regions[regions[i]];
            weights[i] = Multipliers.weight(multiplierOf(regions[i]), entry.nodes, entry.progress);
        }
        return Multipliers.split(budget, weights);
    }

    /// @notice Standing of a region as written, without what time does to it.
    function regionOf(bytes6 region) external view returns (Region memory) {
        return _regions[region];
    }

    /// @notice A ticket.
    function ticketOf(uint256 id) external view returns (Ticket memory) {
        return _tickets[id];
    }

    /// @notice What the committee signs.
    function statementOf(uint256 number, RegionReport[] calldata reports) public view returns (Statement memory) {
        return Statement({
            kind: REGIONS,
            stream: keccak256(abi.encode(address(this))),
            // forge-lint: disable-next-line(unsafe-typecast) -- an epoch that is over, wherever it is used
            counter: uint64(number),
            content: keccak256(abi.encode(reports))
        });
    }

    function _checkEpoch(uint256 number) private view {
        if (block.timestamp < endOf(number)) revert EpochNotOver(number);
        if (number < nextEpoch) revert EpochNotNew(number);
    }

    /// @dev Up at once; down from `lowerAt`. A fall that is announced keeps its date while demand stays low, so that
    ///      falling a little every epoch does not put it off for ever, and what falls further waits for a notice of its own.
    function _update(RegionReport calldata seen, uint256 least, uint256 most, uint256 notice) private {
        Region memory entry = _regions[seen.region];
        if (entry.lower != 0 && block.timestamp >= entry.lowerAt) (entry.multiplier, entry.lower) = (entry.lower, 0);
        uint256 next = Multipliers.smoothed(entry.smoothed, Multipliers.ratio(seen.demand, seen.supply, most));
        uint256 target = Math.min(Math.max(next, least), most);
        if (target >= entry.multiplier) {
            if (target > entry.multiplier) emit MultiplierRaised(seen.region, target);
            // forge-lint: disable-next-line(unsafe-typecast) -- at most `multiplierMax`, which is far below
            (entry.multiplier, entry.lower) = (uint32(target), 0);
        } else if (entry.lower == 0) {
            // forge-lint: disable-next-line(unsafe-typecast) -- as above
            (entry.lower, entry.lowerAt) = (uint32(target), uint64(block.timestamp + notice));
            emit MultiplierWillFall(seen.region, target, entry.lowerAt);
        } else if (target > entry.lower) {
            // forge-lint: disable-next-line(unsafe-typecast) -- as above
            entry.lower = uint32(target);
        }
        // forge-lint: disable-next-line(unsafe-typecast) -- as above
        entry.smoothed = uint32(next);
        (entry.nodes, entry.progress) = (seen.nodes, seen.progress);
        _regions[seen.region] = entry;
    }
}
