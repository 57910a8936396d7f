// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRegistry, Profile, Role, Thaw} from "../../interfaces/IRegistry.sol";
import {Registry} from "../../src/registry/Registry.sol";
import {StakeFixture} from "../utils/StakeFixture.sol";
import {Vm} from "../utils/Vm.sol";

/// @title Who may work, and how stake comes, earns and goes
contract StakingTest is StakeFixture {
    function test_seal_onceByTheDeployer() public {
        address[] memory judges = new address[](1);
        judges[0] = eve;
        bytes memory data = abi.encodeCall(registry.seal, (judges));
        _sendReverts(
            address(this), address(registry), data, abi.encodeWithSelector(IRegistry.CannotSeal.selector, this)
        );
        Registry fresh = new Registry(address(way), address(parameters), ann);
        _sendReverts(eve, address(fresh), data, abi.encodeWithSelector(IRegistry.CannotSeal.selector, eve));
        registry = fresh;
        _send(bob, address(registry), abi.encodeCall(registry.setProfile, (_profile(bob, Role.Provider))));
        _sendReverts(
            bob,
            address(registry),
            abi.encodeCall(registry.stake, (bob, 1)),
            abi.encodeWithSelector(IRegistry.NotSealed.selector)
        );
        _send(ann, address(fresh), data);
    }

    function test_constructor_needsCode() public {
        try new Registry(eve, address(parameters), ann) {
            vm.assertTrue(false, "a token without code");
        } catch (bytes memory reason) {
            vm.assertEq(reason, abi.encodeWithSelector(IRegistry.AddressWithoutCode.selector, eve), "token");
        }
        try new Registry(address(way), eve, ann) {
            vm.assertTrue(false, "parameters without code");
        } catch (bytes memory reason) {
            vm.assertEq(reason, abi.encodeWithSelector(IRegistry.AddressWithoutCode.selector, eve), "parameters");
        }
    }

    // --------------------------------------------------------------------------------------------------- profiles

    function test_setEndpoint_byOperatorsOnlyAndShort() public {
        bytes memory said = abi.encodeCall(registry.setEndpoint, ("node.example:443"));
        _sendReverts(dan, address(registry), said, abi.encodeWithSelector(IRegistry.OperatorUnknown.selector, dan));
        vm.recordLogs();
        _send(ann, address(registry), said);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 1, "one event");
        vm.assertEq(logs[0].topics[0], IRegistry.EndpointSet.selector, "EndpointSet");
        vm.assertEq(logs[0].topics[1], bytes32(uint256(uint160(ann))), "of its operator");
        vm.assertEq(bytes(abi.decode(logs[0].data, (string))), bytes("node.example:443"), "as it was said");
        string memory longest = string(new bytes(registry.MAX_ENDPOINT()));
        _send(ann, address(registry), abi.encodeCall(registry.setEndpoint, (longest)));
        string memory longer = string.concat(longest, "0");
        _sendReverts(
            ann,
            address(registry),
            abi.encodeCall(registry.setEndpoint, (longer)),
            abi.encodeWithSelector(IRegistry.EndpointTooLong.selector, 262)
        );
    }

    function _refuseProfile(Profile memory profile, bytes memory expected) private {
        _sendReverts(ann, address(registry), abi.encodeCall(registry.setProfile, (profile)), expected);
    }

    function test_setProfile_isCheckedAndCommissionOnlyFalls() public {
        bytes memory invalid = abi.encodeWithSelector(IRegistry.ProfileInvalid.selector);
        Profile memory profile = _profile(ann, Role.None);
        _refuseProfile(profile, invalid);
        profile = _profile(ann, Role.Provider);
        profile.payout = address(0);
        _refuseProfile(profile, invalid);
        profile = _profile(ann, Role.Provider);
        profile.commissionBps = 10_001;
        _refuseProfile(profile, invalid);
        profile.commissionBps = 1_001;
        _refuseProfile(profile, abi.encodeWithSelector(IRegistry.CommissionRaised.selector, 1_000, 1_001));
        profile.commissionBps = 999;
        _send(ann, address(registry), abi.encodeCall(registry.setProfile, (profile)));
        vm.assertEq(registry.profileOf(ann).commissionBps, 999, "lower is fine");
        profile = _profile(eve, Role.Provider);
        profile.commissionBps = 10_000;
        _send(eve, address(registry), abi.encodeCall(registry.setProfile, (profile)));
        vm.assertEq(registry.profileOf(eve).commissionBps, 10_000, "all of it, who begins so");
    }

    function test_isActive_ownBondCoversTheClaim() public {
        vm.assertTrue(registry.isActive(ann, Role.Provider), "in standing");
        vm.assertTrue(!registry.isActive(ann, Role.Prober), "not as prober");
        vm.assertTrue(!registry.isActive(eve, Role.Provider), "unknown");
        Profile memory profile = _profile(ann, Role.Both);
        profile.mbps = 10_001;
        _send(ann, address(registry), abi.encodeCall(registry.setProfile, (profile)));
        vm.assertEq(registry.bondRequired(ann), 10_001e18, "a token for each Mbps");
        vm.assertTrue(!registry.isActive(ann, Role.Provider), "the bond is one short");
        _stake(dan, ann, 1e18);
        vm.assertTrue(!registry.isActive(ann, Role.Provider), "and a delegator's does not count");
        _stake(ann, ann, 1e18);
        vm.assertTrue(registry.isActive(ann, Role.Provider) && registry.isActive(ann, Role.Prober), "both");
    }

    function _assertPlace(uint256 place, address expected) private view {
        (address prober,) = registry.proberAt(place);
        vm.assertEq(prober, expected, "who stands there");
    }

    function test_probers_areListedWhileInStandingAndNeverMove() public {
        _operator(dan, Role.Both, MINIMUM);
        _operator(eve, Role.Prober, MINIMUM);
        vm.assertEq(registry.proberPlaces(), 3, "bob, dan, eve");
        _unbond(bob, bob, _sharesOf(bob, bob), address(0));
        _assertPlace(0, address(0)); // bob left
        _assertPlace(1, dan);
        _slash(eve, 500);
        _assertPlace(2, address(0)); // eve's bond is too small now
        vm.roll(block.number + 5);
        _stake(bob, bob, MINIMUM);
        _assertPlace(2, bob); // in the place that was emptied last
        (, uint256 since) = registry.proberAt(2);
        vm.assertEq(since, block.number, "since now");
        _stake(eve, eve, MINIMUM);
        _assertPlace(0, eve);
        vm.assertEq(registry.proberPlaces(), 3, "no new place while there are empty ones");
        _assertPlace(1, dan);
    }

    // ------------------------------------------------------------------------------------------------------- keys

    function test_addKey_needsTheKeysOwnSignature() public {
        (bytes32 r, bytes32 vs) = _sign(0xFACE, registry.keyProofDigest(bob));
        address key = vm.addr(0xFACE);
        bytes memory data = abi.encodeCall(registry.addKey, (key, r, vs));
        _sendReverts(ann, address(registry), data, abi.encodeWithSelector(IRegistry.KeyNotProven.selector, key));
        _sendReverts(eve, address(registry), data, abi.encodeWithSelector(IRegistry.OperatorUnknown.selector, eve));
        _send(bob, address(registry), data);
        _sendReverts(bob, address(registry), data, abi.encodeWithSelector(IRegistry.KeyTaken.selector, key));
        vm.assertEq(registry.operatorOf(key), bob, "bob's");
        bytes memory zero = abi.encodeCall(registry.addKey, (address(0), 0, 0));
        _sendReverts(bob, address(registry), zero, abi.encodeWithSelector(IRegistry.KeyTaken.selector, address(0)));
    }

    function test_retireKey_onlyOnesOwn() public {
        bytes memory data = abi.encodeCall(registry.retireKey, (vm.addr(KEY)));
        bytes memory expected = abi.encodeWithSelector(IRegistry.KeyNotOwned.selector, vm.addr(KEY));
        _sendReverts(bob, address(registry), data, expected);
        vm.assertTrue(registry.keyActive(vm.addr(KEY)), "active");
        _send(ann, address(registry), data);
        vm.assertTrue(!registry.keyActive(vm.addr(KEY)), "retired");
        vm.assertTrue(!registry.keyActive(eve), "nobody's key");
    }

    // ------------------------------------------------------------------------------------------------------ stake

    function test_stake_refusals() public {
        bytes memory data = abi.encodeCall(registry.stake, (eve, 1));
        _sendReverts(dan, address(registry), data, abi.encodeWithSelector(IRegistry.OperatorUnknown.selector, eve));
        data = abi.encodeCall(registry.stake, (ann, 0));
        _sendReverts(dan, address(registry), data, abi.encodeWithSelector(IRegistry.AmountInvalid.selector, 0, 0));
    }

    function test_unbond_refusals() public {
        bytes memory data = abi.encodeCall(registry.unbond, (ann, 1, ann));
        _sendReverts(ann, address(registry), data, abi.encodeWithSelector(IRegistry.SameOperator.selector, ann));
        data = abi.encodeCall(registry.unbond, (ann, 1, eve));
        _sendReverts(ann, address(registry), data, abi.encodeWithSelector(IRegistry.OperatorUnknown.selector, eve));
        bytes4 amount = IRegistry.AmountInvalid.selector;
        data = abi.encodeCall(registry.unbond, (ann, 0, address(0)));
        _sendReverts(ann, address(registry), data, abi.encodeWithSelector(amount, 0, 10_000e18));
        data = abi.encodeCall(registry.unbond, (ann, 10_000e18 + 1, address(0)));
        _sendReverts(ann, address(registry), data, abi.encodeWithSelector(amount, 10_000e18 + 1, 10_000e18));
        _slash(ann, 5_000);
        data = abi.encodeCall(registry.unbond, (ann, 1, address(0)));
        _sendReverts(ann, address(registry), data, abi.encodeWithSelector(amount, 0, 0));
    }

    function test_release_endsOnceAndMovesOrPays() public {
        uint256 id = _unbond(ann, ann, 4_000e18, bob);
        (Thaw memory thaw, uint256 tokens) = registry.thawOf(id);
        vm.assertEq(thaw.owner, ann, "owner");
        vm.assertEq(tokens, 4_000e18, "worth");
        vm.assertEq(registry.totalStake(), 20_000e18, "thawing stake counts");
        vm.warp(START + UNBONDING);
        registry.release(id);
        vm.assertEq(_tokensOf(bob, ann), 4_000e18, "moved");
        vm.assertEq(registry.totalStake(), 20_000e18, "still staked");
        bytes memory data = abi.encodeCall(registry.release, (id));
        _sendReverts(ann, address(registry), data, abi.encodeWithSelector(IRegistry.ThawUnknown.selector, id));
    }

    function test_release_movesTheSmallestUnitToo() public {
        uint256 id = _unbond(ann, ann, 1, bob);
        vm.warp(START + UNBONDING);
        registry.release(id);
        vm.assertEq(_tokensOf(bob, ann), 1, "moved");
    }

    function test_release_toAnOperatorStruckOffGoesBackToTheOwner() public {
        uint256 id = _unbond(bob, bob, 4_000e18, ann);
        _send(reporter, address(registry), _report(_said(1, "a"), KEY, _said(1, "b"), KEY));
        vm.warp(START + UNBONDING);
        registry.release(id);
        vm.assertEq(registry.creditOf(bob), 4_000e18, "back");
        uint256 before = way.balanceOf(eve);
        _send(bob, address(registry), abi.encodeCall(registry.collect, (eve)));
        vm.assertEq(way.balanceOf(eve) - before, 4_000e18, "paid where the owner says");
        vm.assertEq(registry.creditOf(bob), 0, "once");
    }

    // ---------------------------------------------------------------------------------------------------- rewards

    function test_distribute_commissionThenProRata() public {
        _stake(dan, ann, 30_000e18);
        _send(eve, address(registry), abi.encodeCall(registry.distribute, (ann, 1_000e18)));
        vm.assertEq(registry.creditOf(ann), 100e18, "a tenth is commission");
        vm.assertEq(registry.rewardOf(ann, dan) + 1, 675e18, "three quarters of the rest, less dust");
        vm.assertEq(registry.rewardOf(ann, ann) + 1, 225e18, "one quarter, less dust");
        _stake(eve, ann, 40_000e18);
        vm.assertEq(registry.rewardOf(ann, eve), 0, "who comes later has no part");
        _send(dan, address(registry), abi.encodeCall(registry.claimRewards, (ann)));
        _send(dan, address(registry), abi.encodeCall(registry.claimRewards, (ann)));
        vm.assertEq(registry.creditOf(dan) + 1, 675e18, "claimed once");
        Profile memory profile = _profile(ann, Role.Provider);
        profile.payout = bob;
        _send(ann, address(registry), abi.encodeCall(registry.setProfile, (profile)));
        _send(ann, address(registry), abi.encodeCall(registry.claimRewards, (ann)));
        vm.assertEq(registry.creditOf(bob) + 1, 225e18, "the operator's own go to its payout address");
    }

    function test_distribute_toAnOperatorWithoutStakeIsAllCommission() public {
        _operator(eve, Role.Provider, 0);
        _send(dan, address(registry), abi.encodeCall(registry.distribute, (eve, 10e18)));
        vm.assertEq(registry.creditOf(eve), 10e18, "nobody else");
        bytes memory data = abi.encodeCall(registry.distribute, (dan, 1));
        _sendReverts(dan, address(registry), data, abi.encodeWithSelector(IRegistry.OperatorUnknown.selector, dan));
    }

    function test_views() public view {
        vm.assertEq(registry.token(), address(way), "token");
        vm.assertEq(
            registry.statementDigest(_said(3, "x")), _statementDigest(_said(3, "x")), "digest of the type's text"
        );
    }
}
