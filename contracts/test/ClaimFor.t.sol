// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Activation, FeeOrder, IChannels} from "../interfaces/IChannels.sol";
import {Channels} from "../src/Channels.sol";
import {Deal, Fixture} from "./utils/Fixture.sol";
import {Vm} from "./utils/Vm.sol";

/// @title Rules of the payee's order to whoever submits its vouchers
contract ClaimForTest is Fixture {
    uint96 internal constant FEE = 40;

    function _order() private view returns (FeeOrder memory) {
        return FeeOrder({fee: FEE, submitter: stranger, deadline: uint64(block.timestamp)});
    }

    function _call(uint256 key, Activation[] memory activations, bytes memory vouchers, FeeOrder memory order)
        private
        view
        returns (bytes memory)
    {
        (bytes32 r, bytes32 vs) = _sign(key, _feeOrderDigest(payee, vouchers, order));
        return abi.encodeCall(channels.claimFor, (payee, activations, vouchers, order, r, vs));
    }

    /// @notice An open root, the payee's channel active with nothing paid.
    function _ready(uint64 nonce) private returns (Deal memory deal) {
        deal = _opened(nonce);
        channels.claim(payee, _one(_activation(deal, PLACE)), "");
    }

    function _badOrder(address expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IChannels.OrderSignatureInvalid.selector, expected);
    }

    function _feeAbove(uint256 amount) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IChannels.FeeAboveAmount.selector, FEE, amount);
    }

    function test_claimFor_paysTheSubmitterOutOfTheClaim() public {
        Deal memory deal = _opened(1);
        bytes memory data = _call(PAYEE_KEY, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300), _order());
        vm.recordLogs();
        vm.assertEq(abi.decode(_send(stranger, address(channels), data), (uint256)), 300, "newly paid");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs[1].topics[0], IChannels.Claimed.selector, "claimed");
        vm.assertEq(logs[1].data, abi.encode(300, FEE, 0), "amount, fee and burnt");
        vm.assertEq(dollar.balanceOf(payee), 300 - FEE, "payee");
        vm.assertEq(dollar.balanceOf(stranger), FEE, "submitter");
        _assertChannel(deal, PLACE, CAP, 300);
    }

    function test_claimFor_theFeeMayBeTheWholeAmount() public {
        Deal memory deal = _ready(1);
        _send(stranger, address(channels), _call(PAYEE_KEY, _none(), _voucher(deal, PLACE, FEE), _order()));
        vm.assertEq(dollar.balanceOf(payee), 0, "payee");
        vm.assertEq(dollar.balanceOf(stranger), FEE, "submitter");
    }

    function test_claimFor_revertsIfTheFeeIsMoreThanIsNewlyPaid() public {
        Deal memory deal = _ready(1);
        bytes memory data = _call(PAYEE_KEY, _none(), _voucher(deal, PLACE, FEE - 1), _order());
        _sendReverts(stranger, address(channels), data, _feeAbove(FEE - 1));
    }

    function test_claimFor_revertsIfReplayed() public {
        Deal memory deal = _ready(1);
        bytes memory data = _call(PAYEE_KEY, _none(), _voucher(deal, PLACE, 300), _order());
        _send(stranger, address(channels), data);
        _sendReverts(stranger, address(channels), data, _feeAbove(0));
        vm.assertEq(dollar.balanceOf(stranger), FEE, "one fee");
    }

    /// @dev A part was claimed by somebody else first. The fee is still taken once, and never a second time.
    function test_claimFor_takesOneFeeWhateverWasClaimedBefore() public {
        (Deal memory a, Deal memory b) = (_ready(1), _ready(2));
        bytes memory part = _voucher(a, PLACE, 300);
        bytes memory data = _call(PAYEE_KEY, _none(), bytes.concat(part, _voucher(b, PLACE, 200)), _order());
        channels.claim(payee, _none(), part);
        _send(stranger, address(channels), data);
        vm.assertEq(dollar.balanceOf(payee), 500 - FEE, "payee");
        vm.assertEq(dollar.balanceOf(stranger), FEE, "submitter");
        _sendReverts(stranger, address(channels), data, _feeAbove(0));
        // Newer vouchers on the same channels do not revive the order: it binds the vouchers it was made for.
        channels.claim(payee, _none(), _voucher(a, PLACE, 400));
        _sendReverts(stranger, address(channels), data, _feeAbove(0));
    }

    function test_claimFor_revertsAfterTheDeadline() public {
        Deal memory deal = _ready(1);
        bytes memory data = _call(PAYEE_KEY, _none(), _voucher(deal, PLACE, 300), _order());
        vm.warp(START + 1);
        _sendReverts(stranger, address(channels), data, _error(IChannels.OrderExpired.selector, START));
    }

    function test_claimFor_revertsIfReservedToAnother() public {
        Deal memory deal = _ready(1);
        bytes memory data = _call(PAYEE_KEY, _none(), _voucher(deal, PLACE, 300), _order());
        bytes memory expected = abi.encodeWithSelector(IChannels.NotSubmitter.selector, payer, stranger);
        _sendReverts(payer, address(channels), data, expected);
    }

    function test_claimFor_isOpenToAnyoneIfNobodyIsNamed() public {
        Deal memory deal = _ready(1);
        FeeOrder memory order = _order();
        order.submitter = address(0);
        address other = address(0x07E4);
        _send(other, address(channels), _call(PAYEE_KEY, _none(), _voucher(deal, PLACE, 300), order));
        vm.assertEq(dollar.balanceOf(other), FEE, "submitter");
    }

    function test_claimFor_revertsIfThePayeeDidNotSign() public {
        Deal memory deal = _ready(1);
        bytes memory data = _call(SIGNER_KEY, _none(), _voucher(deal, PLACE, 300), _order());
        _sendReverts(stranger, address(channels), data, _badOrder(payee));
    }

    /// @dev Whichever part of the order or of the vouchers changes, the signature does not fit any more.
    function test_claimFor_revertsIfAnythingSignedIsDifferent() public {
        Deal memory deal = _ready(1);
        bytes memory vouchers = _voucher(deal, PLACE, 300);
        (bytes32 r, bytes32 vs) = _sign(PAYEE_KEY, _feeOrderDigest(payee, vouchers, _order()));
        for (uint256 change = 0; change < 5; ++change) {
            FeeOrder memory order = _order();
            address who = payee;
            bytes memory sent = vouchers;
            if (change == 0) order.fee += 1;
            if (change == 1) order.submitter = address(0);
            if (change == 2) order.deadline += 1;
            if (change == 3) who = payer;
            if (change == 4) sent = _voucher(deal, PLACE, 299);
            bytes memory data = abi.encodeCall(channels.claimFor, (who, _none(), sent, order, r, vs));
            _sendReverts(stranger, address(channels), data, _badOrder(who));
        }
        bytes memory honest = abi.encodeCall(channels.claimFor, (payee, _none(), vouchers, _order(), r, vs));
        _send(stranger, address(channels), honest);
    }

    function test_claimFor_revertsIfPayeeIsZero() public {
        FeeOrder memory order = _order();
        bytes memory data = abi.encodeCall(channels.claimFor, (address(0), _none(), "", order, bytes32(0), bytes32(0)));
        _sendReverts(stranger, address(channels), data, _badOrder(address(0)));
    }

    function test_claimFor_revertsOnAnotherInstanceOrChain() public {
        Deal memory deal = _ready(1);
        bytes memory data = _call(PAYEE_KEY, _none(), _voucher(deal, PLACE, 300), _order());
        Channels twin = new Channels(address(dollar), GRACE, address(0), address(0));
        _sendReverts(stranger, address(twin), data, _badOrder(payee));
        vm.chainId(block.chainid + 1);
        _sendReverts(stranger, address(channels), data, _badOrder(payee));
    }
}
