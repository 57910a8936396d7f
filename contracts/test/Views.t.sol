// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    Channel,
    ChannelId,
    ChannelKey,
    FeeOrder,
    IChannels,
    Root,
    RootId,
    RootState
} from "../interfaces/IChannels.sol";
import {Channels} from "../src/Channels.sol";
import {TestDollar} from "../src/TestDollar.sol";
import {Deal, Fixture} from "./utils/Fixture.sol";

/// @title What can be read, how the contracts are set up, and the test dollar
contract ViewsTest is Fixture {
    function test_constructor_revertsIfTheTokenHasNoCode() public {
        try new Channels(stranger, GRACE, address(0), address(0)) {
            vm.assertTrue(false, "should have reverted");
        } catch (bytes memory reason) {
            vm.assertEq(
                reason,
                abi.encodeWithSelector(IChannels.TokenWithoutCode.selector, stranger),
                "reverted with another error"
            );
        }
    }

    function test_constructor_revertsIfTheGraceIsTooLong() public {
        new Channels(address(dollar), 30 days, address(0), address(0));
        try new Channels(address(dollar), 30 days + 1, address(0), address(0)) {
            vm.assertTrue(false, "should have reverted");
        } catch (bytes memory reason) {
            bytes memory expected = abi.encodeWithSelector(IChannels.GraceTooLong.selector, 30 days + 1, 30 days);
            vm.assertEq(reason, expected, "reverted with another error");
        }
    }

    function test_constants() public view {
        vm.assertEq(channels.token(), address(dollar), "token");
        vm.assertEq(channels.grace(), GRACE, "grace");
        vm.assertEq(channels.MAX_DEPTH(), 32, "depth");
        vm.assertEq(channels.MAX_LIFETIME(), 366 days, "lifetime");
        vm.assertEq(channels.parameters(), address(0), "an instance without parameters");
        vm.assertEq(channels.collector(), address(0), "nor anybody who collects");
    }

    function test_rootsOf_listsStates() public {
        (Deal memory a, Deal memory b) = (_opened(1), _deal(payer, _leaves(), 2));
        RootId[] memory ids = new RootId[](2);
        (ids[0], ids[1]) = (a.id, b.id);
        Root[] memory roots = channels.rootsOf(ids);
        vm.assertEq(uint256(roots[0].state), uint256(RootState.Open), "open");
        vm.assertEq(roots[0].remaining, 8 * CAP, "remaining");
        vm.assertEq(uint256(roots[1].state), uint256(RootState.None), "never opened");
    }

    function test_channelsOf_listsCapsAndPaid() public {
        Deal memory deal = _opened(1);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 300));
        ChannelId[] memory ids = new ChannelId[](2);
        ids[0] = ChannelId(deal.id, PLACE, payee, deal.descriptor.signer);
        ids[1] = ChannelId(deal.id, PLACE, payee, stranger);
        Channel[] memory list = channels.channelsOf(ids);
        vm.assertEq(list[0].cap, CAP, "cap");
        vm.assertEq(list[0].paid, 300, "paid");
        vm.assertEq(list[1].cap, 0, "another signer has no channel");
    }

    function test_hashHelpersAgreeWithTheSpecification() public view {
        Deal memory deal = _deal(payer, _leaves(), 1);
        vm.assertEq(channels.domainSeparator(), _domain(address(channels)), "domain");
        vm.assertEq(abi.encode(channels.rootIdOf(deal.descriptor)), abi.encode(deal.id), "root id");
        bytes32 leaf = keccak256(abi.encodePacked(payee, CAP, deal.leaves[PLACE].salt));
        vm.assertEq(channels.leafHash(payee, CAP, deal.leaves[PLACE].salt), leaf, "leaf");
        bytes32 pair = keccak256(abi.encodePacked(deal.id, bytes8(0), PLACE, payee));
        bytes32 key = keccak256(abi.encodePacked(pair, bytes12(0), stranger));
        vm.assertEq(ChannelKey.unwrap(channels.channelKeyOf(deal.id, PLACE, payee, stranger)), key, "channel key");
        bytes32 voucher = _voucherDigest(deal.id, PLACE, payee, 300);
        vm.assertEq(channels.voucherDigest(deal.id, PLACE, payee, 300), voucher, "voucher");
        FeeOrder memory order = FeeOrder({fee: 1, submitter: stranger, deadline: 2});
        bytes32 claimsHash = keccak256("claims");
        vm.assertEq(channels.feeOrderDigest(payee, claimsHash, order), _feeOrderDigest(payee, "claims", order), "fee");
        vm.assertEq(channels.openOrderDigest(deal.descriptor, 3), _openOrderDigest(deal.descriptor, 3), "open");
    }

    /// @dev A dust channel costs its payee the activation and nobody else anything: no loop grows with them.
    function test_C33_aClaimCostsTheSameBesideAThousandDustChannels() public {
        Deal memory deal = _opened(1);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 1));
        uint256 before = _gasOfClaim(deal, 2);
        for (uint64 nonce = 2; nonce < 1_002; ++nonce) {
            this.openDust(nonce);
        }
        vm.assertLe(_gasOfClaim(deal, 3), before + before / 20, "within five percent");
    }

    /// @notice One more root with an active channel for the payee. External, so that its memory is given back.
    function openDust(uint64 nonce) external {
        Deal memory dust = _opened(nonce);
        channels.claim(payee, _one(_activation(dust, PLACE)), "");
    }

    function _gasOfClaim(Deal memory deal, uint96 cumulative) private returns (uint256 used) {
        bytes memory data = abi.encodeCall(channels.claim, (payee, _none(), _voucher(deal, PLACE, cumulative)));
        used = gasleft();
        (bool ok,) = address(channels).call(data);
        used -= gasleft();
        vm.assertTrue(ok, "claimed");
    }

    function test_testDollar_isSixDecimalsAndLimited() public {
        vm.assertEq(dollar.decimals(), 6, "decimals");
        vm.assertEq(bytes(dollar.symbol()), "TUSD", "symbol");
        vm.assertEq(bytes(dollar.name()), "Test Dollar", "name");
        dollar.mint(stranger, 10_000e6);
        vm.assertEq(dollar.balanceOf(stranger), 10_000e6, "minted");
        bytes memory data = abi.encodeCall(dollar.mint, (stranger, 10_000e6 + 1));
        bytes memory expected = abi.encodeWithSelector(TestDollar.MintLimitExceeded.selector, 10_000e6 + 1, 10_000e6);
        _sendReverts(stranger, address(dollar), data, expected);
    }
}
