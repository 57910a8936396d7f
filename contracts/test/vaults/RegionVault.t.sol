// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegionVault} from "../../src/vaults/RegionVault.sol";
import {VaultFixture} from "../utils/VaultFixture.sol";

/// @title What a vault pays, takes back and owes
contract RegionVaultTest is VaultFixture {
    // ----------------------------------------------------------------------------------------- economics.md 4.5

    /// @dev The worked example, to the cent: fees in millionths from the vectors, five nodes more each month to fifty.
    function test_VLT1_coldStartToTheCent() public {
        string memory json = vm.readFile("../test/vectors/economy.json");
        uint256[] memory fees = vm.parseJsonUintArray(json, ".VLT1.fees");
        vault = _newVault(vm.parseJsonUint(json, ".VLT1.floor"));
        _deposit(dan, 2_000e6);
        uint256 selfFunding = type(uint256).max;
        for (uint256 month = 0; month < fees.length; ++month) {
            uint256 before = vault.subsidised();
            uint256 nodes = 5 + 5 * month > 50 ? 50 : 5 + 5 * month;
            _earn(ann, fees[month]);
            _settle(month, vault.nodes(), nodes);
            uint256 subsidy = vault.subsidised() - before;
            if (month == 0) vm.assertEq(_cents(subsidy), 4_795, "first month: 47.95");
            if (month == 5) vm.assertEq(_cents(subsidy), 22_346, "peak: 223.46");
            if (subsidy == 0 && selfFunding == type(uint256).max) selfFunding = month;
        }
        vm.assertEq(_cents(vault.subsidised()), 133_410, "subsidy: 1,334.10");
        vm.assertEq(_cents(vault.returned()), 200_115, "returned: 2,001.15");
        vm.assertEq(selfFunding, 9, "self-funding from month 9");
        vm.assertEq(vault.totalAssets(), 2_000e6 + vault.returned() - vault.subsidised(), "the investors' gain");
    }

    function _cents(uint256 amount) private pure returns (uint256) {
        return (amount + 5_000) / 10_000;
    }

    // -------------------------------------------------------------------------------------------------- C31: ERC-4626

    /// @dev Golden V4626: deposit 1, donate 1,000,000, the victim deposits 999,999.
    function test_C31_theFirstDepositorsAttackCostsTheAttacker() public {
        _deposit(eve, 1);
        vm.prank(eve);
        dollar.transfer(address(vault), 1_000_000);
        _deposit(dan, 999_999);
        uint256 victim = _leave(dan);
        uint256 attacker = _leave(eve);
        vm.assertEq(victim, 999_998, "the victim loses 1");
        vm.assertEq(attacker, 500_001, "the attacker 500,000");
    }

    function test_C31_aRoundTripNeverGains(uint256 seed) public {
        _deposit(eve, 1 + seed % 1e12);
        vm.prank(eve);
        dollar.transfer(address(vault), (seed >> 40) % 1e9);
        uint256 amount = 1 + (seed >> 80) % 1e12;
        uint256 preview = vault.previewDeposit(amount);
        uint256 shares = _deposit(dan, amount);
        vm.assertEq(shares, preview, "as previewed");
        vm.assertLe(vault.convertToAssets(shares), amount, "worth at most what was paid");
        if (shares != 0) vm.assertLe(_leave(dan), amount, "and so is the exit");
    }

    function test_withdrawAndRedeemAreClosed() public {
        _deposit(dan, 100e6);
        vm.assertEq(vault.maxWithdraw(dan) + vault.maxRedeem(dan), 0, "nothing at once");
        (bool ok,) = _try(dan, address(vault), abi.encodeCall(vault.redeem, (1, dan, dan)));
        vm.assertTrue(!ok, "redeem");
        (ok,) = _try(dan, address(vault), abi.encodeCall(vault.withdraw, (1, dan, dan)));
        vm.assertTrue(!ok, "withdraw");
        uint256 shares = 1e12;
        _send(dan, address(vault), abi.encodeCall(vault.mint, (shares, dan)));
        vm.assertEq(vault.decimals(), 12, "six more than the dollar");
    }

    // ----------------------------------------------------------------------------------------------------------- exit

    function test_serve_afterTheNoticeAndOnce() public {
        uint256 shares = _deposit(dan, 100e6);
        _send(dan, address(vault), abi.encodeCall(vault.requestRedeem, (shares)));
        uint256 readyAt = block.timestamp + PERIOD;
        vm.assertEq(vault.exitOf(0).readyAt, readyAt, "ready after the notice");
        bytes memory data = abi.encodeCall(vault.serve, (0));
        vm.warp(readyAt - 1);
        bytes memory early = abi.encodeWithSelector(RegionVault.ExitTooEarly.selector, readyAt);
        _sendReverts(eve, address(vault), data, early);
        vm.warp(readyAt);
        _send(eve, address(vault), data);
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.ExitUnknown.selector, 0));
        vm.assertEq(vault.creditOf(dan), 100e6, "all of it");
        data = abi.encodeCall(vault.requestRedeem, (0));
        _sendReverts(dan, address(vault), data, abi.encodeWithSelector(RegionVault.AmountZero.selector));
    }

    /// @dev C36 for investors: no committee, no provider, nobody else has to do anything.
    function test_C36_investorsLeaveWithinANoticeWhateverIsBroken() public {
        uint256 shares = _deposit(dan, 100e6);
        _deposit(eve, 50e6);
        for (uint256 i = 0; i < PROBERS; ++i) {
            _unbond(probers[i], probers[i], MINIMUM, address(0));
        }
        parameters.set("challengeWindow", 0);
        _send(dan, address(vault), abi.encodeCall(vault.requestRedeem, (shares)));
        vm.warp(block.timestamp + PERIOD);
        vault.serve(0);
        uint256 before = dollar.balanceOf(dan);
        _send(dan, address(vault), abi.encodeCall(vault.collect, ()));
        vm.assertEq(dollar.balanceOf(dan) - before, 100e6, "out");
    }

    /// @dev Who asks to leave before a bad month still pays for it, as who stays does.
    function test_serve_sharesTheLossesUntilThen() public {
        uint256 shares = _deposit(dan, 1_000e6);
        _deposit(eve, 1_000e6);
        _send(dan, address(vault), abi.encodeCall(vault.requestRedeem, (shares)));
        _settle(0, 0, 10);
        vm.assertEq(vault.subsidised(), 120e6, "ten floors");
        vault.serve(0);
        vm.assertEq(vault.creditOf(dan), 940e6, "half of the loss");
    }

    // ------------------------------------------------------------------------------------------------------ providers

    function test_settle_dryVaultPaysWhatItHas() public {
        _deposit(dan, 50e6);
        _settle(0, 0, 10);
        vm.assertEq(vault.subsidised(), 50e6, "all there was");
        vm.assertEq(vault.totalAssets(), 0, "and nothing below");
        _settle(1, 10, 10);
        vm.assertEq(vault.subsidised(), 50e6, "and no more");
    }

    function test_settle_subsidiesAreEqualAndForThoseThere() public {
        _deposit(dan, 1_000e6);
        _settle(0, 0, 2);
        _settle(1, 2, 3);
        vm.assertEq(vault.creditOf(_node(0)), 24e6, "two months");
        vm.assertEq(vault.creditOf(_node(2)), 12e6, "one");
        _settle(2, 3, 1);
        vm.assertEq(vault.creditOf(_node(2)), 12e6, "who left earns nothing more");
        vm.assertEq(vault.creditOf(_node(0)), 36e6, "who stayed does");
        _send(_node(0), address(vault), abi.encodeCall(vault.collect, ()));
        _send(_node(0), address(vault), abi.encodeCall(vault.collect, ()));
        vm.assertEq(dollar.balanceOf(_node(0)), 36e6, "paid once");
    }

    function test_fees_comeBackLessTheShare() public {
        _deposit(dan, 1_000e6);
        _settle(0, 0, 10);
        _earn(ann, 160e6);
        _earn(bob, 40e6);
        _settle(1, 10, 10);
        // 200 against a floor of 120: a quarter of 80.
        vm.assertEq(vault.returned(), 20e6, "a quarter of the excess");
        vault.collectFees(1, ann);
        vault.collectFees(1, ann);
        vault.collectFees(1, bob);
        vm.assertEq(vault.creditOf(ann), 144e6, "her fees less a tenth, once");
        vm.assertEq(vault.creditOf(bob), 36e6, "his too");
        vm.assertEq(vault.collectFees(0, ann), 0, "nothing in a period without fees");
        bytes memory data = abi.encodeCall(vault.collectFees, (2, ann));
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.NotSettled.selector, 2));
    }

    function test_lapse_feesComeBackWithoutACommittee() public {
        _deposit(dan, 1_000e6);
        _earn(ann, 500e6);
        uint256 late = START + 3 * PERIOD;
        vm.warp(late - 1);
        bytes memory data = abi.encodeCall(vault.lapse, ());
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.PeriodNotOver.selector, 0));
        vm.warp(late);
        _send(eve, address(vault), data);
        vm.assertEq(vault.collectFees(0, ann), 500e6, "all of them");
    }

    function test_views_ofPeriodsAndCommittees() public {
        vm.warp(START - 1);
        vm.assertEq(vault.periodNow(), 0, "before the first");
        vm.warp(START + 2 * PERIOD - 1);
        vm.assertEq(vault.periodNow(), 1, "the last second of the second");
        vm.assertEq(vault.labelOf(1), keccak256(abi.encode(keccak256("nodes"), 1)), "label of the second");
        _deposit(dan, 100e6);
        _settle(0, 0, 2);
        _settle(1, 2, 2);
        vm.assertEq(vault.creditOf(_node(0)), 2 * FLOOR, "two periods' floor, not booked yet");
        vm.assertEq(vault.creditOf(_node(5)), 0, "no provider");
    }

    function test_settle_refusals() public {
        _deposit(dan, 1_000e6);
        address[] memory none = new address[](0);
        bytes32[2][] memory unsigned = new bytes32[2][](0);
        bytes memory data = abi.encodeCall(vault.settle, (0, none, none, 0, unsigned));
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.PeriodNotOver.selector, 0));
        vm.warp(START + PERIOD);
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.NoQuorum.selector));
        data = abi.encodeCall(vault.settle, (1, none, none, 0, unsigned));
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.PeriodNotNext.selector, 1, 0));
        address[] memory twice = new address[](2);
        (twice[0], twice[1]) = (ann, ann);
        bytes32 topic = _committeeOf();
        data = _settlement(topic, 0, twice, none);
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.NodeUnchanged.selector, ann));
        data = _settlement(topic, 0, none, twice);
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.NodeUnchanged.selector, ann));
        data = abi.encodeCall(vault.earn, (ann, 0));
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.AmountZero.selector));
        try new RegionVault(address(dollar), address(committee), "x", 1, START, 0) {
            vm.assertTrue(false, "no period");
        } catch (bytes memory reason) {
            vm.assertEq(reason, abi.encodeWithSelector(RegionVault.VaultInvalid.selector), "period");
        }
    }

    function test_settle_tooManyNodes() public {
        address[] memory came = new address[](1_001);
        for (uint256 i = 0; i < came.length; ++i) {
            came[i] = _node(i);
        }
        vm.warp(START + PERIOD);
        bytes32 topic = _committeeOf();
        bytes memory data = _settlement(topic, 0, came, new address[](0));
        _sendReverts(eve, address(vault), data, abi.encodeWithSelector(RegionVault.TooManyNodes.selector, 1_001));
        assembly ("memory-safe") {
            mstore(came, 1000)
        }
        _send(eve, address(vault), _settlement(topic, 0, came, new address[](0)));
        vm.assertEq(vault.nodes(), 1_000, "as many as there may be");
    }

    function test_tokensThatTakeAFeeAreRefused() public {
        dollar.setFee(1);
        bytes memory expected = abi.encodeWithSelector(RegionVault.DepositMismatch.selector, 100e6, 100e6 - 1);
        _sendReverts(dan, address(vault), abi.encodeCall(vault.deposit, (100e6, dan)), expected);
        _sendReverts(dan, address(vault), abi.encodeCall(vault.earn, (ann, 100e6)), expected);
    }

    /// @dev Random months, deposits and exits: what is owed to others is always there beside the investors' assets.
    /// forge-config: default.fuzz.runs = 300
    /// forge-config: quick.fuzz.runs = 32
    function test_solvency_overRandomMonths(uint256 seed) public {
        _deposit(dan, 1_000e6);
        uint256 nodes;
        for (uint256 month = 0; month < 12; ++month) {
            seed = uint256(keccak256(abi.encode(seed)));
            if (seed & 1 << 200 != 0) _earn(ann, 1 + seed % 400e6);
            if (seed & 1 << 201 != 0) _deposit(eve, 1 + (seed >> 60) % 500e6);
            uint256 next = (seed >> 100) % 8;
            _settle(month, nodes, next);
            nodes = next;
            vault.collectFees(month, ann);
            if (seed & 1 << 202 != 0 && vault.balanceOf(eve) != 0) _leave(eve);
            uint256 owedToAll = vault.creditOf(ann) + vault.creditOf(dan) + vault.creditOf(eve);
            for (uint256 i = 0; i < 8; ++i) {
                owedToAll += vault.creditOf(_node(i));
            }
            vm.assertLe(owedToAll, vault.owed(), "at most what is set aside");
            vm.assertLe(vault.owed(), dollar.balanceOf(address(vault)), "which is there");
            vm.assertLe(2 * vault.returned(), 3 * vault.subsidised(), "at most one and a half times back");
        }
    }
}
