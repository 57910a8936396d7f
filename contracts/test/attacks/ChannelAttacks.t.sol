// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FeeOrder, IChannels, Permit, RootState} from "../../interfaces/IChannels.sol";
import {Channels} from "../../src/Channels.sol";
import {Deal, Fixture} from "../utils/Fixture.sol";
import {BlacklistToken} from "../utils/OddTokens.sol";
import {Leaf} from "../utils/Tree.sol";
import {TestDollar} from "../../src/TestDollar.sol";

/// @title The attacks on payment channels that others suffered, one by one
/// @notice Numbers are those of the attack table (contracts/test/attacks.ts), which plants the bug each test is there for.
/// @dev The domain is asked from the contract here, so that a bug in a domain or a type meets the one test about it;
///      everywhere else digests are computed anew.
contract ChannelAttackTest is Fixture {
    function _domain(address instance) internal view override returns (bytes32) {
        return Channels(instance).domainSeparator();
    }

    function _claimCall(address who, bytes memory vouchers) private view returns (bytes memory) {
        return abi.encodeCall(channels.claim, (who, _none(), vouchers));
    }

    function _claim(bytes memory vouchers) private returns (uint256) {
        return channels.claim(payee, _none(), vouchers);
    }

    /// @notice An open root whose payee's channel is active.
    function _active(uint64 nonce) private returns (Deal memory deal) {
        deal = _opened(nonce);
        channels.claim(payee, _one(_activation(deal, PLACE)), "");
    }

    /// @notice `voucher`, whoever it is said to be from, pays nothing.
    function _refused(bytes memory voucher, string memory what) private {
        uint256 before = dollar.balanceOf(payee);
        _try(stranger, address(channels), _claimCall(payee, voucher));
        vm.assertEq(dollar.balanceOf(payee), before, what);
    }

    function _feeOrder(uint96 fee, bytes memory vouchers, uint64 deadline) private view returns (bytes memory) {
        FeeOrder memory order = FeeOrder({fee: fee, submitter: address(0), deadline: deadline});
        (bytes32 r, bytes32 vs) = _sign(PAYEE_KEY, _feeOrderDigest(payee, vouchers, order));
        return abi.encodeCall(channels.claimFor, (payee, _none(), vouchers, order, r, vs));
    }

    function _sponsored(Deal memory deal, uint64 deadline) private view returns (bytes memory) {
        Permit memory none;
        (bytes32 r, bytes32 vs) = _sign(PAYER_KEY, _openOrderDigest(deal.descriptor, deadline));
        return abi.encodeCall(channels.openWithPermit, (deal.descriptor, none, deadline, r, vs));
    }

    // -------------------------------------------------------------------------------------------------- replays

    /// @dev Open, pay, close, open again between the same two: nothing signed for the first says anything in the second.
    function test_C1_aReopenedChannelPaysNoOldVoucher() public {
        Deal memory old = _active(1);
        bytes memory voucher = _voucher(old, PLACE, 300);
        bytes memory order = _feeOrder(7, voucher, type(uint64).max);
        _claim(voucher);
        vm.warp(EXPIRY + GRACE);
        channels.close(old.descriptor, _listed(PLACE, payee));

        Deal memory again = _deal(payer, _leaves(), 2);
        again.descriptor.expiry = uint64(block.timestamp) + 28 days;
        _rename(again);
        _openAsPayer(again);
        channels.claim(payee, _one(_activation(again, PLACE)), "");
        uint256 held = dollar.balanceOf(payee);
        _refused(voucher, "the old voucher as it was");
        (bytes32 r, bytes32 vs) = _sign(SIGNER_KEY, _voucherDigest(old.id, PLACE, payee, 300));
        _refused(abi.encodePacked(again.id, PLACE, uint96(300), r, vs), "the old signature under the new name");
        _try(stranger, address(channels), order);
        _try(payer, address(channels), abi.encodeCall(channels.open, (old.descriptor)));
        vm.assertEq(dollar.balanceOf(payee) + dollar.balanceOf(stranger), held, "the old order");
        _assertRoot(old, RootState.Closed, 0);
        _claim(_voucher(again, PLACE, 200));
        vm.assertEq(dollar.balanceOf(payee), held + 200, "the new voucher");
    }

    function test_C2_aVoucherForAnotherInstancePaysNothing() public {
        Deal memory deal = _active(1);
        bytes memory voucher = _voucher(deal, PLACE, 300);
        Channels original = channels;
        channels = new Channels(address(dollar), GRACE, address(0), address(0));
        _fund(payer);
        _openAsPayer(deal);
        channels.claim(payee, _one(_activation(deal, PLACE)), "");
        _refused(voucher, "same keys, same descriptor, other contract");
        channels = original;
        vm.assertEq(_claim(voucher), 300, "good where it was signed for");
    }

    /// @dev Every signed type, after a fork that gave both chains the same state.
    function test_C3_nothingSignedForAnotherChainCounts() public {
        Deal memory deal = _active(1);
        bytes memory voucher = _voucher(deal, PLACE, 300);
        bytes memory open = _sponsored(_deal(payer, _leaves(), 2), EXPIRY);
        vm.chainId(block.chainid + 1);
        _refused(voucher, "voucher");
        (bool ok,) = _try(stranger, address(channels), open);
        vm.assertTrue(!ok, "open order");
        bytes memory here = _voucher(deal, PLACE, 300);
        vm.chainId(block.chainid - 1);
        bytes memory order = _feeOrder(7, here, EXPIRY);
        vm.chainId(block.chainid + 1);
        (ok,) = _try(stranger, address(channels), order);
        vm.assertTrue(!ok, "fee order");
        vm.assertEq(_claim(here), 300, "signed for this chain");
    }

    /// @dev A root without a signer would belong to whoever brings garbage: recovery from it gives address 0 as well.
    function test_C6_nobodyIsNoSigner() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.signer = address(0);
        _rename(deal);
        bytes memory expected = _error(IChannels.ZeroSigner.selector);
        _sendReverts(payer, address(channels), abi.encodeCall(channels.open, (deal.descriptor)), expected);
        deal = _active(2);
        bytes memory head = abi.encodePacked(deal.id, PLACE, uint96(300));
        _refused(bytes.concat(head, new bytes(64)), "64 zeros");
        _refused(head, "no signature");
        _refused(bytes.concat(head, new bytes(66)), "66 bytes");
    }

    /// @dev Three digests against EIP-712 written out from the texts of the types.
    function testFuzz_C7_digestsAreThoseOfTheTypes(Deal memory deal, bytes memory vouchers, FeeOrder memory order)
        public
        view
    {
        uint96 amount = uint96(deal.signerKey);
        bytes32 digest = channels.voucherDigest(deal.id, deal.descriptor.depth, deal.descriptor.payer, amount);
        vm.assertEq(digest, _voucherDigest(deal.id, deal.descriptor.depth, deal.descriptor.payer, amount), "voucher");
        digest = channels.feeOrderDigest(deal.descriptor.payer, keccak256(vouchers), order);
        vm.assertEq(digest, _feeOrderDigest(deal.descriptor.payer, vouchers, order), "fee order");
        digest = channels.openOrderDigest(deal.descriptor, order.deadline);
        vm.assertEq(digest, _openOrderDigest(deal.descriptor, order.deadline), "open order");
    }

    /// @dev Any vouchers of one channel, in any order, any of them again: together at most the largest.
    function testFuzz_C8_noOrderOfVouchersPaysMoreThanTheLargest(uint96[6] memory amounts, uint256 order) public {
        Deal memory deal = _active(1);
        uint256 largest;
        uint256 sum;
        for (uint256 i = 0; i < 12; ++i) {
            uint96 amount = uint96(_bound(amounts[(order >> (4 * i)) % 6], 1, CAP));
            if (amount > largest) largest = amount;
            sum += _claim(_voucher(deal, PLACE, amount));
            vm.assertLe(sum, largest, "said to be paid");
            vm.assertLe(dollar.balanceOf(payee), largest, "paid");
        }
    }

    // -------------------------------------------------------------------------------------------------- amounts

    /// @dev Somebody is in front with an older voucher of a unit: the newer one still pays all that is left.
    function test_C9_anOldVoucherInFrontBurnsNothing() public {
        Deal memory deal = _active(1);
        _send(stranger, address(channels), _claimCall(payee, _voucher(deal, PLACE, 1)));
        vm.assertEq(_claim(_voucher(deal, PLACE, 300)), 299, "the rest");
        vm.assertEq(_claim(_voucher(deal, PLACE, CAP)), CAP - 300, "up to the cap");
    }

    function testFuzz_C10_noVoucherPaysMoreThanItsChannelHolds(uint96 cap, uint96 amount) public {
        cap = uint96(_bound(cap, 1, dollar.balanceOf(payer)));
        if (amount % 5 == 0) amount = type(uint96).max;
        if (amount % 5 == 1) amount = cap;
        if (amount % 5 == 2) amount = cap + 1;
        Leaf[] memory leaves = new Leaf[](1);
        leaves[0] = Leaf({payee: payee, cap: cap, salt: 0});
        Deal memory deal = _deal(payer, leaves, 1);
        _openAsPayer(deal);
        // Somebody else's money is there to be taken.
        dollar.mint(address(channels), 1e6);
        bytes memory call =
            abi.encodeCall(channels.claim, (payee, _one(_activation(deal, 0)), _voucher(deal, 0, amount)));
        (bool ok,) = _try(payee, address(channels), call);
        vm.assertTrue(ok == (amount <= cap), "paid exactly if it is covered");
        vm.assertEq(dollar.balanceOf(payee), ok ? amount : 0, "and in full");
    }

    // ------------------------------------------------------------------------------------------------------ time

    /// @dev The claim is sent in the last second of the grace, and the payer tries to be first.
    function test_C11_noCloseGetsInFrontOfAClaim() public {
        Deal memory deal = _active(1);
        bytes memory claim = _claimCall(payee, _voucher(deal, PLACE, 300));
        bytes memory close = _closeCall(deal, _listed(PLACE, payee));
        vm.warp(uint256(EXPIRY) + GRACE - 1);
        (bool ok,) = _try(payer, address(channels), close);
        vm.assertTrue(!ok, "too early to close");
        _send(payee, address(channels), claim);
        vm.warp(uint256(EXPIRY) + GRACE);
        _send(payer, address(channels), close);
        vm.assertEq(dollar.balanceOf(payee), 300, "paid");
        (ok,) = _try(payee, address(channels), claim);
        vm.assertTrue(!ok, "what was closed pays no more");
    }

    /// @dev Blocks are full from the expiry on, all but the last of the grace: two days, forty times what it takes to
    ///      force a transaction in on most chains. A payee that never proved its leaf gets all of it in that block.
    function test_C12_oneBlockOfTheWholeGraceIsEnough() public {
        Deal memory deal = _opened(1);
        vm.assertGe(channels.grace(), 2 days, "the window, in seconds");
        vm.warp(uint256(EXPIRY) + GRACE - 12);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, CAP));
        vm.assertEq(dollar.balanceOf(payee), CAP, "all of it");
    }

    /// @dev There is no cooperative close. What both sign instead is a fee order, and an old one takes nothing newer.
    function test_C15_anOldOrderTakesNothingOfNewerVouchers() public {
        Deal memory deal = _active(1);
        bytes memory voucher = _voucher(deal, PLACE, 300);
        bytes memory order = _feeOrder(200, voucher, EXPIRY);
        _claim(_voucher(deal, PLACE, 299));
        (bool ok,) = _try(stranger, address(channels), order);
        vm.assertTrue(!ok, "one unit is newly paid, and two hundred are no part of it");
        vm.assertEq(dollar.balanceOf(stranger), 0, "no fee");
        order = _feeOrder(1, voucher, EXPIRY);
        vm.warp(uint256(EXPIRY) + 1);
        (ok,) = _try(stranger, address(channels), order);
        vm.assertTrue(!ok, "over");
        vm.assertEq(_claim(voucher), 1, "and the voucher is as good as before");
    }

    // ---------------------------------------------------------------------------------------------------- others

    /// @dev A payee the token refuses is neither in the way of the payer's refund nor of anybody's claim.
    function test_C16_whoCannotBePaidHoldsUpNobody() public {
        BlacklistToken token = new BlacklistToken();
        dollar = TestDollar(address(token));
        channels = new Channels(address(token), GRACE, address(0), address(0));
        token.mint(payer, 8 * uint256(CAP));
        _send(payer, address(token), abi.encodeCall(token.approve, (address(channels), type(uint256).max)));
        Deal memory deal = _active(1);
        token.list(payee, true);
        (bool ok,) = _try(payee, address(channels), _claimCall(payee, _voucher(deal, PLACE, 300)));
        vm.assertTrue(!ok, "refused by the token");
        channels.claim(deal.leaves[0].payee, _one(_activation(deal, 0)), _voucher(deal, 0, 200));
        vm.warp(EXPIRY + GRACE);
        vm.assertEq(channels.close(deal.descriptor, _listed(PLACE, payee)), 8 * uint256(CAP) - CAP, "the refund");
        _assertChannel(deal, 0, CAP, 200);
    }

    /// @dev Whatever `open` refuses, the sponsor's entry refuses: it is the same check and not a second copy. The same
    ///      for claims: Claim.t.sol, Proofs.t.sol and Signatures.t.sol run every rule through both entries.
    function test_C19_theSponsorsEntryChecksWhatOpenChecks() public {
        for (uint256 kind = 0; kind < 5; ++kind) {
            Deal memory deal = _deal(payer, _leaves(), 1);
            if (kind == 0) deal.descriptor.sum = 0;
            if (kind == 1) deal.descriptor.depth = 33;
            if (kind == 2) deal.descriptor.expiry = uint64(block.timestamp);
            if (kind == 3) deal.descriptor.expiry = uint64(block.timestamp) + 367 days;
            if (kind == 4) _openAsPayer(deal);
            _rename(deal);
            (bool ok, bytes memory reason) =
                _try(payer, address(channels), abi.encodeCall(channels.open, (deal.descriptor)));
            vm.assertTrue(!ok, "refused by open");
            _sendReverts(stranger, address(channels), _sponsored(deal, EXPIRY), reason);
        }
        _send(stranger, address(channels), _sponsored(_deal(payer, _leaves(), 2), EXPIRY));
    }
}
