// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IBurnAuction, Quote} from "../interfaces/IBurnAuction.sol";
import {IWay} from "../interfaces/IWay.sol";
import {BurnAuction} from "../src/burn/BurnAuction.sol";
import {DutchPrice} from "../src/burn/DutchPrice.sol";
import {Epochs} from "../src/Epochs.sol";
import {Economy} from "./utils/Economy.sol";

/// @title A standing auction without oracle and keeper
contract BurnAuctionTest is Economy {
    uint256 private constant SHARE = 12_000;

    /// @dev An epoch with SHARE dollars to burn, just over.
    function setUp() public override {
        super.setUp();
        _feed(1);
        vm.warp(START + EPOCH);
    }

    function _feed(uint64 nonce) private {
        _claims(nonce, uint96(10 * SHARE));
        usage.collect(0, _list(payee));
    }

    function _buyCall(uint256 dollars, uint256 limit) private view returns (bytes memory) {
        return abi.encodeCall(auction.buy, (dollars, limit, buyer));
    }

    function test_buy_burnsTheWayAndHandsOverTheDollars() public {
        Quote memory offer = auction.quote();
        vm.assertEq(offer.vintage, 0, "vintage");
        vm.assertEq(offer.price, 2 * PAR, "twice the remembered");
        vm.assertEq(offer.lot, SHARE / 12, "a twelfth");
        (uint256 sold, uint256 cost) = _buy(buyer, type(uint256).max, type(uint256).max);
        vm.assertEq(sold, SHARE / 12, "one lot");
        vm.assertEq(cost, sold * 2 * PAR, "at the price");
        vm.assertEq(dollar.balanceOf(buyer), sold, "dollars");
        vm.assertEq(way.burned(), cost, "burnt");
        vm.assertEq(auction.quote().price, 4 * PAR, "a whole lot doubles the price");
        vm.assertEq(auction.remembered(), 2 * PAR, "and is remembered");
        _supplyIdentity();
    }

    function test_price_halvesEachHalfLife() public {
        vm.warp(block.timestamp + HALF_LIFE / 2);
        vm.assertEq(auction.quote().price, 2 * PAR * 3 / 4, "half way");
        vm.warp(block.timestamp + HALF_LIFE / 2);
        vm.assertEq(auction.quote().price, PAR, "one");
        vm.warp(block.timestamp + 3 * HALF_LIFE);
        vm.assertEq(auction.quote().price, PAR / 8, "four");
    }

    function test_nothingIsOnSaleBeforeTheEpochEnds() public {
        vm.warp(START + EPOCH - 1);
        vm.assertEq(auction.quote().lot, 0, "no offer");
        _sendReverts(buyer, address(auction), _buyCall(1, 1e30), _error(IBurnAuction.NothingOnSale.selector));
        vm.warp(START + EPOCH);
        _sendReverts(buyer, address(auction), _buyCall(0, 1e30), _error(IBurnAuction.NothingOnSale.selector));
        _buy(buyer, 1, 2 * PAR);
    }

    /// @dev No keeper: the next epoch's dollars go on sale by themselves, at twice the remembered price, once the
    ///      last dollar before them is sold; empty epochs in between are skipped.
    function test_aNewEpochStartsByItself() public {
        vm.warp(START + 5 * EPOCH);
        _feed(2);
        (uint256 sold,) = _buyAll(buyer);
        vm.assertEq(sold, SHARE, "the first");
        vm.assertEq(auction.quote().lot, 0, "the second is not over");
        uint256 remembered = auction.remembered();
        vm.warp(START + 6 * EPOCH);
        Quote memory offer = auction.quote();
        vm.assertEq(offer.vintage, 5, "the second");
        vm.assertEq(offer.price, 2 * remembered, "anew");
        (sold,) = _buyAll(buyer);
        vm.assertEq(sold, SHARE, "all of it");
    }

    /// @dev At a steady market everything is sold within the epoch after.
    function test_aSteadyMarketClearsWithinAnEpoch() public {
        uint256 opened = block.timestamp;
        uint256 cost;
        while (auction.quote().lot != 0) {
            if (auction.quote().price <= PAR) {
                (, uint256 paid) = _buy(buyer, type(uint256).max, type(uint256).max);
                cost += paid;
            } else {
                vm.warp(block.timestamp + 60);
            }
        }
        vm.assertLe(block.timestamp - opened, EPOCH, "within an epoch");
        vm.assertGe(cost, SHARE * PAR * 9 / 10, "near the market's price");
    }

    // --------------------------------------------------------------------------------------------------- attacks

    /// @dev C25: no spot price can be moved, because none is read; none can be stale, be negative or have the wrong
    ///      decimals either. The price is a function of time and of what was sold here, and never 0.
    function test_C25_priceComesFromSalesHereAlone() public {
        uint256 before = auction.quote().price;
        // Ten times the supply of both tokens moves in one block, and in the next.
        for (uint256 i = 0; i < 2; ++i) {
            _send(address(emissions), address(way), abi.encodeCall(way.mint, (address(auction), 300_000_000e18)));
            dollar.mint(address(auction), 10_000e6);
            vm.assertLe(auction.quote().price, before, "never up by itself");
            vm.assertEq(auction.quote().lot, SHARE / 12, "no dollars on sale but those added");
            vm.warp(block.timestamp + 12);
        }
        vm.assertGe(auction.quote().price, before * 99 / 100, "24 seconds");
        vm.warp(block.timestamp + 10_000 days);
        vm.assertEq(auction.quote().price, 1, "never 0");
        uint256 burned = way.burned();
        _buy(buyer, 1, 1);
        vm.assertEq(way.burned() - burned, 1, "not even one unit is free");
    }

    /// @dev C25: ten times the price for one and for two blocks: who pays it loses; the memory moves by what was sold.
    function test_C25_aPricePushedUpCostsWhoPushesIt() public {
        uint256 start = auction.quote().price;
        _buy(buyer, type(uint256).max, type(uint256).max);
        _buy(buyer, type(uint256).max, type(uint256).max);
        _buy(buyer, type(uint256).max, type(uint256).max);
        vm.assertEq(auction.quote().price, 8 * start, "each lot doubles it");
        // Dollars at 4x and 8x PAR: he burnt seven times what they are worth, for three lots.
        vm.assertEq(way.burned(), SHARE / 12 * (1 + 2 + 4) * start, "paid for it");
        vm.warp(block.timestamp + 3 * HALF_LIFE);
        vm.assertEq(auction.quote().price, start, "and it is over in three half-lives");
    }

    /// @dev C34: who is overtaken pays its limit or nothing, and the one in front gained nothing from the one behind.
    function test_C34_sandwichMeetsTheLimit() public {
        address front = address(0xF407);
        _send(buyer, address(way), abi.encodeCall(way.transfer, (front, 1e24)));
        _send(front, address(way), abi.encodeCall(way.approve, (address(auction), type(uint256).max)));
        uint256 lot = auction.quote().lot;
        uint256 limit = lot * auction.quote().price;
        _buy(front, lot, type(uint256).max);
        bytes memory expected = abi.encodeWithSelector(IBurnAuction.PriceAboveLimit.selector, 2 * limit, limit);
        _sendReverts(buyer, address(auction), _buyCall(lot, limit), expected);
        // There is nothing to sell back into: the auction buys no dollars.
        vm.assertEq(dollar.balanceOf(front), lot, "he holds dollars he paid for");
        vm.assertEq(way.burned(), limit, "at the price everybody was offered");
    }

    /// @dev Dust neither resets the price, nor moves the memory, nor closes the lot.
    function test_dustDoesNotHoldTheAuctionUp() public {
        vm.warp(block.timestamp + 2 * HALF_LIFE);
        uint256 price = auction.quote().price;
        uint256 remembered = auction.remembered();
        for (uint256 i = 0; i < 10; ++i) {
            _buy(buyer, 1, type(uint256).max);
        }
        vm.assertLe(auction.quote().price, price * 102 / 100, "ten units of a thousand: one percent");
        vm.assertGe(auction.remembered(), remembered * 99 / 100, "hardly moved");
    }

    /// @dev A long wait at a crumb's price is no discount on what comes later.
    function test_theNextEpochDoesNotInheritAFallenPrice() public {
        _feed(2);
        vm.warp(block.timestamp + 20 * HALF_LIFE);
        vm.assertEq(auction.quote().price, 2 * PAR >> 20, "fallen");
        uint256 lot = auction.quote().lot;
        // All at once, so that time plays no part.
        while (auction.quote().lot != 0) {
            _buy(buyer, lot, type(uint256).max);
        }
        vm.warp(START + 2 * EPOCH);
        vm.assertEq(auction.quote().price, 2 * auction.remembered(), "twice the remembered");
        vm.assertGe(auction.quote().price, 16 * PAR >> 20, "which followed the price up");
    }

    function test_piecesCostNoLessThanALot() public {
        uint256 lot = auction.quote().lot;
        uint256 whole = lot * auction.quote().price;
        uint256 pieces;
        for (uint256 i = 0; i < 10; ++i) {
            (, uint256 cost) = _buy(buyer, lot / 10, type(uint256).max);
            pieces += cost;
        }
        vm.assertGe(pieces, whole, "pieces");
        vm.assertGe(auction.quote().price, 4 * PAR, "and leave the price as high");
    }

    function test_add_isTheSellersAlone() public {
        bytes memory expected = abi.encodeWithSelector(IBurnAuction.NotSeller.selector, stranger);
        _sendReverts(stranger, address(auction), abi.encodeCall(auction.add, (0, 1)), expected);
    }

    function test_construction_refusesZeros() public {
        IWay token = IWay(address(way));
        IERC20 dollars = IERC20(address(dollar));
        uint256[3][3] memory zeros = [[uint256(0), 1, 1], [uint256(1), 0, 1], [uint256(1), 1, 0]];
        for (uint256 i = 0; i < 3; ++i) {
            try new BurnAuction(dollars, token, buyer, START, EPOCH, zeros[i][0], zeros[i][1], zeros[i][2]) {
                vm.assertTrue(false, "should have reverted");
            } catch (bytes memory reason) {
                vm.assertEq(reason, _error(IBurnAuction.AuctionInvalid.selector), "zero");
            }
        }
        try new BurnAuction(dollars, token, buyer, START, 0, 1, 1, 1) {
            vm.assertTrue(false, "should have reverted");
        } catch (bytes memory reason) {
            vm.assertEq(reason, _error(Epochs.EpochInvalid.selector), "epoch");
        }
    }

    // ------------------------------------------------------------------------------------------------ arithmetic

    function testFuzz_price_fallsSteadilyAndNeverToZero(uint128 start, uint32 a, uint32 b, uint16 halfLife)
        public
        pure
    {
        uint256 life = uint256(halfLife) + 1;
        (uint256 early, uint256 late) = a < b ? (a, b) : (b, a);
        uint256 first = DutchPrice.fallen(start, early, life);
        uint256 second = DutchPrice.fallen(start, late, life);
        vm.assertLe(second, first, "falls");
        vm.assertGe(second, 1, "never 0");
        vm.assertLe(first, start == 0 ? 1 : start, "never above its start");
    }

    function test_price_endsAtOneUnit() public pure {
        vm.assertEq(DutchPrice.fallen(3, 20, 10), 1, "a quarter of three, which is less than one");
        vm.assertEq(DutchPrice.fallen(0, 0, 10), 1, "of nothing");
        vm.assertEq(DutchPrice.fallen(type(uint128).max, 1_280, 10), 1, "after ages");
    }

    function testFuzz_remembered_staysBetween(uint96 before, uint96 price, uint64 sold, uint64 lot) public pure {
        uint256 whole = _bound(lot, 1, type(uint64).max);
        uint256 part = _bound(sold, 0, whole);
        uint256 after_ = DutchPrice.remembered(before, price, part, whole);
        (uint256 low, uint256 high) = before < price ? (before, price) : (price, before);
        vm.assertLe(after_, high, "not above both");
        vm.assertGe(after_, low, "not below both");
    }
}
