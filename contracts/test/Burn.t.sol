// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FeeOrder, IChannels, RootState} from "../interfaces/IChannels.sol";
import {IParameters} from "../interfaces/IParameters.sol";
import {Channels} from "../src/Channels.sol";
import {Parameters} from "../src/governance/Parameters.sol";
import {Economy} from "./utils/Economy.sol";
import {Deal} from "./utils/Fixture.sol";

/// @title The burn share of claims, and the pause of deposits
contract BurnTest is Economy {
    function test_claim_leavesTheBurnShare() public {
        Deal memory deal = _opened(1);
        vm.assertEq(
            channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 999)), 999, "newly paid"
        );
        vm.assertEq(dollar.balanceOf(payee), 999 - 99, "payee");
        (uint256 waiting, uint256 total) = channels.burnOf(payee);
        vm.assertEq(waiting, 99, "waiting");
        vm.assertEq(total, 99, "total");
        channels.claim(payee, _none(), _voucher(deal, PLACE, 1_999));
        (waiting, total) = channels.burnOf(payee);
        vm.assertEq(waiting, 199, "added up");
        vm.assertEq(dollar.balanceOf(payee), 900 + 900, "payee again");
        _assertChannel(deal, PLACE, CAP, 1_999);
    }

    function test_views_nameWhereTheShareComesFromAndGoes() public view {
        vm.assertEq(channels.parameters(), address(parameters), "parameters");
        vm.assertEq(channels.collector(), address(usage), "collector");
    }

    function test_claim_atTheBoundsOfTheShare() public {
        _vote("burnShare", 10_000);
        _claims(1, 1_000);
        vm.assertEq(dollar.balanceOf(payee), 0, "all of it burns");
        (uint256 waiting,) = channels.burnOf(payee);
        vm.assertEq(waiting, 1_000, "all waits");
        _vote("burnShare", 500);
        _claims(2, 1_000);
        vm.assertEq(dollar.balanceOf(payee), 950, "five percent");
    }

    function test_claimFor_theFeeComesOutOfWhatTheBurnShareLeaves() public {
        Deal memory deal = _opened(1);
        channels.claim(payee, _one(_activation(deal, PLACE)), "");
        bytes memory vouchers = _voucher(deal, PLACE, 1_000);
        FeeOrder memory order = FeeOrder({fee: 901, submitter: address(0), deadline: EXPIRY});
        (bytes32 r, bytes32 vs) = _sign(PAYEE_KEY, _feeOrderDigest(payee, vouchers, order));
        bytes memory call = abi.encodeCall(channels.claimFor, (payee, _none(), vouchers, order, r, vs));
        bytes memory expected = abi.encodeWithSelector(IChannels.FeeAboveAmount.selector, 901, 900);
        _sendReverts(stranger, address(channels), call, expected);
        order.fee = 900;
        (r, vs) = _sign(PAYEE_KEY, _feeOrderDigest(payee, vouchers, order));
        channels.claimFor(payee, _none(), vouchers, order, r, vs);
        vm.assertEq(dollar.balanceOf(address(this)), 900, "submitter");
        vm.assertEq(dollar.balanceOf(payee), 0, "payee");
    }

    /// @dev A share voted is in force when somebody copied it: claims before that are under the old one.
    function test_sync_copiesWhatWasVoted() public {
        _send(TIMELOCK, address(parameters), abi.encodeCall(IParameters.set, ("burnShare", 1_000, 2_000)));
        (uint16 share,) = channels.terms();
        vm.assertEq(share, 1_000, "not yet");
        _send(stranger, address(channels), abi.encodeCall(channels.sync, ()));
        (share,) = channels.terms();
        vm.assertEq(share, 2_000, "now");
    }

    /// @dev Parameters that fail, lie, or are gone: claims go on under the last share, and a lie takes no more than all.
    function test_claim_goesOnWhateverTheParametersDo() public {
        Deal memory deal = _opened(1);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 1_000));
        vm.etch(address(parameters), hex"fe");
        (bool ok,) = _try(stranger, address(channels), abi.encodeCall(channels.sync, ()));
        vm.assertTrue(!ok, "sync fails");
        channels.claim(payee, _none(), _voucher(deal, PLACE, 2_000));
        vm.assertEq(dollar.balanceOf(payee), 1_800, "under the last share");
        // Answers 2^256 - 1 to everything.
        vm.etch(address(parameters), hex"5f195f5260205ff3");
        channels.sync();
        channels.claim(payee, _none(), _voucher(deal, PLACE, 3_000));
        vm.assertEq(dollar.balanceOf(payee), 1_800, "all of it, and no more");
        vm.warp(uint256(EXPIRY) + GRACE);
        channels.close(deal.descriptor, _listed(PLACE, payee));
        _assertRoot(deal, RootState.Closed, 0);
        (uint256 waiting,) = channels.burnOf(payee);
        vm.assertEq(dollar.balanceOf(address(channels)), waiting, "what waits to burn is all that is left");
    }

    function test_claim_goesOnIfAuctionAndMintAreGone() public {
        Deal memory deal = _opened(1);
        vm.etch(address(auction), hex"fe");
        vm.etch(address(usage), hex"fe");
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 1_000));
        vm.assertEq(dollar.balanceOf(payee), 900, "paid");
    }

    function test_collectBurn_isTheMintsAlone() public {
        _claims(1, 1_000);
        bytes memory call = abi.encodeCall(channels.collectBurn, (_list(payee), stranger));
        bytes memory expected = abi.encodeWithSelector(IChannels.NotCollector.selector, stranger);
        _sendReverts(stranger, address(channels), call, expected);
        _send(address(usage), address(channels), call);
        vm.assertEq(dollar.balanceOf(stranger), 100, "sent");
        (uint256[] memory amounts, uint256 sum) =
            abi.decode(_send(address(usage), address(channels), call), (uint256[], uint256));
        vm.assertEq(dollar.balanceOf(stranger), 100, "once");
        vm.assertEq(amounts[0] + sum, 0, "and nothing is said to be left");
        (uint256 waiting, uint256 total) = channels.burnOf(payee);
        vm.assertEq(waiting, 0, "nothing waits");
        vm.assertEq(total, 100, "total stays");
    }

    function test_collectBurn_countsAPayeeNamedTwiceOnce() public {
        _claims(1, 1_000);
        address[] memory twice = new address[](2);
        (twice[0], twice[1]) = (payee, payee);
        usage.collect(0, twice);
        vm.assertEq(dollar.balanceOf(address(auction)), 100, "once");
        (uint256 own, uint256 all) = usage.weightOf(0, 0, payee);
        vm.assertEq(own, 100, "own");
        vm.assertEq(all, 100, "all");
    }

    /// @dev C36: the guardian stops deposits for a week. Nothing stops anybody from leaving.
    function test_C36_pauseStopsDepositsOnly() public {
        Deal memory deal = _opened(1);
        _send(GUARDIAN, address(parameters), abi.encodeCall(IParameters.pauseDeposits, ()));
        channels.sync();
        Deal memory next = _deal(payer, _leaves(), 2);
        bytes memory expected = abi.encodeWithSelector(IChannels.DepositsPausedUntil.selector, START + 7 days);
        _sendReverts(payer, address(channels), abi.encodeCall(channels.open, (next.descriptor)), expected);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 1_000));
        usage.collect(0, _list(payee));
        vm.warp(uint256(EXPIRY) + GRACE);
        _send(GUARDIAN, address(parameters), abi.encodeCall(IParameters.pauseDeposits, ()));
        channels.sync();
        _send(payer, address(channels), _closeCall(deal, _listed(PLACE, payee)));
        vm.assertEq(dollar.balanceOf(address(channels)), 0, "everybody left");
    }

    /// @dev A pause ends by itself, even if parameters and guardian are gone, and whatever they say.
    function test_pause_endsByItself() public {
        vm.etch(address(parameters), hex"5f195f5260205ff3");
        channels.sync();
        Deal memory deal = _deal(payer, _leaves(), 1);
        bytes memory open = abi.encodeCall(channels.open, (deal.descriptor));
        bytes memory expected = abi.encodeWithSelector(IChannels.DepositsPausedUntil.selector, START + 7 days);
        _sendReverts(payer, address(channels), open, expected);
        vm.etch(address(parameters), hex"fe");
        vm.warp(START + 7 days);
        _send(payer, address(channels), open);
    }

    function test_anInstanceWithoutParametersBurnsNothing() public {
        channels = new Channels(address(dollar), GRACE, address(0), address(0));
        channels.sync();
        _fund(payer);
        _claims(1, 1_000);
        vm.assertEq(dollar.balanceOf(payee), 1_000, "all of it");
    }

    /// @dev The parts of a claim add up to the claim, for any amount, share and fee.
    function testFuzz_C32_partsOfAClaimAddUp(uint96 amount, uint256 share, uint96 fee) public {
        amount = uint96(_bound(amount, 1, CAP));
        share = _bound(share, 500, 10_000);
        _vote("burnShare", share);
        uint256 left = amount - uint256(amount) * share / 10_000;
        fee = uint96(_bound(fee, 0, left));
        Deal memory deal = _opened(1);
        channels.claim(payee, _one(_activation(deal, PLACE)), "");
        bytes memory vouchers = _voucher(deal, PLACE, amount);
        FeeOrder memory order = FeeOrder({fee: fee, submitter: address(0), deadline: EXPIRY});
        (bytes32 r, bytes32 vs) = _sign(PAYEE_KEY, _feeOrderDigest(payee, vouchers, order));
        vm.prank(stranger);
        channels.claimFor(payee, _none(), vouchers, order, r, vs);
        (uint256 waiting,) = channels.burnOf(payee);
        vm.assertEq(dollar.balanceOf(payee) + dollar.balanceOf(stranger) + waiting, amount, "the whole");
        vm.assertEq(dollar.balanceOf(stranger), fee, "fee");
        vm.assertEq(waiting, uint256(amount) * share / 10_000, "share");
    }
}
