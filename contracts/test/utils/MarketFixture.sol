// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CapacityMarket} from "../../src/capacity/CapacityMarket.sol";
import {CommitteeFixture} from "./CommitteeFixture.sol";
import {FeeDollar} from "./FeeDollar.sol";

/// @title A market in which ann has proved 100 Mbps: 45 GB an hour
abstract contract MarketFixture is CommitteeFixture {
    uint256 internal constant CEILING = 10e6;
    uint96 internal constant PRICE = 1e6;
    uint32 internal constant HOUR = uint32(START / 3_600 + 10);
    uint256 internal constant BUYER_KEY = 0xB4E4;

    FeeDollar internal dollar;
    CapacityMarket internal market;
    address internal buyer = vm.addr(BUYER_KEY);
    uint256 internal line;

    function setUp() public virtual override {
        super.setUp();
        parameters.set("capacityPenalty", 1_000);
        dollar = new FeeDollar();
        market = new CapacityMarket(address(dollar), address(audits), address(parameters), CEILING);
        address[4] memory people = [ann, dan, eve, buyer];
        for (uint256 i = 0; i < 4; ++i) {
            dollar.mint(people[i], 1e15);
            vm.prank(people[i]);
            dollar.approve(address(market), type(uint256).max);
        }
        bytes32 topic = audits.summon(ann);
        _draw(topic);
        (uint256 signers, bytes32[2][] memory signatures) = _signedBy(topic, audits.statementOf(ann, 0, 100), 3);
        audits.report(ann, 0, 100, signers, signatures);
        line = market.lineOf(ann, "eu-w", 1, HOUR);
    }

    function _offer(uint32 gb) internal {
        _send(ann, address(market), _offerCall(gb, PRICE));
    }

    function _offerCall(uint32 gb, uint96 price) internal view returns (bytes memory) {
        return abi.encodeCall(market.offer, ("eu-w", 1, HOUR, gb, price));
    }

    function _buy(address who, uint8 percent, uint32 gb) internal returns (uint256 id) {
        bytes memory data = abi.encodeCall(market.buy, (line, percent, gb));
        return abi.decode(_send(who, address(market), data), (uint256));
    }

    function _toHour() internal {
        vm.warp(uint256(HOUR) * 3_600);
    }

    function _toEnd() internal {
        vm.warp(market.endOf(line));
    }

    function _toSettlement() internal {
        vm.warp(market.endOf(line) + market.WINDOW());
    }

    function _judgement(uint16 deviation, uint256 count) internal returns (bytes memory) {
        bytes32 topic = committee.topicOf(address(market), bytes32(line));
        if (committee.membersOf(topic).length == 0) {
            market.summon(line);
            _draw(topic);
        }
        (uint256 signers, bytes32[2][] memory signatures) = _signedBy(topic, market.statementOf(line, deviation), count);
        return abi.encodeCall(market.judge, (line, deviation, signers, signatures));
    }

    function _receipt(uint256 id, uint64 used) internal view returns (bytes memory) {
        (bytes32 r, bytes32 vs) = _sign(BUYER_KEY, market.receiptDigest(id, buyer, used));
        return abi.encodeCall(market.redeemReceipt, (id, buyer, used, r, vs));
    }
}
