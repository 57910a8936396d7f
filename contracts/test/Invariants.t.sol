// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Channel, ChannelId, RootId} from "../interfaces/IChannels.sol";
import {Fixture} from "./utils/Fixture.sol";
import {Handler} from "./utils/Handler.sol";
import {Walk} from "./utils/Walk.sol";

/// @title What holds after any sequence of opens, claims, replays, closes and attacks
contract InvariantTest is Fixture, Walk {
    uint256 private constant PEOPLE = 3;
    uint256 private constant FUNDS = 100_000e6;

    Handler private handler;

    function setUp() public override {
        super.setUp();
        handler = new Handler(dollar, channels);
        _actions = [
            handler.open.selector,
            handler.claimFirst.selector,
            handler.claimBatch.selector,
            handler.claimWithFee.selector,
            handler.replay.selector,
            handler.close.selector,
            handler.attack.selector
        ];
    }

    function walker() public view override returns (address) {
        return address(handler);
    }

    /// @notice What one pass over all roots finds.
    struct Sums {
        uint256 owed;
        uint256[PEOPLE] owedTo;
        uint256[PEOPLE] signedBy;
        uint256[PEOPLE] signedFor;
    }

    /// @notice All rules after every call: a campaign for each would walk the same random path again.
    function invariant_moneyIsWhereItBelongs() public view {
        Sums memory sums;
        for (uint64 n = 1; n <= handler.roots(); ++n) {
            _addRoot(sums, n);
        }
        _escrowCoversAllCaps(sums);
        _payoutsRefundsAndEscrowAreTheDeposits();
        _nobodyGainsOrLosesMoreThanWasSigned(sums);
        vm.assertEq(handler.attacksThatWorked(), 0, "attacks that worked");
        vm.assertEq(handler.fell(), 0, "what a channel paid never falls");
    }

    /// @dev Also the rule of every single channel: paid is at most its cap and at most what was ever signed.
    function _addRoot(Sums memory sums, uint64 n) private view {
        (RootId id, uint256 owner, uint256[4] memory signed, ChannelId[] memory ids) = handler.bookOf(n);
        Channel[] memory list = channels.channelsOf(ids);
        uint256 owed = channels.rootOf(id).remaining;
        for (uint32 i = 0; i < list.length; ++i) {
            vm.assertLe(list[i].paid, signed[i], "paid, at most the signed maximum");
            vm.assertLe(list[i].paid, list[i].cap, "paid, at most the cap");
            owed += list[i].cap - list[i].paid;
            sums.signedBy[owner] += signed[i];
            sums.signedFor[handler.payeeAt(i)] += signed[i];
        }
        sums.owedTo[owner] += owed;
        sums.owed += owed;
    }

    /// @dev Every unit the contract owes is there, and every unit there is owed.
    function _escrowCoversAllCaps(Sums memory sums) private view {
        vm.assertEq(dollar.balanceOf(address(channels)), sums.owed, "escrow");
    }

    function _payoutsRefundsAndEscrowAreTheDeposits() private view {
        uint256 escrow = dollar.balanceOf(address(channels));
        vm.assertEq(handler.paidOut() + handler.refunded() + escrow, handler.deposited(), "conservation");
        uint256 payees = dollar.balanceOf(stranger);
        uint256 payers;
        for (uint256 i = 0; i < PEOPLE; ++i) {
            payees += dollar.balanceOf(handler.payees(i));
            payers += dollar.balanceOf(handler.payers(i));
        }
        vm.assertEq(payees, handler.paidOut(), "what payees and submitters hold");
        vm.assertEq(payers, PEOPLE * FUNDS - handler.deposited() + handler.refunded(), "what payers hold");
    }

    /// @dev A payer's money is with it, still owed to it, or promised by its own signature: there is no fourth place.
    function _nobodyGainsOrLosesMoreThanWasSigned(Sums memory sums) private view {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            vm.assertLe(dollar.balanceOf(handler.payees(i)), sums.signedFor[i], "payee, at most what was signed for it");
            uint256 safe = dollar.balanceOf(handler.payers(i)) + sums.owedTo[i] + sums.signedBy[i];
            vm.assertGe(safe, FUNDS, "payer, at least what it did not sign away");
        }
    }

    /// @dev Nothing stays behind: every unit is with somebody again.
    function _everybodyLeaves() internal override {
        handler.leave();
        vm.assertEq(dollar.balanceOf(address(channels)), 0, "exit: all money is out");
        vm.assertEq(handler.fell(), 0, "what a channel paid never falls");
    }
}
