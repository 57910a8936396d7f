// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IParameters} from "../../interfaces/IParameters.sol";
import {IRegistry, Role, Statement} from "../../interfaces/IRegistry.sol";
import {Reservation} from "../libraries/Reservation.sol";
import {Statements} from "../libraries/Statements.sol";
import {Committee} from "../registry/Committee.sol";
import {Audits} from "../rewards/Audits.sol";

/// @notice What one provider offers for one hour in one region and tier. Amounts of money are per GB.
/// @param price Full price; what a buyer pays follows from it and from the probability it declares.
/// @param bond What the provider put up beside each GB.
/// @param offered GB that can be sold.
/// @param sold GB sold.
/// @param unused GB sold, neither redeemed nor burnt.
/// @param deviation Part that a committee found undelivered, in hundredths of a percent.
/// @param judged Whether a committee spoke.
/// @param settled Whether the provider was paid.
/// @param upfront All that buyers paid at once.
/// @param unusedUpfront The part of it that belongs to unused GB.
struct Line {
    uint96 price;
    uint96 bond;
    uint32 offered;
    uint32 sold;
    uint32 unused;
    uint16 deviation;
    bool judged;
    bool settled;
    uint128 upfront;
    uint128 unusedUpfront;
}

/// @title Bandwidth sold ahead: GB in one hour, region and tier
/// @notice A provider offers no more than committees proved it has, puts up a bond, and sells rights. A buyer says how
///         probable it is to use them; the truth is the cheapest answer ({Reservation}). Rights are ERC-1155 tokens.
///
///     buyer: f + g --> here --redeem (use, or a signed receipt)--> provider gets g      at the settlement:
///                        |                                                              provider gets f and its bond
///                        +--expire (after the hour) --> holder gets g back, and d x (f + bond) if a committee found
///                                                       that the part d was not delivered
///
/// What holds, and is tested: sold <= offered <= proven capacity in every hour; each line is settled once; the
/// dollars here cover every right, bond and credit; after its hour a right is worth its refund and can only be burnt.
/// @dev id, from high to low: provider 160 bits, region 48, tier 8, hour 32 (Unix time / 3,600), declared percent 8. The
///      provider is part of it because delivery is always somebody's, the percent because what is due on use depends
///      on it; so all rights with one id are alike. With percent 0 it names the line.
contract CapacityMarket is ERC1155, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    bytes32 public constant DELIVERY = keccak256("delivery");
    bytes32 private constant RECEIPT_TYPEHASH = keccak256("Receipt(uint256 id,address holder,uint64 used)");
    uint256 private constant WHOLE = 10_000;
    /// @notice Seconds after the hour in which receipts are redeemed and a committee may speak.
    uint256 public constant WINDOW = 1 days;
    /// @notice How far ahead an hour can be offered.
    uint256 public constant HORIZON = 90 days;

    IERC20 public immutable DOLLAR;
    IRegistry public immutable REGISTRY;
    Committee public immutable COMMITTEE;
    Audits public immutable AUDITS;
    IParameters public immutable PARAMETERS;
    /// @notice Highest price of a GB.
    uint256 public immutable CEILING;

    mapping(uint256 line => Line) private _lines;
    mapping(address provider => mapping(uint256 hour => uint256)) public offeredAt;
    mapping(uint256 id => mapping(address holder => uint256)) public usedBy;
    mapping(address owner => uint256) public credits;

    event Offered(uint256 indexed line, address indexed provider, uint256 gb, uint256 price, uint256 bond);
    event Bought(uint256 indexed id, address indexed buyer, uint256 gb, uint256 paid);
    event Redeemed(uint256 indexed id, address indexed holder, uint256 gb);
    event Judged(uint256 indexed line, uint256 deviation);
    event Settled(uint256 indexed line, uint256 toProvider);
    event Expired(uint256 indexed id, address indexed holder, uint256 gb, uint256 refund);

    error NotActive(address provider);
    error HourInvalid(uint256 hour);
    error PriceInvalid(uint256 price, uint256 ceiling);
    error CapacityExceeded(uint256 wanted, uint256 available);
    error PercentInvalid(uint256 percent);
    error AmountZero();
    error HourOver(uint256 endsAt);
    error HourNotOver(uint256 endsAt);
    error ReceiptInvalid();
    error NoQuorum();
    error AlreadyJudged(uint256 line);
    error AlreadySettled(uint256 line);
    error NotSettled(uint256 line);

    constructor(address dollar_, address audits_, address parameters_, uint256 ceiling_)
        ERC1155("")
        EIP712("Byway Capacity", "1")
    {
        (DOLLAR, AUDITS, PARAMETERS, CEILING) = (IERC20(dollar_), Audits(audits_), IParameters(parameters_), ceiling_);
        (COMMITTEE, REGISTRY) = (AUDITS.COMMITTEE(), AUDITS.REGISTRY());
    }

    // -------------------------------------------------------------------------------------------------------- sale

    /// @notice Offers `gb` of the caller's capacity in an hour to come. Pulls the bond.
    function offer(bytes6 region, uint8 tier, uint32 hour, uint32 gb, uint96 price)
        external
        nonReentrant
        returns (uint256 line)
    {
        if (!REGISTRY.isActive(msg.sender, Role.Provider)) revert NotActive(msg.sender);
        uint256 starts = uint256(hour) * 1 hours;
        if (starts <= block.timestamp || starts > block.timestamp + HORIZON) revert HourInvalid(hour);
        if (gb == 0) revert AmountZero();
        line = lineOf(msg.sender, region, tier, hour);
        Line storage entry = _lines[line];
        // More of the same line may be offered, at its price.
        bool moved = entry.offered != 0 && entry.price != price;
        if (price == 0 || price > CEILING || moved) revert PriceInvalid(price, CEILING);
        uint256 offered = offeredAt[msg.sender][hour] + gb;
        uint256 capacity = capacityOf(msg.sender);
        if (offered > capacity) revert CapacityExceeded(offered, capacity);
        offeredAt[msg.sender][hour] = offered;
        if (entry.offered == 0) {
            entry.price = price;
            // forge-lint: disable-next-line(unsafe-typecast) -- at most the price, which is a uint96
            entry.bond = uint96(price * PARAMETERS.get("capacityPenalty") / WHOLE);
        }
        entry.offered += gb;
        emit Offered(line, msg.sender, gb, price, entry.bond);
        _pull(uint256(entry.bond) * gb);
    }

    /// @notice Buys `gb` of a line, declaring to use them with a probability of `percent`. Pulls f and g; g comes back
    ///         for what is not used.
    function buy(uint256 line, uint8 percent, uint32 gb) external nonReentrant returns (uint256 id) {
        if (percent == 0 || percent > 100) revert PercentInvalid(percent);
        if (gb == 0) revert AmountZero();
        if (block.timestamp >= endOf(line)) revert HourOver(endOf(line));
        Line storage entry = _lines[line];
        if (gb > entry.offered - entry.sold) revert CapacityExceeded(gb, entry.offered - entry.sold);
        id = line | percent;
        uint256 now_ = Reservation.upfront(entry.price, percent) * gb;
        uint256 later = Reservation.onUse(entry.price, percent) * gb;
        (entry.sold, entry.unused) = (entry.sold + gb, entry.unused + gb);
        // forge-lint: disable-next-line(unsafe-typecast) -- below 2^96 x 2^32
        (entry.upfront, entry.unusedUpfront) = (entry.upfront + uint128(now_), entry.unusedUpfront + uint128(now_));
        emit Bought(id, msg.sender, gb, now_ + later);
        _pull(now_ + later);
        _mint(msg.sender, id, gb, "");
    }

    // --------------------------------------------------------------------------------------------------- delivery

    /// @notice The caller used `gb` of its rights: the provider is paid for them.
    function redeem(uint256 id, uint32 gb) external nonReentrant {
        _redeem(id, msg.sender, gb);
    }

    /// @notice Anyone brings a holder's signed receipt for `used` GB in all of one id; what is new of it is paid.
    function redeemReceipt(uint256 id, address holder, uint64 used, bytes32 r, bytes32 vs) external nonReentrant {
        bytes32 hash = keccak256(abi.encode(RECEIPT_TYPEHASH, id, holder, used));
        if (Statements.signerOf(_hashTypedDataV4(hash), r, vs) != holder) revert ReceiptInvalid();
        uint256 before = usedBy[id][holder];
        if (used <= before) revert ReceiptInvalid();
        _redeem(id, holder, used - before);
    }

    /// @notice Calls the committee that may find a failure in a line whose hour is over.
    function summon(uint256 line) external returns (bytes32) {
        if (block.timestamp < endOf(line)) revert HourNotOver(endOf(line));
        return COMMITTEE.summon(bytes32(line));
    }

    /// @notice Brings what a committee found: the part of the line's hour that was not delivered.
    function judge(uint256 line, uint16 deviation, uint256 signers, bytes32[2][] calldata signatures) external {
        Line storage entry = _lines[line];
        if (entry.judged) revert AlreadyJudged(line);
        uint256 deadline = endOf(line) + WINDOW;
        if (block.timestamp >= deadline) revert HourOver(deadline);
        bytes32 topic = COMMITTEE.topicOf(address(this), bytes32(line));
        if (!COMMITTEE.agreed(topic, statementOf(line, deviation), signers, signatures)) revert NoQuorum();
        // forge-lint: disable-next-line(unsafe-typecast) -- at most a uint16
        (entry.judged, entry.deviation) = (true, uint16(Math.min(deviation, WHOLE)));
        emit Judged(line, entry.deviation);
    }

    // ------------------------------------------------------------------------------------------------- settlement

    /// @notice Pays the provider of a line, once, when the window after its hour is over. Anyone may.
    function settle(uint256 line) external returns (uint256 amount) {
        Line storage entry = _lines[line];
        uint256 from = endOf(line) + WINDOW;
        if (block.timestamp < from) revert HourNotOver(from);
        if (entry.settled) revert AlreadySettled(line);
        entry.settled = true;
        // Rounded up: each holder's part is rounded down.
        uint256 lost = Math.mulDiv(
            entry.unusedUpfront + uint256(entry.bond) * entry.unused, entry.deviation, WHOLE, Math.Rounding.Ceil
        );
        amount = entry.upfront + uint256(entry.bond) * entry.offered - lost;
        credits[providerOf(line)] += amount;
        emit Settled(line, amount);
    }

    /// @notice Burns what a holder did not use of a settled line and books its refund. Anyone may.
    function expire(uint256 id, address holder) external nonReentrant returns (uint256 refund) {
        uint256 line = id & ~uint256(0xff);
        Line storage entry = _lines[line];
        if (!entry.settled) revert NotSettled(line);
        uint256 gb = balanceOf(holder, id);
        (uint256 now_, uint256 later) = dues(line, id & 0xff);
        refund = gb * (later + Math.mulDiv(now_ + entry.bond, entry.deviation, WHOLE));
        credits[holder] += refund;
        emit Expired(id, holder, gb, refund);
        _burn(holder, id, gb);
    }

    /// @notice Pays the caller's credits.
    function collect() external nonReentrant returns (uint256 amount) {
        amount = credits[msg.sender];
        delete credits[msg.sender];
        DOLLAR.safeTransfer(msg.sender, amount);
    }

    // -------------------------------------------------------------------------------------------------------- views

    /// @notice A line.
    function lineAt(uint256 line) external view returns (Line memory) {
        return _lines[line];
    }

    /// @notice What a GB of a line costs at once, and on use.
    function dues(uint256 line, uint256 percent) public view returns (uint256 now_, uint256 later) {
        uint256 price = _lines[line].price;
        return (Reservation.upfront(price, percent), Reservation.onUse(price, percent));
    }

    /// @notice GB an hour that a provider proved: Mbps x 3,600 / 8 / 1,000.
    function capacityOf(address provider) public view returns (uint256) {
        return AUDITS.provenMbps(provider) * 9 / 20;
    }

    /// @notice Name of a line.
    function lineOf(address provider, bytes6 region, uint8 tier, uint32 hour) public pure returns (uint256) {
        return
            uint256(uint160(provider)) << 96 | uint256(uint48(region)) << 48 | uint256(tier) << 40 | uint256(hour) << 8;
    }

    /// @notice Provider of a line or right.
    function providerOf(uint256 id) public pure returns (address) {
        // forge-lint: disable-next-line(unsafe-typecast) -- 160 bits are left
        return address(uint160(id >> 96));
    }

    /// @notice First second after the hour of a line or right.
    function endOf(uint256 id) public pure returns (uint256) {
        // forge-lint: disable-next-line(unsafe-typecast) -- the hour is those 32 bits
        return (uint256(uint32(id >> 8)) + 1) * 1 hours;
    }

    /// @notice What a holder signs for {redeemReceipt}.
    function receiptDigest(uint256 id, address holder, uint64 used) external view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(RECEIPT_TYPEHASH, id, holder, used)));
    }

    /// @notice What the committee signs.
    function statementOf(uint256 line, uint16 deviation) public view returns (Statement memory) {
        return Statement({
            kind: DELIVERY,
            stream: keccak256(abi.encode(address(this), line)),
            counter: 0,
            content: keccak256(abi.encode(deviation))
        });
    }

    // ------------------------------------------------------------------------------------------------------ private

    function _redeem(uint256 id, address holder, uint256 gb) private {
        uint256 line = id & ~uint256(0xff);
        Line storage entry = _lines[line];
        uint256 ends = endOf(id);
        if (block.timestamp < ends - 1 hours) revert HourNotOver(ends - 1 hours);
        if (block.timestamp >= ends + WINDOW) revert HourOver(ends + WINDOW);
        if (gb == 0) revert AmountZero();
        (uint256 now_, uint256 later) = dues(line, id & 0xff);
        usedBy[id][holder] += gb;
        // forge-lint: disable-next-line(unsafe-typecast) -- the burn below demands that so many were bought
        (entry.unused, entry.unusedUpfront) = (uint32(entry.unused - gb), uint128(entry.unusedUpfront - now_ * gb));
        credits[providerOf(line)] += later * gb;
        emit Redeemed(id, holder, gb);
        _burn(holder, id, gb);
    }

    /// @dev Credits what arrived: a token that takes a fee is refused.
    function _pull(uint256 amount) private {
        uint256 before = DOLLAR.balanceOf(address(this));
        DOLLAR.safeTransferFrom(msg.sender, address(this), amount);
        if (DOLLAR.balanceOf(address(this)) - before != amount) revert AmountZero();
    }
}
