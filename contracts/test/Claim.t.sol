// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {Activation, ChannelRef, IChannels, RootState} from "../interfaces/IChannels.sol";
import {ClaimSuite, ViaClaim, ViaClaimFor} from "./utils/ClaimSuite.sol";
import {Deal} from "./utils/Fixture.sol";
import {Leaf} from "./utils/Tree.sol";
import {Vm} from "./utils/Vm.sol";

/// @title Rules of vouchers and payouts, the same through both entries
abstract contract ClaimRules is ClaimSuite {
    function test_claim_firstClaimProvesActivatesAndPays() public {
        Deal memory deal = _opened(1);
        uint256 amount = _claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300));
        vm.assertEq(amount, 300, "returned");
        vm.assertEq(dollar.balanceOf(payee), 300, "payee");
        _assertRoot(deal, RootState.Open, 7 * CAP);
        _assertChannel(deal, PLACE, CAP, 300);
    }

    function test_claim_laterClaimPaysTheRaiseOnly() public {
        Deal memory deal = _active(1, 300);
        vm.assertEq(_claim(payee, _none(), _voucher(deal, PLACE, 1_000)), 700, "raise");
        vm.assertEq(dollar.balanceOf(payee), 1_000, "payee");
        _assertChannel(deal, PLACE, CAP, 1_000);
    }

    function test_claim_paysUpToTheCap() public {
        Deal memory deal = _active(1, 0);
        vm.assertEq(_claim(payee, _none(), _voucher(deal, PLACE, CAP)), CAP, "all of it");
        _assertChannel(deal, PLACE, CAP, CAP);
    }

    function test_claim_revertsIfCumulativeIsAboveCap() public {
        Deal memory deal = _active(1, 300);
        bytes memory vouchers = _voucher(deal, PLACE, CAP + 1);
        bytes memory expected = abi.encodeWithSelector(IChannels.CumulativeAboveCap.selector, 0, CAP + 1, CAP);
        _claimReverts(payee, _none(), vouchers, expected);
        vouchers = _voucher(deal, PLACE, type(uint96).max);
        expected = abi.encodeWithSelector(IChannels.CumulativeAboveCap.selector, 0, type(uint96).max, CAP);
        _claimReverts(payee, _none(), vouchers, expected);
    }

    function test_claim_paysABatchOfPayersInOneTransfer() public {
        (Deal memory a, Deal memory b) = (_active(1, 0), _active(2, 5));
        bytes memory vouchers = bytes.concat(_voucher(a, PLACE, 10), _voucher(b, PLACE, 25));
        (address sender, bytes memory data) = _claimCall(payee, _none(), vouchers);
        vm.recordLogs();
        _send(sender, address(channels), data);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 2, "one Transfer, one Claimed, nothing for each voucher");
        vm.assertEq(_count(logs, address(dollar), IERC20.Transfer.selector), 1, "one transfer");
        vm.assertEq(_count(logs, address(channels), IChannels.Claimed.selector), 1, "one event");
        vm.assertEq(dollar.balanceOf(payee), 35, "payee");
    }

    function test_claim_emitsWhoWasPaidAndWhoSubmitted() public {
        Deal memory deal = _opened(1);
        (address sender, bytes memory data) =
            _claimCall(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300));
        vm.recordLogs();
        _send(sender, address(channels), data);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs[0].topics[0], IChannels.ChannelActivated.selector, "activated first");
        vm.assertEq(abi.encode(logs[0].topics[1]), abi.encode(deal.id), "root");
        vm.assertEq(abi.encode(logs[0].topics[2]), abi.encode(payee), "payee");
        vm.assertEq(logs[0].data, abi.encode(PLACE, CAP), "index and cap");
        vm.assertEq(logs[1].topics[0], IChannels.Claimed.selector, "claimed next");
        vm.assertEq(abi.encode(logs[1].topics[1]), abi.encode(payee), "payee");
        vm.assertEq(abi.encode(logs[1].topics[2]), abi.encode(sender), "submitter");
        vm.assertEq(logs[1].data, abi.encode(300, 0, 0), "amount, fee and burnt");
    }

    function test_claim_ofNothingIsQuiet() public {
        Deal memory deal = _active(1, 300);
        (address sender, bytes memory data) = _claimCall(payee, _none(), _voucher(deal, PLACE, 300));
        vm.recordLogs();
        vm.assertEq(abi.decode(_send(sender, address(channels), data), (uint256)), 0, "nothing new");
        vm.assertEq(vm.getRecordedLogs().length, 0, "no transfer, no event");
    }

    // ---------------------------------------------------------------------------------- replay, order, duplicates

    function test_claim_replayedOrOlderVoucherPaysNothing() public {
        Deal memory deal = _active(1, 300);
        vm.assertEq(_claim(payee, _none(), _voucher(deal, PLACE, 300)), 0, "replayed");
        vm.assertEq(_claim(payee, _none(), _voucher(deal, PLACE, 299)), 0, "older");
        vm.assertEq(_claim(payee, _none(), _voucher(deal, PLACE, 0)), 0, "zero");
        _assertChannel(deal, PLACE, CAP, 300);
    }

    function test_claim_ofOneChannelTwiceInABatchPaysTheMaximum() public {
        Deal memory deal = _active(1, 0);
        bytes memory up = bytes.concat(_voucher(deal, PLACE, 5), _voucher(deal, PLACE, 7));
        vm.assertEq(_claim(payee, _none(), up), 7, "5 then 2");
        bytes memory down = bytes.concat(_voucher(deal, PLACE, 20), _voucher(deal, PLACE, 9), _voucher(deal, PLACE, 20));
        vm.assertEq(_claim(payee, _none(), down), 13, "13, 0 and 0");
    }

    /// @dev Livepeer PR 657: dust paid in front of a claim must not spoil or burn it.
    function test_claim_survivesAFrontRunOfOneVoucher() public {
        (Deal memory a, Deal memory b, Deal memory c) = (_opened(1), _opened(2), _opened(3));
        Activation[] memory activations = new Activation[](3);
        activations[0] = _activation(a, PLACE);
        activations[1] = _activation(b, PLACE);
        activations[2] = _activation(c, PLACE);
        bytes memory dust = _voucher(b, PLACE, 1);
        bytes memory batch = bytes.concat(_voucher(a, PLACE, 100), _voucher(b, PLACE, 200), _voucher(c, PLACE, 300));
        (address sender, bytes memory data) = _claimCall(payee, activations, batch);

        // The stranger activates two of the three, pays one unit of one and all of another.
        activations = new Activation[](2);
        activations[0] = _activation(b, PLACE);
        activations[1] = _activation(c, PLACE);
        bytes memory frontRun = bytes.concat(dust, _voucher(c, PLACE, 300));
        _send(stranger, address(channels), abi.encodeCall(channels.claim, (payee, activations, frontRun)));

        vm.assertEq(abi.decode(_send(sender, address(channels), data), (uint256)), 299, "the rest");
        vm.assertEq(dollar.balanceOf(payee), 600, "nothing lost");
    }

    // ------------------------------------------------------------------------------------------- who, where, what

    function test_claim_revertsIfAnotherPayeeClaims() public {
        Deal memory deal = _active(1, 300);
        uint256 thiefKey = 0xBAD;
        // A leaf of his own would not help the thief: the voucher's signature binds the payee.
        bytes memory vouchers = _voucher(deal, PLACE, 400);
        (address sender, bytes memory data) = _claimCall(vm.addr(thiefKey), _none(), vouchers);
        (bool ok, bytes memory result) = _try(sender, address(channels), data);
        vm.assertTrue(!ok && bytes4(result) == IChannels.ChannelUnknown.selector, "recovers to somebody unknown");
    }

    function test_claim_revertsIfSignedByAnother() public {
        Deal memory deal = _active(1, 0);
        bytes32 digest = _voucherDigest(deal.id, PLACE, payee, 400);
        bytes memory vouchers = bytes.concat(_voucher(deal, PLACE, 300), _pack(deal.id, PLACE, 400, PAYER_KEY, digest));
        _claimReverts(payee, _none(), vouchers, _unknown(1, payer));
    }

    function test_claim_revertsIfChannelIsNotActive() public {
        Deal memory deal = _opened(1);
        _claimReverts(payee, _none(), _voucher(deal, PLACE, 300), _unknown(0, deal.descriptor.signer));
    }

    /// @dev The same payee in two leaves has two channels. A voucher binds the index, so it is good for one of them.
    function test_claim_voucherOfOneLeafIsNoGoodForItsTwin() public {
        Leaf[] memory leaves = _leaves();
        leaves[2] = leaves[PLACE];
        Deal memory deal = _deal(payer, leaves, 1);
        _openAsPayer(deal);
        _claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300));
        _claim(payee, _one(_activation(deal, 2)), "");
        _assertRoot(deal, RootState.Open, 6 * CAP);

        (, bytes32 r, bytes32 vs) = _split(_voucher(deal, PLACE, 300));
        bytes memory moved = abi.encodePacked(deal.id, uint32(2), uint96(300), r, vs);
        (address sender, bytes memory data) = _claimCall(payee, _none(), moved);
        (bool ok, bytes memory result) = _try(sender, address(channels), data);
        vm.assertTrue(!ok && bytes4(result) == IChannels.ChannelUnknown.selector, "not the twin's voucher");
        _assertChannel(deal, 2, CAP, 0);
    }

    /// @dev Two payers with the same signer, tree and payee still have two channels: the root id is in the key.
    function test_claim_twinRootsAreTwoChannels() public {
        Deal memory a = _active(1, 300);
        Deal memory b = _opened(2);
        _claimReverts(payee, _none(), _voucher(b, PLACE, 400), _unknown(0, b.descriptor.signer));
        _claim(payee, _one(_activation(b, PLACE)), _voucher(b, PLACE, 50));
        _assertChannel(a, PLACE, CAP, 300);
        _assertChannel(b, PLACE, CAP, 50);
        vm.assertEq(dollar.balanceOf(payee), 350, "both");
    }

    function test_claim_revertsIfVouchersAreMisaligned() public {
        Deal memory deal = _active(1, 0);
        bytes memory whole = _voucher(deal, PLACE, 300);
        bytes memory longer = bytes.concat(whole, hex"00");
        _claimReverts(payee, _none(), longer, _error(IChannels.VouchersMisaligned.selector, 113));
        bytes memory shorter = new bytes(111);
        for (uint256 i = 0; i < 111; ++i) {
            shorter[i] = whole[i];
        }
        _claimReverts(payee, _none(), shorter, _error(IChannels.VouchersMisaligned.selector, 111));
    }

    // ------------------------------------------------------------------------------------------------ after expiry

    function test_claim_worksAfterExpiryUntilTheClose() public {
        Deal memory deal = _opened(1);
        vm.warp(uint256(EXPIRY) + GRACE + 365 days);
        vm.assertEq(_claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300)), 300, "late, not lost");
    }

    function test_claim_worksAfterACloseThatDidNotListTheChannel() public {
        Deal memory deal = _active(1, 300);
        vm.warp(EXPIRY + GRACE);
        _send(stranger, address(channels), _closeCall(deal, new ChannelRef[](0)));
        // The activation travels again, as it does when the claimer does not know about the close: it is skipped.
        vm.assertEq(_claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 500)), 200, "still backed");
    }

    function test_claim_revertsAfterTheChannelWasSwept() public {
        Deal memory deal = _active(1, 300);
        vm.warp(EXPIRY + GRACE);
        _send(stranger, address(channels), _closeCall(deal, _listed(PLACE, payee)));
        bytes memory vouchers = _voucher(deal, PLACE, 500);
        _claimReverts(payee, _none(), vouchers, _unknown(0, deal.descriptor.signer));
        bytes memory expected = _rootError(IChannels.RootNotOpen.selector, deal);
        _claimReverts(payee, _one(_activation(deal, PLACE)), vouchers, expected);
    }

    function _split(bytes memory voucher) internal pure returns (bytes32 head, bytes32 r, bytes32 vs) {
        assembly ("memory-safe") {
            head := mload(add(voucher, 32))
            r := mload(add(voucher, 80))
            vs := mload(add(voucher, 112))
        }
    }
}

contract ClaimTest is ClaimRules, ViaClaim {}

contract ClaimThroughClaimForTest is ClaimRules, ViaClaimFor {}
