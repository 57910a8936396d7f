// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {ChannelRef, IChannels, RootState} from "../interfaces/IChannels.sol";
import {Channels} from "../src/Channels.sol";
import {TestDollar} from "../src/TestDollar.sol";
import {Deal, Fixture} from "./utils/Fixture.sol";
import {BlacklistToken, FalseToken, FeeToken, LyingToken, PlainToken, SilentToken} from "./utils/OddTokens.sol";

/// @title Tokens that are not what they should be
/// @dev Each test puts the odd token in the place of the fixture's dollar.
contract OddTokenTest is Fixture {
    uint256 internal constant SUM = 8 * uint256(CAP);

    function _use(address token) private {
        dollar = TestDollar(token);
        channels = new Channels(token, GRACE, address(0), address(0));
        PlainToken(token).mint(payer, 10 * SUM);
        vm.prank(payer);
        PlainToken(token).approve(address(channels), type(uint256).max);
    }

    function _openReverts(Deal memory deal, bytes memory expected) private {
        bytes memory data = abi.encodeCall(channels.open, (deal.descriptor));
        _sendReverts(payer, address(channels), data, expected);
    }

    function _mismatch(uint256 received) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IChannels.DepositMismatch.selector, SUM, received);
    }

    function test_C18_open_revertsIfTheTokenTakesAFee() public {
        _use(address(new FeeToken()));
        _openReverts(_deal(payer, _leaves(), 1), _mismatch(SUM - SUM / 100));
    }

    function test_C18_open_revertsIfTheTokenMovesNothing() public {
        _use(address(new LyingToken()));
        _openReverts(_deal(payer, _leaves(), 1), _mismatch(0));
    }

    function test_C18_open_revertsIfTheTokenReturnsFalse() public {
        FalseToken token = new FalseToken();
        _use(address(token));
        token.breakDown();
        bytes memory expected = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token));
        _openReverts(_deal(payer, _leaves(), 1), expected);
    }

    /// @dev Hermes ignores what `transfer` returns; then a channel says paid and nobody got anything.
    function test_C18_claim_andClose_revertIfTheTokenReturnsFalse() public {
        FalseToken token = new FalseToken();
        _use(address(token));
        Deal memory deal = _opened(1);
        token.breakDown();
        bytes memory expected = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token));
        bytes memory data =
            abi.encodeCall(channels.claim, (payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300)));
        _sendReverts(payee, address(channels), data, expected);
        _assertChannel(deal, PLACE, 0, 0);
        vm.warp(EXPIRY + GRACE);
        _sendReverts(payer, address(channels), _closeCall(deal, new ChannelRef[](0)), expected);
        _assertRoot(deal, RootState.Open, SUM);
    }

    function test_C18_aTokenWithoutReturnValuesWorks() public {
        SilentToken token = new SilentToken();
        dollar = TestDollar(address(token));
        channels = new Channels(address(token), GRACE, address(0), address(0));
        token.mint(payer, SUM);
        Deal memory deal = _opened(1);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300));
        vm.assertEq(token.balanceOf(payee), 300, "payee");
        vm.warp(EXPIRY + GRACE);
        channels.close(deal.descriptor, _listed(PLACE, payee));
        vm.assertEq(token.balanceOf(payer), SUM - 300, "payer");
    }

    /// @dev A payee or payer the token refuses harms itself alone, and nothing is lost: it works again when listed off.
    function test_aBlacklistedPayeeOrPayerHarmsNobodyElse() public {
        BlacklistToken token = new BlacklistToken();
        _use(address(token));
        Deal memory deal = _opened(1);
        bytes memory claim =
            abi.encodeCall(channels.claim, (payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300)));
        token.list(payee, true);
        _sendReverts(
            payee, address(channels), claim, abi.encodeWithSelector(BlacklistToken.Blacklisted.selector, payee)
        );
        channels.claim(deal.leaves[0].payee, _one(_activation(deal, 0)), _voucher(deal, 0, 200));

        vm.warp(EXPIRY + GRACE);
        token.list(payer, true);
        bytes memory close = _closeCall(deal, new ChannelRef[](0));
        _sendReverts(
            payer, address(channels), close, abi.encodeWithSelector(BlacklistToken.Blacklisted.selector, payer)
        );
        token.list(payee, false);
        _send(payee, address(channels), claim);
        vm.assertEq(token.balanceOf(payee), 300, "payee");
        token.list(payer, false);
        _send(payer, address(channels), close);
        _assertRoot(deal, RootState.Closed, 0);
    }

    /// @dev Tokens sent by mistake belong to nobody: they back no channel and no refund takes them.
    function test_tokensSentByMistakeChangeNothing() public {
        Deal memory deal = _opened(1);
        dollar.mint(address(channels), 777);
        vm.warp(EXPIRY + GRACE);
        vm.assertEq(channels.close(deal.descriptor, new ChannelRef[](0)), SUM, "the deposit and no more");
        vm.assertEq(dollar.balanceOf(address(channels)), 777, "still there");
    }
}
