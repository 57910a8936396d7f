// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelRef, IChannels, RootState} from "../interfaces/IChannels.sol";
import {Deal, Fixture} from "./utils/Fixture.sol";
import {Vm} from "./utils/Vm.sol";

/// @title Rules of closing
contract CloseTest is Fixture {
    uint256 internal constant CLOSABLE = uint256(EXPIRY) + GRACE;
    uint256 internal constant SUM = 8 * uint256(CAP);

    /// @notice An open root; the payee's channel is active and has paid `paid`.
    function _used(uint64 nonce, uint96 paid) private returns (Deal memory deal) {
        deal = _opened(nonce);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, paid));
    }

    function _close(Deal memory deal, ChannelRef[] memory listed) private returns (uint256) {
        return abi.decode(_send(stranger, address(channels), _closeCall(deal, listed)), (uint256));
    }

    function _nobody() private pure returns (ChannelRef[] memory) {}

    function test_close_returnsRemainderAndUnspentToThePayer() public {
        uint256 before = dollar.balanceOf(payer);
        Deal memory deal = _used(1, 300);
        vm.warp(CLOSABLE);
        vm.recordLogs();
        vm.assertEq(_close(deal, _listed(PLACE, payee)), SUM - 300, "refund");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs[0].topics[0], IChannels.RootClosed.selector, "closed");
        vm.assertEq(abi.encode(logs[0].topics[1]), abi.encode(deal.id), "root");
        vm.assertEq(abi.encode(logs[0].topics[2]), abi.encode(payer), "payer");
        vm.assertEq(logs[0].data, abi.encode(SUM - 300), "refund");
        vm.assertEq(dollar.balanceOf(payer), before - 300, "whoever closes, the payer is paid");
        vm.assertEq(dollar.balanceOf(address(channels)), 0, "nothing left");
        _assertRoot(deal, RootState.Closed, 0);
        _assertChannel(deal, PLACE, 0, 0);
    }

    function test_close_revertsBeforeExpiryPlusGrace() public {
        Deal memory deal = _used(1, 300);
        bytes memory data = _closeCall(deal, _listed(PLACE, payee));
        bytes memory expected = _error(IChannels.CloseTooEarly.selector, CLOSABLE);
        _sendReverts(payer, address(channels), data, expected);
        vm.warp(EXPIRY);
        _sendReverts(payer, address(channels), data, expected);
        vm.warp(CLOSABLE - 1);
        _sendReverts(payer, address(channels), data, expected);
        vm.warp(CLOSABLE);
        _send(payer, address(channels), data);
    }

    function test_close_revertsIfNeverOpened() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        vm.warp(CLOSABLE);
        bytes memory expected = _rootError(IChannels.RootNotOpen.selector, deal);
        _sendReverts(payer, address(channels), _closeCall(deal, _nobody()), expected);
    }

    /// @dev The descriptor is hashed, so no field of it can be bent: not the payer, not the expiry.
    function test_close_revertsIfTheDescriptorIsNotTheOneOpened() public {
        Deal memory deal = _used(1, 300);
        vm.warp(CLOSABLE);
        deal.descriptor.payer = stranger;
        _rename(deal);
        bytes memory expected = _rootError(IChannels.RootNotOpen.selector, deal);
        _sendReverts(stranger, address(channels), _closeCall(deal, _nobody()), expected);
        deal.descriptor.payer = payer;
        deal.descriptor.expiry -= 1;
        _rename(deal);
        expected = _rootError(IChannels.RootNotOpen.selector, deal);
        _sendReverts(payer, address(channels), _closeCall(deal, _nobody()), expected);
    }

    function test_close_twicePaysOnce() public {
        Deal memory deal = _used(1, 300);
        _opened(2); // another deposit is there to be stolen
        vm.warp(CLOSABLE);
        vm.assertEq(_close(deal, _listed(PLACE, payee)), SUM - 300, "once");
        vm.recordLogs();
        vm.assertEq(_close(deal, _listed(PLACE, payee)), 0, "not twice");
        vm.assertEq(vm.getRecordedLogs().length, 0, "and nothing to tell");
        vm.assertEq(dollar.balanceOf(address(channels)), SUM, "the other deposit");
    }

    function test_close_listingAChannelTwicePaysOnce() public {
        Deal memory deal = _used(1, 300);
        _opened(2);
        vm.warp(CLOSABLE);
        ChannelRef[] memory twice = new ChannelRef[](2);
        (twice[0], twice[1]) = (_listed(PLACE, payee)[0], _listed(PLACE, payee)[0]);
        vm.assertEq(_close(deal, twice), SUM - 300, "once");
    }

    function test_close_listingWhatWasNeverActivatedReturnsNothingForIt() public {
        Deal memory deal = _used(1, 300);
        vm.warp(CLOSABLE);
        vm.assertEq(_close(deal, _listed(PLACE + 1, deal.leaves[PLACE + 1].payee)), SUM - CAP, "remainder only");
    }

    function test_close_listingAnotherPayeeReturnsNothingForIt() public {
        Deal memory deal = _used(1, 300);
        vm.warp(CLOSABLE);
        vm.assertEq(_close(deal, _listed(PLACE, stranger)), SUM - CAP, "remainder only");
        _assertChannel(deal, PLACE, CAP, 300);
    }

    function test_close_aChannelNotListedKeepsItsMoneyUntilItIsSwept() public {
        Deal memory deal = _used(1, 300);
        vm.warp(CLOSABLE);
        vm.assertEq(_close(deal, _nobody()), SUM - CAP, "remainder");
        _assertChannel(deal, PLACE, CAP, 300);
        vm.assertEq(channels.claim(payee, _none(), _voucher(deal, PLACE, 500)), 200, "the payee may still claim");

        vm.recordLogs();
        vm.assertEq(_close(deal, _listed(PLACE, payee)), CAP - 500, "swept");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs[0].topics[0], IChannels.ChannelsSwept.selector, "swept, not closed again");
        vm.assertEq(abi.encode(logs[0].topics[1]), abi.encode(deal.id), "root");
        vm.assertEq(abi.encode(logs[0].topics[2]), abi.encode(payer), "payer");
        vm.assertEq(logs[0].data, abi.encode(CAP - 500), "refund");
        vm.assertEq(dollar.balanceOf(address(channels)), 0, "nothing left");
    }

    /// @dev The first draft took channel keys as arguments: any payer naming the same signer could have taken
    ///      strangers' channels. Keys come from the closer's own root id.
    function test_close_cannotReachAChannelOfAnotherRoot() public {
        Deal memory victim = _used(1, 300);
        Deal memory thief = _deal(stranger, _leaves(), 1);
        _fund(stranger);
        _openAsPayer(thief);
        vm.warp(CLOSABLE);
        vm.assertEq(_close(thief, _listed(PLACE, payee)), SUM, "his own remainder and no more");
        _assertChannel(victim, PLACE, CAP, 300);
        vm.assertEq(dollar.balanceOf(address(channels)), SUM - 300, "the victim's money");
    }

    /// @dev Same root, same index and payee, but another signer in the descriptor: another root id altogether.
    function test_close_signerIsPartOfTheKey() public {
        Deal memory deal = _used(1, 300);
        deal.descriptor.signer = stranger;
        Deal memory other = deal;
        _rename(other);
        _openAsPayer(other);
        vm.warp(CLOSABLE);
        vm.assertEq(_close(other, _listed(PLACE, payee)), SUM, "its own");
        vm.assertEq(dollar.balanceOf(address(channels)), SUM - 300, "the first root's");
    }

    function test_close_worksWhenEverythingIsSpent() public {
        Deal memory deal = _opened(1);
        for (uint32 i = 0; i < 8; ++i) {
            channels.claim(deal.leaves[i].payee, _one(_activation(deal, i)), _voucher(deal, i, CAP));
        }
        vm.warp(CLOSABLE);
        vm.assertEq(_close(deal, _nobody()), 0, "nothing to refund");
        _assertRoot(deal, RootState.Closed, 0);
    }

    function test_close_theLatestExpiryDoesNotOverflow() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.expiry = type(uint64).max;
        bytes memory expected = _error(IChannels.CloseTooEarly.selector, uint256(type(uint64).max) + GRACE);
        _sendReverts(payer, address(channels), _closeCall(deal, _nobody()), expected);
    }
}
