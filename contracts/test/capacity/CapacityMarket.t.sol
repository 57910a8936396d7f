// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CapacityMarket, Line} from "../../src/capacity/CapacityMarket.sol";
import {Reservation} from "../../src/libraries/Reservation.sol";
import {MarketFixture} from "../utils/MarketFixture.sol";

/// @title Capacity is sold once, delivered or paid back, and then gone
contract CapacityMarketTest is MarketFixture {
    function _refused(address who, bytes memory data, bytes4 selector) private {
        _sendReverts(who, address(market), data, abi.encodeWithSelector(selector));
    }

    function _refused(address who, bytes memory data, bytes4 selector, uint256 a) private {
        _sendReverts(who, address(market), data, abi.encodeWithSelector(selector, a));
    }

    function _refused(address who, bytes memory data, bytes4 selector, uint256 a, uint256 b) private {
        _sendReverts(who, address(market), data, abi.encodeWithSelector(selector, a, b));
    }

    // ----------------------------------------------------------------------------------------------------------- sale

    function test_offer_neverMoreThanProved() public {
        vm.assertEq(market.capacityOf(ann), 45, "100 Mbps are 45 GB an hour");
        _offer(40);
        bytes4 exceeded = CapacityMarket.CapacityExceeded.selector;
        _refused(ann, _offerCall(6, PRICE), exceeded, 46, 45);
        // Another tier or region of the same hour is the same line into the network.
        _refused(ann, abi.encodeCall(market.offer, ("eu-x", 2, HOUR, 6, PRICE)), exceeded, 46, 45);
        _offer(5);
        vm.assertEq(market.lineAt(line).offered, 45, "all of it");
        vm.assertEq(dollar.balanceOf(address(market)), 45 * 100_000, "a tenth of the price as bond");
        _send(ann, address(market), abi.encodeCall(market.offer, ("eu-w", 1, HOUR + 1, 45, PRICE)));
        vm.warp(START + 20 days);
        bytes memory later = abi.encodeCall(market.offer, ("eu-w", 1, HOUR + 20 * 24, 1, PRICE));
        _refused(ann, later, exceeded, 1, 0); // the proof is too old
    }

    function test_offer_refusals() public {
        _sendReverts(
            eve, address(market), _offerCall(1, PRICE), abi.encodeWithSelector(CapacityMarket.NotActive.selector, eve)
        );
        bytes4 hour = CapacityMarket.HourInvalid.selector;
        uint32 now_ = uint32(START / 3_600);
        _refused(ann, abi.encodeCall(market.offer, ("eu-w", 1, now_, 1, PRICE)), hour, now_);
        uint32 far = uint32((START + 91 days) / 3_600);
        _refused(ann, abi.encodeCall(market.offer, ("eu-w", 1, far, 1, PRICE)), hour, far);
        _refused(ann, _offerCall(0, PRICE), CapacityMarket.AmountZero.selector);
        bytes4 price = CapacityMarket.PriceInvalid.selector;
        _refused(ann, _offerCall(1, 0), price, 0, CEILING);
        _refused(ann, _offerCall(1, uint96(CEILING + 1)), price, CEILING + 1, CEILING);
        _offer(1);
        _refused(ann, _offerCall(1, PRICE + 1), price, PRICE + 1, CEILING);
    }

    function test_offer_upToTheHorizonAndTheCeiling() public {
        vm.warp(uint256(HOUR - 5) * 3_600);
        _send(ann, address(market), abi.encodeCall(market.offer, ("eu-w", 1, HOUR - 5 + 90 * 24, 1, PRICE)));
        bytes memory beyond = abi.encodeCall(market.offer, ("eu-w", 1, HOUR - 4 + 90 * 24, 1, PRICE));
        _refused(ann, beyond, CapacityMarket.HourInvalid.selector, HOUR - 4 + 90 * 24);
        _send(ann, address(market), _offerCall(1, uint96(CEILING)));
    }

    function test_buy_soldIsAtMostOffered() public {
        _offer(10);
        _buy(buyer, 50, 7);
        bytes memory data = abi.encodeCall(market.buy, (line, 50, 4));
        _refused(dan, data, CapacityMarket.CapacityExceeded.selector, 4, 3);
        _buy(dan, 90, 3);
        bytes4 percent = CapacityMarket.PercentInvalid.selector;
        _refused(dan, abi.encodeCall(market.buy, (line, 0, 1)), percent, 0);
        _refused(dan, abi.encodeCall(market.buy, (line, 101, 1)), percent, 101);
        _refused(dan, abi.encodeCall(market.buy, (line, 50, 0)), CapacityMarket.AmountZero.selector);
        _toEnd();
        uint256 end = block.timestamp;
        _refused(dan, abi.encodeCall(market.buy, (line, 50, 1)), CapacityMarket.HourOver.selector, end);
    }

    /// @dev Golden RSV1, and that no other answer than the truth is cheaper, in whole units of a price of 10^12.
    function test_RSV1_theTruthIsCheapest() public pure {
        vm.assertEq(_expected(37, 37), 544_825_000_000 * 100, "p = q = 37 %");
        vm.assertEq(_expected(10, 10), 167_500_000_000 * 100, "p = q = 10 %");
        vm.assertEq(_expected(80, 80), 920_000_000_000 * 100, "p = q = 80 %");
        for (uint256 p = 1; p <= 100; ++p) {
            uint256 truth = _expected(p, p);
            for (uint256 q = 1; q <= 100; ++q) {
                vm.assertTrue(p == q || _expected(p, q) > truth, "another answer costs more");
            }
        }
    }

    /// @dev A hundred times the expected cost.
    function _expected(uint256 p, uint256 q) private pure returns (uint256) {
        return 100 * Reservation.upfront(1e12, q) + p * Reservation.onUse(1e12, q);
    }

    // ------------------------------------------------------------------------------------------------------- delivery

    function test_redeem_paysTheProviderForUse() public {
        _offer(10);
        uint256 id = _buy(buyer, 50, 10);
        (uint256 f, uint256 g) = market.dues(line, 50);
        vm.assertEq(dollar.balanceOf(address(market)), 10 * (100_000 + f + g), "bond, f and g");
        bytes memory data = abi.encodeCall(market.redeem, (id, 4));
        _refused(buyer, data, CapacityMarket.HourNotOver.selector, uint256(HOUR) * 3_600);
        _toHour();
        _send(buyer, address(market), data);
        vm.assertEq(market.credits(ann), 4 * g, "paid for use at once");
        vm.assertEq(market.balanceOf(buyer, id), 6, "and burnt");
        // A receipt is cumulative: four are used already.
        bytes memory receipt = _receipt(id, 7);
        _send(eve, address(market), receipt);
        vm.assertEq(market.credits(ann), 7 * g, "three more");
        _refused(eve, receipt, CapacityMarket.ReceiptInvalid.selector);
        _refused(
            eve, abi.encodeCall(market.redeemReceipt, (id, buyer, 8, 0, 0)), CapacityMarket.ReceiptInvalid.selector
        );
        (bool ok,) = _try(eve, address(market), _receipt(id, 11));
        vm.assertTrue(!ok, "no more than is held");
        _refused(buyer, abi.encodeCall(market.redeem, (id, 0)), CapacityMarket.AmountZero.selector);
        _toSettlement();
        uint256 over = block.timestamp;
        _refused(buyer, data, CapacityMarket.HourOver.selector, over);
    }

    function test_settle_unusedRightsCostWhatWasDeclared() public {
        _offer(20);
        uint256 id = _buy(buyer, 50, 10);
        (uint256 f, uint256 g) = market.dues(line, 50);
        _toHour();
        _send(buyer, address(market), abi.encodeCall(market.redeem, (id, 4)));
        bytes memory settle = abi.encodeCall(market.settle, (line));
        uint256 from = market.endOf(line) + market.WINDOW();
        vm.warp(from - 1);
        _refused(eve, settle, CapacityMarket.HourNotOver.selector, from);
        bytes memory early = abi.encodeCall(market.expire, (id, buyer));
        _refused(eve, early, CapacityMarket.NotSettled.selector, line);
        vm.warp(from);
        _send(eve, address(market), settle);
        _refused(eve, settle, CapacityMarket.AlreadySettled.selector, line);
        vm.assertEq(market.credits(ann), 4 * g + 10 * f + 20 * 100_000, "use, f of all, and the bond");
        _send(eve, address(market), early);
        vm.assertEq(market.credits(buyer), 6 * g, "g of what was not used");
        vm.assertEq(market.balanceOf(buyer, id), 0, "burnt");
        _send(eve, address(market), early);
        vm.assertEq(market.credits(buyer), 6 * g, "an expired right has no value");
        _send(ann, address(market), abi.encodeCall(market.collect, ()));
        _send(buyer, address(market), abi.encodeCall(market.collect, ()));
        vm.assertEq(dollar.balanceOf(address(market)), 0, "nothing stays");
    }

    // -------------------------------------------------------------------------------------------------------- failure

    function test_judge_refundsWithAPenalty() public {
        _offer(20);
        uint256 id = _buy(buyer, 50, 10);
        _send(buyer, address(market), abi.encodeCall(market.safeTransferFrom, (buyer, dan, id, 4, "")));
        (uint256 f, uint256 g) = market.dues(line, 50);
        _toEnd();
        _send(eve, address(market), _judgement(4_000, 3));
        bytes memory again = _judgement(0, 3);
        _refused(eve, again, CapacityMarket.AlreadyJudged.selector, line);
        _toSettlement();
        market.settle(line);
        market.expire(id, buyer);
        market.expire(id, dan);
        uint256 each = g + (f + 100_000) * 4 / 10;
        vm.assertEq(market.credits(buyer), 6 * each, "g, and 40 % of f and of the bond");
        vm.assertEq(market.credits(dan), 4 * each, "for whoever holds it");
        vm.assertEq(market.credits(ann), 10 * f + 20 * 100_000 - 10 * (f + 100_000) * 4 / 10, "the provider the rest");
        uint256 all = market.credits(ann) + market.credits(dan) + market.credits(buyer);
        vm.assertEq(dollar.balanceOf(address(market)), all, "and that is all");
    }

    function test_judge_neverMoreThanAll() public {
        _offer(10);
        uint256 id = _buy(buyer, 100, 10);
        _toEnd();
        _send(eve, address(market), _judgement(60_000, 3));
        _toSettlement();
        market.settle(line);
        market.expire(id, buyer);
        vm.assertEq(market.credits(ann), 0, "nothing was delivered");
        vm.assertEq(market.credits(buyer), dollar.balanceOf(address(market)), "all of it goes back");
    }

    function test_judge_inItsTimeAndWithQuorum() public {
        _offer(10);
        _buy(buyer, 100, 10);
        bytes memory summon = abi.encodeCall(market.summon, (line));
        _refused(eve, summon, CapacityMarket.HourNotOver.selector, market.endOf(line));
        _toEnd();
        bytes memory judgement = _judgement(4_000, 2);
        _refused(eve, judgement, CapacityMarket.NoQuorum.selector);
        judgement = _judgement(4_000, 3);
        _toSettlement();
        uint256 over = block.timestamp;
        _refused(eve, judgement, CapacityMarket.HourOver.selector, over);
    }

    function test_tokensThatTakeAFeeAreRefused() public {
        dollar.setFee(1);
        _refused(ann, _offerCall(1, PRICE), CapacityMarket.AmountZero.selector);
    }

    function test_names() public view {
        vm.assertEq(market.providerOf(line), ann, "provider");
        vm.assertEq(market.endOf(line), (uint256(HOUR) + 1) * 3_600, "end");
        vm.assertTrue(line != market.lineOf(ann, "eu-w", 2, HOUR), "tier");
        vm.assertTrue(line != market.lineOf(ann, "eu-x", 1, HOUR), "region");
        vm.assertEq(line & 0xff, 0, "no percent");
        // Whoever names lines off the chain packs them so.
        uint256 packed = uint256(uint160(ann)) << 96 | uint256(uint48(bytes6("eu-w"))) << 48 | 3 << 40 | 7 << 8;
        vm.assertEq(market.lineOf(ann, "eu-w", 3, 7), packed, "provider, region, tier, hour");
    }

    /// @dev Random sales, uses, judgements: every dollar here is owed, and every right ends.
    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: quick.fuzz.runs = 32
    function test_solvency_overRandomHours(uint256 seed) public {
        _offer(uint32(1 + seed % 45));
        uint256 left = 1 + seed % 45;
        uint256[6] memory ids;
        address[2] memory people = [buyer, dan];
        for (uint256 i = 0; i < 6 && left != 0; ++i) {
            uint256 gb = 1 + (seed >> (8 * i)) % left;
            ids[i] = _buy(people[i % 2], uint8(1 + (seed >> (60 + 8 * i)) % 100), uint32(gb));
            left -= gb;
        }
        _toHour();
        for (uint256 i = 0; i < 6; ++i) {
            uint256 held = ids[i] == 0 ? 0 : market.balanceOf(people[i % 2], ids[i]);
            uint32 used = uint32(held == 0 ? 0 : (seed >> (120 + 8 * i)) % (held + 1));
            if (used != 0) _send(people[i % 2], address(market), abi.encodeCall(market.redeem, (ids[i], used)));
        }
        _toEnd();
        if (seed & 1 << 200 != 0) _send(eve, address(market), _judgement(uint16(seed >> 201), 3));
        _toSettlement();
        market.settle(line);
        for (uint256 i = 0; i < 6; ++i) {
            if (ids[i] != 0) market.expire(ids[i], people[i % 2]);
        }
        Line memory entry = market.lineAt(line);
        vm.assertLe(entry.sold, entry.offered, "sold, at most offered");
        uint256 all = market.credits(ann) + market.credits(buyer) + market.credits(dan);
        uint256 here = dollar.balanceOf(address(market));
        vm.assertGe(here, all, "all that is owed is there");
        vm.assertLe(here, all + 50, "and nothing but dust of the GB besides");
    }
}
