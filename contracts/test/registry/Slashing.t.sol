// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IRegistry, Role, Statement} from "../../interfaces/IRegistry.sol";
import {Registry} from "../../src/registry/Registry.sol";
import {StakeFixture, TestToken} from "../utils/StakeFixture.sol";

/// @title A token that calls back while it is burnt
contract HookedToken is TestToken {
    address private _target;
    bytes private _data;
    bool public worked;

    function arm(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function burn(uint256 amount) public override {
        if (_target != address(0)) (worked,) = _target.call(_data);
        super.burn(amount);
    }
}

/// @title Faults, and every way around paying for them
contract SlashingTest is StakeFixture {
    function _equivocation() private view returns (bytes memory) {
        return _report(_said(7, "5 MB"), KEY, _said(7, "6 MB"), KEY);
    }

    // --------------------------------------------------------------------------------- C20: leaving before a slash

    function _unbondedAll(address to) private returns (uint256 id) {
        _stake(dan, ann, 10_000e18);
        id = _unbond(dan, ann, _sharesOf(ann, dan), to);
    }

    function _slashAt(uint256 time, address to, uint256 expected) private {
        uint256 id = _unbondedAll(to);
        vm.warp(time);
        _slash(ann, 500);
        (, uint256 left) = registry.thawOf(id);
        vm.assertEq(left, expected, "the thawing stake after 5 %");
    }

    function test_C20_thawingStakeIsSlashedOneSecondBeforeItsRelease() public {
        _slashAt(START + UNBONDING - 1, address(0), 9_500e18);
    }

    function test_C20_thawingStakeIsSlashedInTheSecondOfItsRelease() public {
        _slashAt(START + UNBONDING, address(0), 9_500e18);
    }

    function test_C20_stakeThatWasNotReleasedIsSlashedAfterIt() public {
        _slashAt(START + UNBONDING + 1, address(0), 9_500e18);
    }

    function test_C20_nobodyIsReleasedBeforeTheTime() public {
        uint256 id = _unbondedAll(address(0));
        vm.warp(START + UNBONDING - 1);
        _sendReverts(
            dan,
            address(registry),
            abi.encodeCall(registry.release, (id)),
            abi.encodeWithSelector(IRegistry.ThawTooEarly.selector, START + UNBONDING)
        );
        vm.warp(START + UNBONDING);
        registry.release(id);
        vm.assertEq(registry.creditOf(dan), 10_000e18, "released in full");
    }

    function test_C20_stakeThatMovesAnswersForItsOldOperator() public {
        uint256 id = _unbondedAll(bob);
        vm.assertEq(_tokensOf(bob, dan), 0, "not there yet");
        vm.warp(START + UNBONDING - 1);
        (bool ok,) = _try(dan, address(registry), abi.encodeCall(registry.release, (id)));
        vm.assertTrue(!ok, "a move waits like a withdrawal");
        _slash(ann, 500);
        _slash(bob, 5_000);
        vm.warp(START + UNBONDING);
        registry.release(id);
        vm.assertEq(_tokensOf(bob, dan), 9_500e18, "slashed with the old operator, not with the new one");
    }

    function test_C20_aLowerUnbondingTimeDoesNotHurryWhoLeftBefore() public {
        uint256 id = _unbondedAll(address(0));
        parameters.set("unbonding", 0);
        vm.assertEq(registry.unbondingSeconds(), registry.MIN_UNBONDING(), "bounded below");
        vm.warp(START + UNBONDING - 1);
        (bool ok,) = _try(dan, address(registry), abi.encodeCall(registry.release, (id)));
        vm.assertTrue(!ok, "the old time still holds");
        parameters.set("unbonding", 1_000 days);
        vm.assertEq(registry.unbondingSeconds(), registry.MAX_UNBONDING(), "and above");
    }

    // --------------------------------------------------------------------------- C21: slashing oneself, and twice

    function test_C21_whoReportsHimselfLosesHalfAtLeast() public {
        parameters.set("reporterShare", 10_000);
        uint256 supply = way.totalSupply();
        _send(ann, address(registry), _equivocation());
        vm.assertEq(registry.creditOf(ann), 5_000e18, "half comes back");
        vm.assertEq(supply - way.totalSupply(), 5_000e18, "half is burnt");
    }

    function test_C21_anOperatorCannotStandInTheWay() public {
        // The operator is a contract without code paths for anything: nothing of it is called.
        vm.etch(ann, hex"fe");
        _send(reporter, address(registry), _equivocation());
        (uint256 bonded,) = registry.stakeOf(ann);
        vm.assertEq(bonded, 0, "all gone");
        vm.assertEq(registry.creditOf(reporter), 5_000e18, "the reporter's share");
    }

    function test_C21_oneFaultIsPunishedOnce() public {
        _send(reporter, address(registry), _equivocation());
        bytes32 place = keccak256(abi.encode(RECEIPT, keccak256("session"), uint64(7)));
        bytes32 fault = keccak256(abi.encode(vm.addr(KEY), place));
        bytes memory known = abi.encodeWithSelector(IRegistry.FaultKnown.selector, fault);
        _sendReverts(reporter, address(registry), _equivocation(), known);
        // Neither does another pair at that place, in either order.
        bytes memory other = _report(_said(7, "7 MB"), KEY, _said(7, "5 MB"), KEY);
        _sendReverts(reporter, address(registry), other, known);
    }

    function test_C21_noSecondSlashFromInsideOne() public {
        HookedToken token = new HookedToken();
        registry = new Registry(address(token), address(parameters), address(this));
        _seal(address(token));
        token.mint(ann, 20_000e18);
        vm.prank(ann);
        token.approve(address(registry), type(uint256).max);
        _operator(ann, Role.Provider, 10_000e18);
        token.arm(address(registry), abi.encodeCall(registry.slash, (ann, 5_000, reporter, "again")));
        _send(address(token), address(registry), abi.encodeCall(registry.slash, (ann, 500, reporter, "audit")));
        vm.assertTrue(!token.worked(), "the inner slash was refused");
        (uint256 bonded,) = registry.stakeOf(ann);
        vm.assertEq(bonded, 9_500e18, "slashed once");
    }

    function test_C21_noDustIsStuck(uint256 seed) public {
        _stake(dan, ann, 1 + seed % 1e20);
        _stake(eve, ann, 1 + (seed >> 40) % 1e20);
        uint256 supply = way.totalSupply();
        uint256 taken = _slash(ann, 1 + (seed >> 80) % 9_999);
        vm.assertEq(
            supply - way.totalSupply() + registry.creditOf(reporter), taken, "burnt and rewarded: what was taken"
        );
        uint256[3] memory ids;
        address[3] memory owners = [ann, dan, eve];
        for (uint256 i = 0; i < 3; ++i) {
            if (_tokensOf(ann, owners[i]) != 0) {
                ids[i] = _unbond(owners[i], ann, _sharesOf(ann, owners[i]), address(0));
            }
        }
        vm.warp(START + UNBONDING);
        for (uint256 i = 0; i < 3; ++i) {
            if (ids[i] != 0) registry.release(ids[i]);
        }
        (uint256 bonded, uint256 thawing) = registry.stakeOf(ann);
        // A share that is worth less than one unit cannot be taken out alone.
        vm.assertLe(bonded + thawing, 2, "what is left behind");
    }

    // ----------------------------------------------------------------- C22: nothing to slash, and nothing left over

    function test_C22_aSlashOfNothingTakesNothing() public {
        vm.assertEq(_slash(eve, 10_000), 0, "an account that never staked");
        _operator(eve, Role.Provider, 0);
        vm.assertEq(_slash(eve, 10_000), 0, "an operator without stake");
        vm.assertEq(_slash(ann, 0), 0, "no part of a stake");
    }

    function test_C22_twoSlashesInOneBlockAddUp() public {
        vm.assertEq(_slash(ann, 500), 500e18, "5 %");
        vm.assertEq(_slash(ann, 500), 475e18, "5 % of the rest");
        vm.assertEq(_slash(ann, 10_000), 9_025e18, "all of the rest");
        vm.assertEq(_slash(ann, 10_000), 0, "and no more");
        vm.assertEq(registry.totalStake(), 10_000e18, "the other operator's");
    }

    function test_C22_afterATotalSlashRewardsExitAndNewStakeWork() public {
        _stake(dan, ann, 10_000e18);
        vm.prank(eve);
        registry.distribute(ann, 100e18);
        uint256 id = _unbond(dan, ann, _sharesOf(ann, dan) / 2, address(0));
        _slash(ann, 10_000);
        vm.assertEq(_tokensOf(ann, dan), 0, "bonded stake is gone");
        _send(dan, address(registry), abi.encodeCall(registry.claimRewards, (ann)));
        vm.assertEq(registry.creditOf(dan) + 1, 45e18, "what was earned before is paid, less dust");
        vm.warp(START + UNBONDING);
        vm.assertEq(registry.release(id), 0, "thawing stake is gone, and the release ends");

        vm.assertEq(_stake(eve, ann, 5e18), 5e18, "new stake starts at one token a share");
        vm.assertEq(_tokensOf(ann, dan), 0, "old shares have no part in it");
        vm.assertEq(_unbond(eve, ann, 5e18, address(0)), 2, "and it can leave");
        vm.assertEq(registry.rewardOf(ann, dan), 0, "nothing is paid twice");
    }

    function test_C22_aSlashThatLeavesDustEmptiesThePool() public {
        _slash(ann, 9_999);
        _slash(ann, 9_999);
        (uint256 bonded,) = registry.stakeOf(ann);
        vm.assertEq(bonded, 0.0001e18, "a hundred-millionth is left");
        _slash(ann, 9_999);
        (bonded,) = registry.stakeOf(ann);
        vm.assertEq(bonded, 0, "what would be too little to share is gone");
        vm.assertEq(_stake(ann, ann, 1e18), 1e18, "and the pool begins anew");
    }

    // --------------------------------------------------------------------------------------------- equivocation

    function test_equivocation_takesAllAndStrikesOff() public {
        _stake(dan, ann, 2_000e18);
        _unbond(dan, ann, 1_000e18, address(0));
        uint256 supply = way.totalSupply();
        _send(reporter, address(registry), _equivocation());
        vm.assertEq(supply - way.totalSupply(), 6_000e18, "half burnt");
        vm.assertEq(registry.creditOf(reporter), 6_000e18, "half to the reporter");
        vm.assertTrue(registry.struckOff(ann), "struck off");
        vm.assertTrue(!registry.isActive(ann, Role.Provider), "not in standing");
        vm.assertTrue(!registry.keyActive(vm.addr(KEY)), "its key signs nothing any more");
        bytes memory out = abi.encodeWithSelector(IRegistry.StruckOff.selector, ann);
        _sendReverts(dan, address(registry), abi.encodeCall(registry.stake, (ann, 1)), out);
        _sendReverts(ann, address(registry), abi.encodeCall(registry.setProfile, (_profile(ann, Role.Prober))), out);
    }

    function test_equivocation_aRetiredKeyStillAnswers() public {
        _send(ann, address(registry), abi.encodeCall(registry.retireKey, (vm.addr(KEY))));
        vm.assertTrue(!registry.keyActive(vm.addr(KEY)), "retired");
        _send(reporter, address(registry), _equivocation());
        vm.assertTrue(registry.struckOff(ann), "struck off all the same");
    }

    function _notEquivocation(Statement memory first, Statement memory second) private {
        bytes memory expected = abi.encodeWithSelector(IRegistry.NotEquivocation.selector);
        _sendReverts(reporter, address(registry), _report(first, KEY, second, KEY), expected);
    }

    function test_equivocation_nobodyIsFramedWithWhatAnHonestNodeSigns() public {
        Statement memory first = _said(7, "5 MB");
        _notEquivocation(first, first); // said twice
        _notEquivocation(first, _said(8, "6 MB")); // the next one
        Statement memory elsewhere = _said(7, "6 MB");
        elsewhere.stream = keccak256("another session");
        _notEquivocation(first, elsewhere);
        Statement memory another = _said(7, "6 MB");
        another.kind = keccak256("report");
        _notEquivocation(first, another);
    }

    function test_equivocation_bothByOneKeyOfAnOperator() public {
        uint256 other = 0xDECAF;
        _addKey(bob, other);
        (address a, address b) = (vm.addr(KEY), vm.addr(other));
        bytes memory data = _report(_said(7, "5 MB"), KEY, _said(7, "6 MB"), other);
        _sendReverts(reporter, address(registry), data, abi.encodeWithSelector(IRegistry.SignersDiffer.selector, a, b));
        address nobody = vm.addr(0xBAD);
        data = _report(_said(7, "5 MB"), 0xBAD, _said(7, "6 MB"), 0xBAD);
        bytes memory expected = abi.encodeWithSelector(IRegistry.SignersDiffer.selector, nobody, nobody);
        _sendReverts(reporter, address(registry), data, expected);
        // Signatures that recover to nobody are not two signatures of the operator without a name.
        bytes32[4] memory none;
        data = abi.encodeCall(registry.reportEquivocation, (_said(7, "5 MB"), _said(7, "6 MB"), none));
        expected = abi.encodeWithSelector(IRegistry.SignersDiffer.selector, address(0), address(0));
        _sendReverts(reporter, address(registry), data, expected);
    }

    /// @dev A voucher for one amount is one message, and a message of another domain: it recovers to a stranger here.
    function test_equivocation_aVoucherIsNoStatement() public {
        bytes32 kind = keccak256("Voucher(bytes32 rootId,uint32 index,address payee,uint96 cumulative)");
        Statement memory first = _said(7, "5 MB");
        Statement memory second = _said(7, "6 MB");
        bytes32[4] memory signatures;
        (signatures[0], signatures[1]) = _sign(KEY, keccak256(abi.encode(kind, bytes32("root"), 1, ann, 7)));
        (signatures[2], signatures[3]) = _sign(KEY, keccak256(abi.encode(kind, bytes32("root"), 1, bob, 7)));
        bytes memory data = abi.encodeCall(registry.reportEquivocation, (first, second, signatures));
        (bool ok,) = _try(reporter, address(registry), data);
        vm.assertTrue(!ok, "no proof");
        (ok,) = _try(reporter, address(registry), _equivocation());
        vm.assertTrue(ok, "while two statements are");
    }

    function test_equivocation_notOnAnotherChain() public {
        bytes memory data = _equivocation();
        vm.chainId(block.chainid + 1);
        (bool ok,) = _try(reporter, address(registry), data);
        vm.assertTrue(!ok, "signed for another chain");
    }

    // ---------------------------------------------------------------------------------------------------- verdicts

    function test_slash_onlyByAJudgeAndAtMostAll() public {
        bytes memory data = abi.encodeCall(registry.slash, (ann, 1, reporter, "audit"));
        _sendReverts(eve, address(registry), data, abi.encodeWithSelector(IRegistry.NotJudge.selector, eve));
        data = abi.encodeCall(registry.slash, (ann, 10_001, reporter, "audit"));
        bytes memory expected = abi.encodeWithSelector(IRegistry.AmountInvalid.selector, 10_001, 10_000);
        _sendReverts(judge, address(registry), data, expected);
    }

    function test_slash_delegatorsLoseProRata() public {
        _stake(dan, ann, 30_000e18);
        vm.assertEq(_slash(ann, 500), 2_000e18, "5 % of 40,000");
        vm.assertEq(_tokensOf(ann, dan), 28_500e18, "three quarters of the loss");
        vm.assertEq(_tokensOf(ann, ann), 9_500e18, "one quarter");
        vm.assertEq(registry.creditOf(reporter), 1_000e18, "half of it to the reporter");
    }

    /// @dev Three units thaw beside the bond: a ten-thousandth of them is one unit, not none.
    function test_slash_roundsAgainstTheOwnersOfEachPool() public {
        _stake(dan, ann, 3);
        _unbond(dan, ann, _sharesOf(ann, dan), address(0));
        (uint256 bonded, uint256 thawing) = registry.stakeOf(ann);
        vm.assertEq(bonded, 10_000e18, "bonded");
        vm.assertEq(thawing, 3, "thawing");
        vm.assertEq(_slash(ann, 1), 1e18 + 1, "of both");
        (, thawing) = registry.stakeOf(ann);
        vm.assertEq(thawing, 2, "one of three");
    }

    function test_slash_withoutAReporterBurnsAll() public {
        uint256 supply = way.totalSupply();
        vm.prank(judge);
        registry.slash(ann, 500, address(0), "audit");
        vm.assertEq(supply - way.totalSupply(), 500e18, "burnt");
        vm.assertEq(registry.creditOf(address(0)), 0, "nobody's credits");
    }

    /// @dev The Graph: 2.5 % of 100,000, half to who reported (golden GRT1).
    function test_slash_goldenGRT1() public {
        _stake(ann, ann, 90_000e18);
        vm.assertEq(_slash(ann, 250), 2_500e18, "2.5 %");
        vm.assertEq(registry.creditOf(reporter), 1_250e18, "to the reporter");
    }
}
