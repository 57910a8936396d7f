// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IUsageMint} from "../interfaces/IUsageMint.sol";
import {Deal} from "./utils/Fixture.sol";
import {Economy} from "./utils/Economy.sol";

/// @title Minted for what burnt, and never worth doing to oneself
contract UsageMintTest is Economy {
    address private other = address(0x07E4);

    /// @notice Somebody claims from a root of the payer's and its burn share is collected now.
    function _uses(address who, uint64 nonce, uint96 amount) private {
        address before = payee;
        payee = who;
        _claims(nonce, amount);
        payee = before;
        usage.collect(0, _list(who));
    }

    function test_mint_sharesTheBurntByTheDollars() public {
        _uses(payee, 1, 30_000);
        _uses(other, 2, 10_000);
        vm.warp(START + EPOCH);
        (uint256 sold, uint256 burnt) = _buyAll(buyer);
        vm.assertEq(sold, 4_000, "a tenth of the claims");
        usage.mint(0, 0, _list(payee));
        usage.mint(0, 0, _list(other));
        vm.assertEq(way.balanceOf(payee), burnt * 9_000 / 10_000 * 3 / 4, "three quarters");
        vm.assertEq(way.balanceOf(other), burnt * 9_000 / 10_000 / 4, "one quarter");
        usage.mint(0, 0, _list(payee));
        vm.assertEq(way.balanceOf(payee), burnt * 9_000 / 10_000 * 3 / 4, "once");
        _supplyIdentity();
    }

    /// @dev As the auction goes on, what was minted grows, and never above what burnt.
    function test_mint_followsTheAuction() public {
        _uses(payee, 1, 120_000);
        vm.warp(START + EPOCH);
        uint256 minted;
        while (auction.quote().lot != 0) {
            _buy(buyer, type(uint256).max, type(uint256).max);
            usage.mint(0, 0, _list(payee));
            vm.assertGe(way.balanceOf(payee), minted, "never less");
            minted = way.balanceOf(payee);
            vm.assertEq(minted, way.burned() * 9 / 10, "nine tenths");
            vm.warp(block.timestamp + HALF_LIFE);
        }
    }

    function test_mint_waitsForTheEndOfTheEpoch() public {
        _uses(payee, 1, 10_000);
        vm.assertEq(usage.mintable(0, 0, payee), 0, "nothing yet");
        usage.mint(0, 0, _list(payee));
        vm.assertEq(way.balanceOf(payee), 0, "nothing minted");
        vm.warp(START + EPOCH);
        _buyAll(buyer);
        vm.assertGe(usage.mintable(0, 0, payee), 1, "now");
    }

    /// @dev A vote changes what is still to come: what was left to burn under a part keeps it.
    function test_remint_isFixedWhenTheFirstDollarComes() public {
        _uses(payee, 1, 10_000);
        _vote("remint", 5_000);
        vm.warp(START + EPOCH);
        _uses(payee, 2, 10_000);
        (, uint256 burnt) = _buyAll(buyer);
        vm.assertEq(usage.mintable(0, 0, payee), burnt * 9 / 10, "as it was");
        vm.warp(START + 2 * EPOCH);
        (, burnt) = _buyAll(buyer);
        vm.assertEq(usage.mintable(0, 1, payee), burnt / 2, "as it is");
    }

    /// @dev Parameters that lie cannot mint more than nine tenths.
    function test_remint_isBoundedHereToo() public {
        vm.etch(address(parameters), hex"5f195f5260205ff3");
        _uses(payee, 1, 10_000);
        vm.warp(START + EPOCH);
        (, uint256 burnt) = _buyAll(buyer);
        vm.assertEq(usage.mintable(0, 0, payee), burnt * 9 / 10, "nine tenths");
    }

    /// @dev Claims in WAY: the share burns at once, and nine tenths of it come back.
    function test_way_burnsDirectly() public {
        _send(buyer, address(way), abi.encodeCall(way.transfer, (payer, 1e24)));
        _send(payer, address(way), abi.encodeCall(way.approve, (address(wayChannels), type(uint256).max)));
        channels = wayChannels;
        _claims(1, 10_000);
        vm.assertEq(way.balanceOf(payee), 9_000, "paid");
        usage.collect(1, _list(payee));
        vm.assertEq(way.burned(), 1_000, "burnt");
        vm.assertEq(way.balanceOf(payee), 9_000 + 900, "back");
        usage.collect(1, _list(payee));
        vm.assertEq(way.burned(), 1_000, "once");
        _supplyIdentity();
    }

    /// @dev Of a single unit nine tenths are nothing: it burns, and nothing is minted or said to be.
    function test_way_aUnitBurnsAndComesBackAsNothing() public {
        _send(buyer, address(way), abi.encodeCall(way.transfer, (payer, 1e24)));
        _send(payer, address(way), abi.encodeCall(way.approve, (address(wayChannels), type(uint256).max)));
        channels = wayChannels;
        _claims(1, 10);
        vm.recordLogs();
        usage.collect(1, _list(payee));
        vm.assertEq(_count(vm.getRecordedLogs(), address(usage), IUsageMint.Minted.selector), 0, "not minted");
        vm.assertEq(way.burned(), 1, "burnt");
        vm.assertEq(way.minted(), 0, "nothing");
    }

    function test_collect_ofNothingIsQuiet() public {
        usage.collect(0, _list(payee));
        usage.collect(1, _list(payee));
        (uint256 own, uint256 all) = usage.weightOf(0, 0, payee);
        vm.assertEq(own + all, 0, "nothing");
        vm.assertEq(usage.mintable(0, 0, payee), 0, "nothing to mint");
    }

    function test_lanes_areThoseOfTheConstructor() public {
        vm.assertEq(usage.lanes(), 2, "two");
        vm.assertEq(address(usage.laneOf(0).channels), address(channels), "dollars");
        bytes memory expected = abi.encodeWithSelector(IUsageMint.LaneUnknown.selector, 2);
        _sendReverts(stranger, address(usage), abi.encodeCall(usage.collect, (2, _list(payee))), expected);
        expected = abi.encodeWithSelector(IUsageMint.LaneUnknown.selector, 1);
        _sendReverts(stranger, address(usage), abi.encodeCall(usage.mint, (1, 0, _list(payee))), expected);
    }

    // --------------------------------------------------------------------------------------------------- attacks

    /// @dev C26: whatever is claimed, collected, bought and minted in whatever order and at whatever price, minted is at
    ///      most nine tenths of burnt, for every epoch and in all, and supply is genesis + minted - burned.
    ///      Each run is a long walk: a thousand of them take as long as all other suites together; nightly runs more.
    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: quick.fuzz.runs = 32
    function testFuzz_C26_loopNeverMintsMoreThanNineTenths(uint256 seed) public {
        address[2] memory who = [payee, other];
        uint64 nonce;
        for (uint256 i = 0; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 pick = (seed >> 8) % 4;
            if (pick == 0) _uses(who[seed % 2], ++nonce, uint96(1 + (seed >> 16) % CAP));
            if (pick == 1) vm.warp(block.timestamp + (seed >> 16) % EPOCH);
            if (pick == 2 && auction.quote().lot != 0) {
                _buy(buyer, 1 + (seed >> 16) % (2 * auction.quote().lot), type(uint256).max);
            }
            if (pick == 3) usage.mint(0, (seed >> 16) % (usage.epoch() + 1), _list(who[seed % 2]));
            vm.assertLe(way.minted() * 10, way.burned() * 9, "in all");
            _supplyIdentity();
        }
        for (uint256 e = 0; e <= usage.epoch(); ++e) {
            usage.mint(0, e, _list(payee));
            usage.mint(0, e, _list(other));
            (, uint256 burnt) = auction.vintageOf(e);
            uint256 minted = _mintedFor(e);
            vm.assertLe(minted * 10, burnt * 9, "per epoch");
        }
        vm.assertLe(way.minted() * 10, way.burned() * 9, "in all, when everybody has minted");
        uint256 dollars = dollar.balanceOf(address(auction)) + dollar.balanceOf(buyer);
        vm.assertEq(dollars, _allCollected(), "dollars on sale and sold are those collected");
    }

    function _mintedFor(uint256 e) private view returns (uint256) {
        (, uint256 burnt) = auction.vintageOf(e);
        (uint256 a, uint256 all) = usage.weightOf(0, e, payee);
        (uint256 b,) = usage.weightOf(0, e, other);
        if (all == 0) return 0;
        uint256 pot = burnt * 9_000 / 10_000;
        return pot * a / all + pot * b / all;
    }

    function _allCollected() private view returns (uint256) {
        (, uint256 a) = channels.burnOf(payee);
        (, uint256 b) = channels.burnOf(other);
        return a + b;
    }

    /// @dev C27: someone pays himself beside an honest provider, with any volume, split over epochs and share, while buyers
    ///      pay any price up to the market's: what he is minted is worth at most nine tenths of the dollars it cost him.
    ///      Each run is a long walk: a thousand of them take as long as all other suites together; nightly runs more.
    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: quick.fuzz.runs = 32
    function testFuzz_C27_selfDealingNeverGains(uint256 seed) public {
        _vote("burnShare", _bound(seed >> 192, 500, 10_000));
        uint256 market = _bound(seed >> 128, PAR / 50, 50 * PAR);
        uint256 lost;
        for (uint64 e = 0; e < 3; ++e) {
            seed = uint256(keccak256(abi.encode(seed)));
            _uses(other, 2 * e + 1, uint96(1 + (seed >> 16) % CAP));
            _uses(payee, 2 * e + 2, uint96(1 + (seed >> 64) % CAP));
            (uint256 own,) = usage.weightOf(0, e, payee);
            lost += own;
            vm.warp(START + (e + 1) * EPOCH);
            while (auction.quote().lot != 0 && block.timestamp < START + (e + 2) * EPOCH) {
                if (auction.quote().price <= market) _buy(buyer, type(uint128).max, type(uint256).max);
                else vm.warp(block.timestamp + HALF_LIFE / 4);
            }
            vm.warp(START + (e + 2) * EPOCH - 1);
            usage.mint(0, e, _list(payee));
            vm.warp(START + (e + 1) * EPOCH);
        }
        vm.assertLe(way.balanceOf(payee) * 10, lost * market * 9, "worth at most nine tenths of what it cost");
    }

    /// @dev C27: he is the buyer too, and alone on the market, at any price down to nothing: of the WAY he burns for his
    ///      own dollars nine tenths come back, so each round costs him a tenth of it, and dollars he has as before.
    ///      Each run is a long walk: a thousand of them take as long as all other suites together; nightly runs more.
    /// forge-config: default.fuzz.runs = 1000
    /// forge-config: quick.fuzz.runs = 32
    function testFuzz_C27_buyingOnesOwnDollarsBackLosesATenth(uint256 seed) public {
        uint96 volume = uint96(_bound(seed, 1, CAP));
        _uses(payee, 1, volume);
        (uint256 own,) = usage.weightOf(0, 0, payee);
        vm.warp(START + EPOCH + (seed >> 128) % (30 * HALF_LIFE));
        (uint256 sold, uint256 burnt) = _buyAll(buyer);
        usage.mint(0, 0, _list(payee));
        vm.assertEq(sold, own, "his dollars are back");
        vm.assertEq(dollar.balanceOf(payee) + dollar.balanceOf(buyer), volume, "all of them");
        vm.assertEq(way.balanceOf(payee) + way.balanceOf(buyer) + (burnt - burnt * 9 / 10), GENESIS, "a tenth is gone");
    }

    /// @dev C30: minting again and again over many epochs, with late collections, gives no more than once.
    function test_C30_mintingOverManyEpochsGivesEachOnce() public {
        uint256 expected;
        for (uint64 e = 0; e < 20; ++e) {
            _uses(payee, e + 1, 50_000);
            vm.warp(START + (e + 1) * EPOCH);
            (, uint256 burnt) = _buyAll(buyer);
            expected += burnt * 9 / 10;
            for (uint256 past = 0; past <= e; ++past) {
                usage.mint(0, past, _list(payee));
            }
            vm.warp(START + (e + 1) * EPOCH);
        }
        vm.assertEq(way.balanceOf(payee), expected, "each once");
    }

    /// @dev C33: ten thousand dust claims make nothing grow: one slot for the payee, one number for the epoch.
    function test_C33_dustMakesNoLoopGrow() public {
        Deal memory deal = _opened(1);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 10));
        for (uint96 i = 2; i < 102; ++i) {
            channels.claim(payee, _none(), _voucher(deal, PLACE, 10 * i));
        }
        usage.collect(0, _list(payee));
        (uint256 own,) = usage.weightOf(0, 0, payee);
        vm.assertEq(own, 101, "one number");
    }
}
