// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Role, Statement} from "../../interfaces/IRegistry.sol";
import {Audits} from "../../src/rewards/Audits.sol";
import {EpochRoots} from "../../src/rewards/EpochRoots.sol";
import {Committee} from "../../src/registry/Committee.sol";
import {StakeFixture} from "./StakeFixture.sol";

/// @title Seven probers, committees of four of them, and the contracts they judge by
contract CommitteeFixture is StakeFixture {
    uint256 internal constant PROBERS = 7;
    uint256 internal constant SIZE = 4;
    uint256 internal constant FIRST_KEY = 0x9B0B;
    uint256 internal constant EPOCH = 1 days;
    uint256 internal constant WINDOW = 1 days;
    uint256 internal constant BOND = 1_000e18;

    Committee internal committee;
    EpochRoots internal roots;
    Audits internal audits;
    address[PROBERS] internal probers;

    function setUp() public virtual override {
        super.setUp();
        for (uint256 i = 0; i < PROBERS; ++i) {
            probers[i] = address(uint160(0x9B000 + i));
            _fundWay(probers[i], 10_000e18);
            _operator(probers[i], Role.Prober, MINIMUM);
            _addKey(probers[i], FIRST_KEY + i);
        }
        vm.roll(block.number + 1);
        // Bob has no key here, and so no part in a committee.
        _unbond(bob, bob, _sharesOf(bob, bob), address(0));
    }

    /// @dev Runs before there is anybody: the judges are named once.
    function _seal(address first) internal override {
        parameters.set("rootBond", BOND / 1e18);
        parameters.set("challengeWindow", WINDOW);
        parameters.set("slashRoot", 5_000);
        parameters.set("slashAudit", 500);
        committee = new Committee(address(registry), SIZE);
        roots = new EpochRoots(address(way), address(committee), address(parameters), START, EPOCH);
        audits = new Audits(address(committee), address(parameters), START, EPOCH);
        address[] memory judges = new address[](3);
        (judges[0], judges[1], judges[2]) = (first, address(roots), address(audits));
        registry.seal(judges);
    }

    /// @notice Draws the committee that was summoned just now.
    function _draw(bytes32 topic) internal {
        vm.roll(block.number + committee.WAIT() + 1);
        committee.draw(topic);
    }

    function _keyOf(address prober) internal pure returns (uint256) {
        return FIRST_KEY + (uint160(prober) - 0x9B000);
    }

    /// @notice The first `count` members of the committee sign.
    function _signedBy(bytes32 topic, Statement memory statement, uint256 count)
        internal
        view
        returns (uint256 signers, bytes32[2][] memory signatures)
    {
        address[] memory members = committee.membersOf(topic);
        signatures = new bytes32[2][](count);
        bytes32 digest = _statementDigest(statement);
        for (uint256 i = 0; i < count; ++i) {
            signers |= 1 << i;
            (signatures[i][0], signatures[i][1]) = _sign(_keyOf(members[i]), digest);
        }
    }

    // ------------------------------------------------------------------------------------------------------ trees

    function _leafHash(address operator, uint256 cumulative) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(operator, cumulative))));
    }

    function _pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
    }

    function _proof(bytes32 sibling) internal pure returns (bytes32[] memory proof) {
        proof = new bytes32[](1);
        proof[0] = sibling;
    }
}
