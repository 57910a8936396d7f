// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Multipliers} from "../../src/libraries/Multipliers.sol";
import {RegionMultipliers, RegionReport} from "../../src/rewards/RegionMultipliers.sol";
import {CommitteeFixture} from "../utils/CommitteeFixture.sol";

/// @title Multipliers rise at once, fall after notice, and only share out
contract RegionMultipliersTest is CommitteeFixture {
    uint256 private constant NOTICE = 30 days;
    bytes6 private constant WEST = "eu-w";
    bytes6 private constant EAST = "eu-x";

    RegionMultipliers private multipliers;

    function setUp() public override {
        super.setUp();
        parameters.set("multiplierMin", 10_000);
        parameters.set("multiplierMax", 50_000);
        parameters.set("multiplierNotice", NOTICE);
        multipliers =
            new RegionMultipliers(address(way), address(committee), address(parameters), address(roots), START, EPOCH);
        vm.prank(dan);
        way.approve(address(multipliers), type(uint256).max);
    }

    function _reports(uint96 demand) private pure returns (RegionReport[] memory list) {
        list = new RegionReport[](2);
        list[0] = RegionReport({region: WEST, demand: demand, supply: 100, nodes: 3, progress: 10_000});
        list[1] = RegionReport({region: EAST, demand: 100, supply: 100, nodes: 1, progress: 5_000});
    }

    function _call(uint256 number, RegionReport[] memory list, uint256 count) private returns (bytes memory) {
        bytes32 topic = multipliers.summon(number);
        _draw(topic);
        (uint256 signers, bytes32[2][] memory signatures) =
            _signedBy(topic, multipliers.statementOf(number, list), count);
        return abi.encodeCall(multipliers.report, (number, list, signers, signatures));
    }

    function _reported(uint96 demand) private {
        uint256 number = multipliers.nextEpoch();
        vm.warp(multipliers.endOf(number));
        _send(eve, address(multipliers), _call(number, _reports(demand), 3));
    }

    function test_multiplier_risesAtOnceWithinItsBounds() public {
        (uint256 least, uint256 most) = multipliers.bounds();
        vm.assertEq(least, 10_000, "lowest");
        vm.assertEq(most, 50_000, "highest");
        vm.assertEq(multipliers.multiplierOf(WEST), 10_000, "unknown: the lowest");
        _reported(250);
        vm.assertEq(multipliers.multiplierOf(WEST), 25_000, "demand over supply");
        _reported(100_000);
        vm.assertEq(multipliers.multiplierOf(WEST), 28_125, "an eighth of the way to the highest");
        for (uint256 i = 0; i < 80; ++i) {
            _reported(100_000);
        }
        vm.assertLe(multipliers.multiplierOf(WEST), 50_000, "never above the highest");
        vm.assertGe(multipliers.multiplierOf(WEST), 49_900, "and all but there");
        parameters.set("multiplierMax", 20_000);
        vm.assertEq(multipliers.multiplierOf(WEST), 20_000, "a lower bound holds at once");
    }

    function test_multiplier_fallsAfterNotice() public {
        _reported(400);
        _reported(100);
        uint256 announced = block.timestamp;
        uint256 lower = multipliers.regionOf(WEST).lower;
        vm.assertEq(lower, 36_250, "an eighth of the way down");
        for (uint256 i = 0; i < 5; ++i) {
            _reported(100);
        }
        vm.assertEq(multipliers.regionOf(WEST).lower, lower, "falling further does not move the date or the step");
        vm.warp(announced + NOTICE - 1);
        vm.assertEq(multipliers.multiplierOf(WEST), 40_000, "not before");
        vm.warp(announced + NOTICE);
        vm.assertEq(multipliers.multiplierOf(WEST), lower, "from then on");
        uint256 number = (block.timestamp - START) / EPOCH - 1;
        _send(eve, address(multipliers), _call(number, _reports(0), 3));
        vm.assertEq(multipliers.regionOf(WEST).multiplier, lower, "written down");
        vm.assertEq(multipliers.regionOf(WEST).lowerAt, block.timestamp + NOTICE, "what falls further waits anew");
    }

    function test_multiplier_demandThatComesBackCancelsTheFall() public {
        _reported(400);
        _reported(100);
        _reported(380);
        vm.assertEq(multipliers.regionOf(WEST).lower, 36_468, "a smaller fall, on the old date");
        _reported(1_000);
        _reported(1_000);
        _reported(1_000);
        vm.assertEq(multipliers.regionOf(WEST).lower, 0, "cancelled");
        vm.assertGe(multipliers.multiplierOf(WEST), 40_000, "and up");
    }

    function test_split_addsUpWhateverTheWeights(uint256 budget, uint256 seed) public pure {
        budget %= 1e30;
        uint256[] memory weights = new uint256[](1 + seed % 20);
        for (uint256 i = 0; i < weights.length; ++i) {
            weights[i] = uint256(keccak256(abi.encode(seed, i))) % 200_000;
        }
        uint256[] memory parts = Multipliers.split(budget, weights);
        uint256 sum;
        bool any;
        for (uint256 i = 0; i < parts.length; ++i) {
            sum += parts[i];
            any = any || weights[i] != 0;
            vm.assertTrue(weights[i] != 0 || parts[i] == 0, "nothing for no weight");
        }
        vm.assertEq(sum, any ? budget : 0, "never more, never less");
    }

    function test_split_byMultiplierDensityAndProgress() public {
        _reported(200);
        bytes6[] memory regions = new bytes6[](2);
        (regions[0], regions[1]) = (WEST, EAST);
        uint256[] memory parts = multipliers.split(900, regions);
        // 2 x 2 x 1 against 1 x 1 x 0.5.
        vm.assertEq(parts[0], 800, "west");
        vm.assertEq(parts[1], 100, "east");
    }

    function test_density_goldenHIP17() public pure {
        uint8[8] memory expected = [1, 1, 1, 2, 3, 4, 4, 4];
        for (uint256 n = 0; n < 8; ++n) {
            vm.assertEq(Multipliers.density(n), expected[n], "density");
        }
        vm.assertEq(Multipliers.ratio(0, 0, 50_000), 0, "no demand");
        vm.assertEq(Multipliers.ratio(1, 0, 50_000), 50_000, "no supply");
        vm.assertEq(Multipliers.weight(10_000, 3, 20_000), 20_000, "progress is at most all of it");
    }

    function test_report_refusals() public {
        bytes memory expected = abi.encodeWithSelector(RegionMultipliers.EpochNotOver.selector, 0);
        _sendReverts(eve, address(multipliers), abi.encodeCall(multipliers.summon, (0)), expected);
        vm.warp(START + EPOCH);
        RegionReport[] memory list = _reports(1);
        bytes memory data = _call(0, list, 2);
        _sendReverts(eve, address(multipliers), data, abi.encodeWithSelector(RegionMultipliers.NoQuorum.selector));
        vm.warp(START + 2 * EPOCH);
        (list[0], list[1]) = (list[1], list[0]);
        data = _call(1, list, 3);
        expected = abi.encodeWithSelector(RegionMultipliers.RegionsUnsorted.selector, 1);
        _sendReverts(eve, address(multipliers), data, expected);
        data = abi.encodeCall(multipliers.report, (1, new RegionReport[](65), 0, new bytes32[2][](0)));
        expected = abi.encodeWithSelector(RegionMultipliers.TooManyRegions.selector, 65);
        _sendReverts(eve, address(multipliers), data, expected);
        vm.warp(START + 3 * EPOCH);
        // As many as there may be.
        list = new RegionReport[](64);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = RegionReport({region: bytes6(uint48(i + 1)), demand: 1, supply: 1, nodes: 1, progress: 10_000});
        }
        _send(eve, address(multipliers), _call(2, list, 3));
        data = abi.encodeCall(multipliers.summon, (0));
        expected = abi.encodeWithSelector(RegionMultipliers.EpochNotNew.selector, 0);
        _sendReverts(eve, address(multipliers), data, expected);
    }

    function test_ask_whoAsksPaysOverTime() public {
        uint64 end = uint64(START + 10 days);
        bytes memory data = abi.encodeCall(multipliers.ask, (WEST, 1_000e18, end));
        _send(dan, address(multipliers), data);
        vm.assertEq(multipliers.ticketOf(1).asker, dan, "public");
        vm.warp(START + 4 days);
        vm.assertEq(multipliers.pay(1), 400e18, "four tenths");
        vm.assertEq(multipliers.pay(1), 0, "once");
        vm.assertEq(roots.funded(), 400e18, "to the rewards");
        vm.warp(START + 100 days);
        vm.assertEq(multipliers.pay(1), 600e18, "the rest, and no more");
        vm.assertEq(way.balanceOf(address(multipliers)), 0, "nothing stays");
        bytes memory invalid = abi.encodeWithSelector(RegionMultipliers.TicketInvalid.selector);
        _sendReverts(dan, address(multipliers), data, invalid); // over
        data = abi.encodeCall(multipliers.ask, (WEST, 1, uint64(block.timestamp)));
        _sendReverts(dan, address(multipliers), data, invalid);
        data = abi.encodeCall(multipliers.ask, (WEST, 0, uint64(block.timestamp + 1)));
        _sendReverts(dan, address(multipliers), data, invalid);
        data = abi.encodeCall(multipliers.ask, (WEST, 1, uint64(block.timestamp + 367 days)));
        _sendReverts(dan, address(multipliers), data, invalid);
        _sendReverts(dan, address(multipliers), abi.encodeCall(multipliers.pay, (2)), invalid);
    }
}
