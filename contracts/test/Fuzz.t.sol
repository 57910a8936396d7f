// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Activation, ChannelRef, Descriptor, FeeOrder, IChannels, RootState} from "../interfaces/IChannels.sol";
import {Deal, Fixture} from "./utils/Fixture.sol";
import {Leaf} from "./utils/Tree.sol";

/// @title Properties, each tried with ten thousand random inputs
contract FuzzTest is Fixture {
    uint96 internal constant WHOLE_CAP = 1_000_000_000;

    /// @notice A root of one leaf for the payee, active.
    function _single(uint96 cap) private returns (Deal memory deal) {
        Leaf[] memory leaves = new Leaf[](1);
        leaves[0] = Leaf({payee: payee, cap: cap, salt: keccak256("salt")});
        deal = _deal(payer, leaves, 1);
        _openAsPayer(deal);
        channels.claim(payee, _one(_activation(deal, 0)), "");
    }

    /// @dev Vouchers in any order, repeated, in one transaction or several, pay their maximum, once.
    function testFuzz_claim_paysTheMaximumInAnyOrder(uint256 seed, uint256 count) public {
        Deal memory deal = _single(WHOLE_CAP);
        count = _bound(count, 1, 8);
        uint256 max;
        uint256 total;
        bytes memory batch;
        for (uint256 i = 0; i < count; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint96 cumulative = uint96(_bound(seed >> 8, 0, seed % 3 == 0 ? 4 : WHOLE_CAP));
            if (cumulative > max) max = cumulative;
            batch = bytes.concat(batch, _voucher(deal, 0, cumulative));
            if (seed & 128 != 0) continue; // goes on in the same transaction
            total += channels.claim(payee, _none(), batch);
            // Half of the time the next transaction repeats everything so far.
            if (seed & 64 != 0) batch = "";
        }
        total += channels.claim(payee, _none(), batch);
        vm.assertEq(total, max, "returned");
        vm.assertEq(dollar.balanceOf(payee), max, "paid out");
        _assertChannel(deal, 0, WHOLE_CAP, max);
    }

    function testFuzz_claim_anyFlippedBitIsRefused(uint96 cumulative, uint256 bit) public {
        Deal memory deal = _single(WHOLE_CAP);
        bytes memory voucher = _voucher(deal, 0, uint96(_bound(cumulative, 1, WHOLE_CAP)));
        bit = _bound(bit, 0, 112 * 8 - 1);
        voucher[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        bytes memory data = abi.encodeCall(channels.claim, (payee, _none(), voucher));
        (bool ok,) = _try(payee, address(channels), data);
        vm.assertTrue(!ok, "refused");
        voucher[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        channels.claim(payee, _none(), voucher);
    }

    function testFuzz_claim_neverAboveTheCap(uint96 cap, uint96 cumulative) public {
        cap = uint96(_bound(cap, 1, WHOLE_CAP));
        // Half of the inputs are near the cap; the others go up to 2^96.
        if (cumulative % 2 == 0) cumulative = uint96(_bound(cumulative, 0, 2 * cap));
        Deal memory deal = _single(cap);
        bytes memory data = abi.encodeCall(channels.claim, (payee, _none(), _voucher(deal, 0, cumulative)));
        if (cumulative <= cap) {
            _send(stranger, address(channels), data);
            vm.assertEq(dollar.balanceOf(payee), cumulative, "paid");
        } else {
            bytes memory expected = abi.encodeWithSelector(IChannels.CumulativeAboveCap.selector, 0, cumulative, cap);
            _sendReverts(stranger, address(channels), data, expected);
        }
    }

    function testFuzz_activate_anyFlippedBitOfTheDescriptorIsRefused(uint256 bit) public {
        Deal memory deal = _opened(1);
        Activation memory activation = _activation(deal, PLACE);
        Descriptor memory d = activation.descriptor;
        bit = _bound(bit, 0, 160 + 160 + 256 + 96 + 64 + 8 + 64 - 1);
        if (bit < 160) d.payer = address(uint160(d.payer) ^ uint160(1 << bit));
        else if ((bit -= 160) < 160) d.signer = address(uint160(d.signer) ^ uint160(1 << bit));
        else if ((bit -= 160) < 256) d.root ^= bytes32(1 << bit);
        else if ((bit -= 256) < 96) d.sum ^= uint96(1 << bit);
        else if ((bit -= 96) < 64) d.expiry ^= uint64(1 << bit);
        else if ((bit -= 64) < 8) d.depth ^= uint8(1 << bit);
        else d.nonce ^= uint64(1 << (bit - 8));
        bytes memory data = abi.encodeCall(channels.claim, (payee, _one(activation), ""));
        bytes memory expected =
            abi.encodeWithSelector(IChannels.RootNotOpen.selector, keccak256(abi.encode(activation.descriptor)));
        _sendReverts(payee, address(channels), data, expected);
    }

    /// @dev Whatever was spent and however the close was split, payouts and refunds add up to the deposit.
    function testFuzz_close_nothingIsLostOrMade(uint256 seed) public {
        Leaf[] memory leaves = _leaves();
        for (uint256 i = 0; i < 8; ++i) {
            leaves[i].cap = uint96(_bound(uint256(keccak256(abi.encode(seed, i))), 1, WHOLE_CAP));
        }
        Deal memory deal = _deal(payer, leaves, 1);
        _openAsPayer(deal);
        uint256 paid;
        for (uint32 i = 0; i < 8; ++i) {
            uint256 random = uint256(keccak256(abi.encode("spend", seed, i)));
            if (random % 4 == 0) continue; // never activated
            uint96 cumulative = uint96(_bound(random >> 8, 0, leaves[i].cap));
            bytes memory voucher = _voucher(deal, i, cumulative);
            paid += channels.claim(leaves[i].payee, _one(_activation(deal, i)), voucher);
        }
        vm.warp(EXPIRY + GRACE);
        uint256 refunded;
        uint256 cut = seed % 9;
        refunded += channels.close(deal.descriptor, _refs(deal, 0, cut));
        refunded += channels.close(deal.descriptor, _refs(deal, cut, 8));
        refunded += channels.close(deal.descriptor, _refs(deal, 0, 8));
        vm.assertEq(paid + refunded, deal.descriptor.sum, "payouts and refunds");
        vm.assertEq(dollar.balanceOf(address(channels)), 0, "nothing left");
        _assertRoot(deal, RootState.Closed, 0);
    }

    function _refs(Deal memory deal, uint256 from, uint256 to) private pure returns (ChannelRef[] memory list) {
        list = new ChannelRef[](to - from);
        for (uint256 i = from; i < to; ++i) {
            list[i - from] = ChannelRef({index: uint32(i), payee: deal.leaves[i].payee});
        }
    }

    function testFuzz_claimFor_feeAndPayoutAddUp(uint96 first, uint96 cumulative, uint96 fee) public {
        Deal memory deal = _single(WHOLE_CAP);
        first = uint96(_bound(first, 0, WHOLE_CAP));
        cumulative = uint96(_bound(cumulative, 0, WHOLE_CAP));
        fee = uint96(_bound(fee, 0, WHOLE_CAP));
        channels.claim(payee, _none(), _voucher(deal, 0, first));
        uint256 raise = cumulative > first ? cumulative - first : 0;

        bytes memory vouchers = _voucher(deal, 0, cumulative);
        FeeOrder memory order = FeeOrder({fee: fee, submitter: stranger, deadline: uint64(START)});
        (bytes32 r, bytes32 vs) = _sign(PAYEE_KEY, _feeOrderDigest(payee, vouchers, order));
        bytes memory data = abi.encodeCall(channels.claimFor, (payee, _none(), vouchers, order, r, vs));
        if (fee > raise) {
            bytes memory expected = abi.encodeWithSelector(IChannels.FeeAboveAmount.selector, fee, raise);
            _sendReverts(stranger, address(channels), data, expected);
            fee = 0;
            raise = 0;
        } else {
            _send(stranger, address(channels), data);
        }
        vm.assertEq(dollar.balanceOf(stranger), fee, "submitter");
        vm.assertEq(dollar.balanceOf(payee), first + raise - fee, "payee");
    }

    function testFuzz_open_acceptsAnExpiryWithinItsBounds(uint64 expiry, bool near) public {
        if (near) expiry = uint64(_bound(expiry, START - 100, START + 400 days));
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.expiry = expiry;
        (bool ok,) = _try(payer, address(channels), abi.encodeCall(channels.open, (deal.descriptor)));
        vm.assertTrue(ok == (expiry > START && expiry <= START + 366 days), "accepted exactly within the bounds");
    }
}
