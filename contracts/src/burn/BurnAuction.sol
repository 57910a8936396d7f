// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IBurnAuction, Quote} from "../../interfaces/IBurnAuction.sol";
import {IWay} from "../../interfaces/IWay.sol";
import {Epochs} from "../Epochs.sol";
import {DutchPrice} from "./DutchPrice.sol";

/// @title A standing Dutch auction that sells dollars for WAY and burns the WAY
/// @notice No oracle and no keeper: the price falls until somebody buys and rises with what is bought. The rule it
///         keeps: every dollar of one epoch is as good as every other of that epoch, so nobody who adds dollars to it can
///         choose the price they fetch; {UsageMint} builds on that.
///
///     an epoch's dollars, once it has ended, are sold lot by lot; then those of the next
///     price:   starts at twice the remembered price, halves every HALF_LIFE, doubles with each whole lot sold
///     lot:     a twelfth of the epoch's dollars, so at a steady price all are sold in twelve half-lives
///
/// @dev Bounds on what can go wrong:
///      - The market stands above twice the remembered price (WAY fell by more than half): the first lots go below the
///        market until doubling has caught up, log2 of the gap of them, each a twelfth of the epoch's dollars.
///      - Nobody buys: dollars wait, the price falls for them alone. The next epoch's start anew at twice the remembered.
///      - Somebody buys dust at a low price: the price rises and the memory moves by the dust's part of a lot.
///      - Somebody moves every market in the world for two blocks: nothing here asks a market.
///      Rounding: cost = dollars x price exactly, so no amount is so small that it is free.
contract BurnAuction is IBurnAuction, Epochs {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @notice A lot is this part of an epoch's dollars.
    uint256 public constant LOTS = 12;

    IERC20 public immutable DOLLAR;
    IWay public immutable WAY;
    /// @notice The contract that collects burn shares.
    address public immutable SELLER;
    /// @notice Seconds in which the price halves.
    uint256 public immutable HALF_LIFE;
    /// @notice Smallest lot, in units of the dollar: below it a purchase is hardly worth its gas.
    uint256 public immutable MIN_LOT;

    struct Vintage {
        uint128 unsold;
        uint128 burnt;
    }

    /// @dev Where the price stood when `place` in the queue was last bought from; stale when the head has moved on.
    struct Ask {
        uint128 start;
        uint64 since;
        uint64 place;
    }

    mapping(uint256 vintage => Vintage) private _vintages;
    /// @dev Epochs that brought dollars, in order.
    uint256[] private _queue;
    /// @dev Place in the queue of the vintage on sale, and when the one before it was sold out.
    uint64 private _head;
    uint64 private _soldOutAt;
    Ask private _ask;
    /// @dev Lot of the vintage `_ask` speaks of.
    uint128 private _lot;
    /// @notice The remembered price: of sales past, by the dollars sold at each.
    uint128 public remembered;

    /// @param firstPrice Remembered before the first sale. A wrong one costs at most what the header says.
    constructor(
        IERC20 dollar,
        IWay way,
        address seller,
        uint256 start,
        uint256 length,
        uint256 halfLife,
        uint256 minLot,
        uint256 firstPrice
    ) Epochs(start, length) {
        if (halfLife == 0 || minLot == 0 || firstPrice == 0) revert AuctionInvalid();
        DOLLAR = dollar;
        WAY = way;
        SELLER = seller;
        HALF_LIFE = halfLife;
        MIN_LOT = minLot;
        remembered = firstPrice.toUint128();
        _ask.place = type(uint64).max;
    }

    /// @inheritdoc IBurnAuction
    function add(uint256 vintage, uint256 dollars) external {
        if (msg.sender != SELLER) revert NotSeller(msg.sender);
        if (dollars == 0) return;
        uint256 count = _queue.length;
        if (count == 0 || _queue[count - 1] != vintage) _queue.push(vintage);
        _vintages[vintage].unsold += dollars.toUint128();
        emit Added(vintage, dollars);
    }

    /// @inheritdoc IBurnAuction
    function buy(uint256 dollars, uint256 limit, address to) external returns (uint256 sold, uint256 cost) {
        (uint256 vintage, uint256 price, uint256 lot, uint256 unsold) = _offer();
        sold = Math.min(dollars, Math.min(lot, unsold));
        if (sold == 0) revert NothingOnSale();
        cost = sold * price;
        if (cost > limit) revert PriceAboveLimit(cost, limit);

        _vintages[vintage].unsold = (unsold - sold).toUint128();
        _vintages[vintage].burnt += cost.toUint128();
        remembered = DutchPrice.remembered(remembered, price, sold, lot).toUint128();
        _lot = lot.toUint128();
        _ask = Ask({
            start: DutchPrice.risen(price, sold, lot).toUint128(), since: block.timestamp.toUint64(), place: _head
        });
        if (sold == unsold) {
            ++_head;
            _soldOutAt = block.timestamp.toUint64();
        }
        emit Sold(vintage, msg.sender, sold, price);
        WAY.burnFrom(msg.sender, cost);
        DOLLAR.safeTransfer(to, sold);
    }

    /// @inheritdoc IBurnAuction
    function quote() external view returns (Quote memory) {
        (uint256 vintage, uint256 price, uint256 lot, uint256 unsold) = _offer();
        return Quote({vintage: vintage, price: price, lot: Math.min(lot, unsold)});
    }

    /// @inheritdoc IBurnAuction
    function vintageOf(uint256 vintage) external view returns (uint256 unsold, uint256 burnt) {
        return (_vintages[vintage].unsold, _vintages[vintage].burnt);
    }

    /// @dev All zeros when nothing is on sale. The lot is fixed by the first sale of a vintage.
    function _offer() private view returns (uint256 vintage, uint256 price, uint256 lot, uint256 unsold) {
        if (_head == _queue.length) return (0, 0, 0, 0);
        vintage = _queue[_head];
        uint256 opened = Math.max(endOf(vintage), _soldOutAt);
        if (block.timestamp < opened) return (0, 0, 0, 0);
        unsold = _vintages[vintage].unsold;
        bool begun = _ask.place == _head;
        lot = begun ? _lot : Math.max(MIN_LOT, unsold / LOTS);
        (uint256 start, uint256 since) = begun ? (_ask.start, _ask.since) : (2 * uint256(remembered), opened);
        price = DutchPrice.fallen(start, block.timestamp - since, HALF_LIFE);
    }
}
