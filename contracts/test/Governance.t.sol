// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";

import {IParameters} from "../interfaces/IParameters.sol";
import {Deployer} from "../src/Deployer.sol";
import {Governance} from "../src/governance/Governance.sol";
import {Parameters} from "../src/governance/Parameters.sol";
import {Timelock} from "../src/governance/Timelock.sol";
import {Way} from "../src/token/Way.sol";
import {Test} from "./utils/Test.sol";

/// @title From a proposal through votes and wait to a changed parameter, and what cannot be done
contract GovernanceTest is Test {
    uint256 private constant SUPPLY = 200_000_000e18;
    uint256 private constant DELAY = 1 days;
    uint256 private constant PERIOD = 5 days;
    uint256 private constant WAIT = 2 days;
    address private constant MINTER = address(0x317);

    Way private way;
    Timelock private timelock;
    Parameters private parameters;
    Governance private governance;
    /// @dev Ann holds 35 % of all WAY, Bob 20 %, Cid the rest, who never votes unless told.
    address private ann = address(0xA22);
    address private bob = address(0xB0B);
    address private cid = address(0xC1D);
    /// @dev The compiler may take block.timestamp for a constant within one call, so time is counted here.
    uint256 private time = 1_800_000_000;

    function setUp() public {
        vm.warp(time);
        way = new Way(MINTER, MINTER, address(this), SUPPLY);
        way.transfer(ann, SUPPLY * 35 / 100);
        way.transfer(bob, SUPPLY * 20 / 100);
        way.transfer(cid, SUPPLY * 45 / 100);
        address[3] memory people = [ann, bob, cid];
        for (uint256 i = 0; i < 3; ++i) {
            _send(people[i], address(way), abi.encodeCall(way.delegate, (people[i])));
        }
        Deployer deployer = new Deployer();
        timelock = new Timelock(WAIT, deployer.addressOf(address(this), "governance"));
        parameters = new Parameters(address(timelock), address(0));
        bytes memory args = abi.encode(way, timelock, parameters, DELAY, PERIOD, 100_000e18);
        governance =
            Governance(payable(deployer.deploy("governance", abi.encodePacked(type(Governance).creationCode, args))));
        _pass(1);
    }

    function _pass(uint256 secs) private {
        time += secs;
        vm.warp(time);
    }

    struct Text {
        address[] targets;
        uint256[] values;
        bytes[] calls;
    }

    function _text(address target, bytes memory call) private pure returns (Text memory text) {
        text.targets = new address[](1);
        text.values = new uint256[](1);
        text.calls = new bytes[](1);
        (text.targets[0], text.calls[0]) = (target, call);
    }

    function _change(bytes32 name, uint256 from, uint256 to) private view returns (Text memory) {
        return _text(address(parameters), abi.encodeCall(IParameters.set, (name, from, to)));
    }

    function _propose(address who, Text memory text) private returns (uint256) {
        bytes memory call = abi.encodeCall(governance.propose, (text.targets, text.values, text.calls, "why"));
        return abi.decode(_send(who, address(governance), call), (uint256));
    }

    function _cast(address who, uint256 id, bool inFavour) private {
        _send(who, address(governance), abi.encodeCall(governance.castVote, (id, inFavour ? 1 : 0)));
    }

    /// @notice Ann for, Bob against: 63.6 percent, more than half and less than two thirds.
    function _annAgainstBob(Text memory text) private returns (uint256 id) {
        id = _propose(ann, text);
        _pass(DELAY + 1);
        _cast(ann, id, true);
        _cast(bob, id, false);
        _pass(PERIOD);
    }

    function _queue(Text memory text) private {
        governance.queue(text.targets, text.values, text.calls, keccak256("why"));
    }

    function _execute(Text memory text) private {
        governance.execute(text.targets, text.values, text.calls, keccak256("why"));
    }

    function _executeCall(Text memory text) private pure returns (bytes memory) {
        return abi.encodeCall(IGovernor.execute, (text.targets, text.values, text.calls, keccak256("why")));
    }

    function _is(uint256 id, IGovernor.ProposalState expected) private view {
        vm.assertEq(uint256(governance.state(id)), uint256(expected), "state");
    }

    function test_aMajorityLowersIssuance() public {
        Text memory text = _change("remint", 9_000, 5_000);
        uint256 id = _annAgainstBob(text);
        _is(id, IGovernor.ProposalState.Succeeded);
        _queue(text);
        (bool ok,) = _try(ann, address(governance), _executeCall(text));
        vm.assertTrue(!ok, "not before the wait is over");
        vm.assertEq(parameters.get("remint"), 9_000, "not yet");
        _pass(WAIT);
        _execute(text);
        vm.assertEq(parameters.get("remint"), 5_000, "now");
        (ok,) = _try(ann, address(governance), _executeCall(text));
        vm.assertTrue(!ok, "once");
    }

    /// @dev Both ways of making it larger: more minted again, less burnt.
    function test_raisingIssuanceTakesTwoThirds() public {
        _is(_annAgainstBob(_change("burnShare", 1_000, 900)), IGovernor.ProposalState.Defeated);
        _is(_annAgainstBob(_change("remint", 8_000, 8_001)), IGovernor.ProposalState.Defeated);
        Text memory text = _change("burnShare", 1_000, 800);
        uint256 id = _propose(ann, text);
        _pass(DELAY + 1);
        _cast(ann, id, true);
        _cast(cid, id, true);
        _cast(bob, id, false);
        _pass(PERIOD);
        _is(id, IGovernor.ProposalState.Succeeded);
        _queue(text);
        _pass(WAIT);
        _execute(text);
        vm.assertEq(parameters.get("burnShare"), 800, "with eighty percent");
    }

    function test_whatIsNeitherTakesAMajority_andWhatCannotBeJudgedTwoThirds() public {
        _is(_annAgainstBob(_change("feeStep", 1_250, 2_500)), IGovernor.ProposalState.Succeeded);
        Text memory guardian = _text(address(parameters), abi.encodeCall(IParameters.setGuardian, (bob)));
        _is(_annAgainstBob(guardian), IGovernor.ProposalState.Succeeded);
        Text memory other = _text(address(way), abi.encodeCall(way.transfer, (ann, 1)));
        _is(_annAgainstBob(other), IGovernor.ProposalState.Defeated);
        // A change among others that raises issuance makes the whole need it.
        Text memory both = Text({targets: new address[](2), values: new uint256[](2), calls: new bytes[](2)});
        (both.targets[0], both.targets[1]) = (address(parameters), address(parameters));
        both.calls[0] = abi.encodeCall(IParameters.set, ("feeStep", 1_250, 2_000));
        both.calls[1] = abi.encodeCall(IParameters.set, ("remint", 8_000, 9_000));
        _is(_annAgainstBob(both), IGovernor.ProposalState.Defeated);
        vm.assertTrue(governance.mayRaiseIssuance(address(parameters), hex"00"), "too short to be judged");
    }

    /// @dev A third of all WAY must take part, whatever they say.
    function test_quorum_isAThirdOfAllWay() public {
        vm.assertEq(governance.quorum(time - 1), SUPPLY * 33 / 100, "quorum");
        Text memory text = _change("remint", 9_000, 5_000);
        uint256 id = _propose(ann, text);
        _pass(DELAY + 1);
        _cast(bob, id, true);
        _pass(PERIOD);
        _is(id, IGovernor.ProposalState.Defeated);
    }

    function test_views_areThoseOfTheConstructor() public {
        vm.assertEq(governance.votingDelay(), DELAY, "delay");
        vm.assertEq(governance.votingPeriod(), PERIOD, "period");
        vm.assertEq(governance.proposalThreshold(), 100_000e18, "threshold");
        uint256 id = _propose(ann, _change("remint", 9_000, 5_000));
        vm.assertTrue(governance.proposalNeedsQueuing(id), "every change waits");
        vm.assertTrue(
            governance.mayRaiseIssuance(address(parameters), abi.encodeCall(IParameters.pauseDeposits, ())),
            "other calls"
        );
        vm.assertTrue(
            governance.mayRaiseIssuance(address(parameters), abi.encodePacked(IParameters.set.selector)), "too short"
        );
    }

    function test_whatMoreAreAgainstIsDefeated() public {
        uint256 id = _propose(ann, _change("remint", 9_000, 5_000));
        _pass(DELAY + 1);
        _cast(ann, id, true);
        _cast(bob, id, false);
        _cast(cid, id, false);
        _pass(PERIOD);
        _is(id, IGovernor.ProposalState.Defeated);
    }

    /// @dev Who proposed may take it back before voting begins; nobody else, and not later.
    function test_cancel_byTheProposerBeforeTheVote() public {
        Text memory text = _change("remint", 9_000, 5_000);
        uint256 id = _propose(ann, text);
        bytes memory cancel =
            abi.encodeCall(governance.cancel, (text.targets, text.values, text.calls, keccak256("why")));
        (bool ok,) = _try(bob, address(governance), cancel);
        vm.assertTrue(!ok, "not another's");
        _send(ann, address(governance), cancel);
        _is(id, IGovernor.ProposalState.Canceled);
        text = _change("remint", 9_000, 4_000);
        _propose(ann, text);
        _pass(DELAY + 1);
        cancel = abi.encodeCall(governance.cancel, (text.targets, text.values, text.calls, keccak256("why")));
        (ok,) = _try(ann, address(governance), cancel);
        vm.assertTrue(!ok, "not once people vote");
    }

    function test_proposing_takesTheThreshold() public {
        Text memory text = _change("remint", 9_000, 5_000);
        bytes memory call = abi.encodeCall(governance.propose, (text.targets, text.values, text.calls, "why"));
        bytes memory expected =
            abi.encodeWithSelector(IGovernor.GovernorInsufficientProposerVotes.selector, address(0xD0E), 0, 100_000e18);
        _sendReverts(address(0xD0E), address(governance), call, expected);
    }

    /// @dev C24: whoever borrows half of all WAY within a block, or any time after the snapshot, has no vote.
    function test_C24_borrowedVotesCountForNothing() public {
        uint256 id = _propose(ann, _change("remint", 9_000, 5_000));
        _pass(DELAY + 1);
        address thief = address(0x7413F);
        _send(cid, address(way), abi.encodeCall(way.transfer, (thief, SUPPLY * 45 / 100)));
        _send(thief, address(way), abi.encodeCall(way.delegate, (thief)));
        _cast(thief, id, true);
        (, uint256 inFavour,) = governance.proposalVotes(id);
        vm.assertEq(inFavour, 0, "0 of 45 percent");
        _send(thief, address(way), abi.encodeCall(way.transfer, (cid, SUPPLY * 45 / 100)));
        _cast(cid, id, false);
        (uint256 against,,) = governance.proposalVotes(id);
        vm.assertEq(against, SUPPLY * 45 / 100, "who held them then votes");
    }

    /// @dev C23: nobody votes twice or for others, and all votes are at most all WAY.
    function test_C23_votesAreAtMostTheSupply() public {
        uint256 id = _propose(ann, _change("remint", 9_000, 5_000));
        _pass(DELAY + 1);
        address[3] memory people = [ann, bob, cid];
        for (uint256 i = 0; i < 3; ++i) {
            _cast(people[i], id, i % 2 == 0);
            (bool ok,) =
                _try(people[i], address(governance), abi.encodeCall(governance.castVote, (id, i % 2 == 0 ? 0 : 1)));
            vm.assertTrue(!ok, "once");
        }
        (uint256 against, uint256 inFavour, uint256 abstain) = governance.proposalVotes(id);
        vm.assertEq(against + inFavour + abstain, SUPPLY, "all of it");
    }

    function test_nobodyGoesAroundTheVote() public {
        bytes memory set = abi.encodeCall(IParameters.set, ("remint", 9_000, 5_000));
        _sendReverts(ann, address(parameters), set, abi.encodeWithSelector(IParameters.NotTimelock.selector, ann));
        bytes memory schedule =
            abi.encodeCall(timelock.schedule, (address(parameters), 0, set, bytes32(0), bytes32(0), WAIT));
        (bool ok,) = _try(ann, address(timelock), schedule);
        vm.assertTrue(!ok, "only the governor schedules");
        vm.assertTrue(!timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), address(this)), "no administrator is left");
    }

    /// @dev No vote takes the wait below two days.
    function test_theWaitCannotBeVotedAway() public {
        bytes memory shorter = abi.encodeCall(timelock.updateDelay, (WAIT - 1));
        bytes memory expected = abi.encodeWithSelector(Timelock.DelayTooShort.selector, WAIT - 1, WAIT);
        _sendReverts(address(timelock), address(timelock), shorter, expected);
        bytes memory longer = abi.encodeCall(timelock.updateDelay, (WAIT + 1));
        expected = abi.encodeWithSelector(TimelockController.TimelockUnauthorizedCaller.selector, ann);
        _sendReverts(ann, address(timelock), longer, expected);
        _send(address(timelock), address(timelock), longer);
        vm.assertEq(timelock.getMinDelay(), WAIT + 1, "longer it may get");
    }
}
