// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";

import {Statement} from "../../interfaces/IRegistry.sol";
import {Test} from "../utils/Test.sol";

/// @notice A token anyone may mint and its owner may burn.
contract Coin is ERC20("Coin", "COIN"), ERC20Burnable {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @dev As the dollars have it.
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}

/// @title Contracts and src/economy do the same
/// @notice Replays random operations against the contracts themselves and compares one number with that of the models in
///         test/differential, which compute with src/economy. Everything around the contract under test is this contract:
///         parameters, a committee that agrees to everything, judges. An operation that the contract refuses, the model
///         must refuse as well.
abstract contract Replay is Test {
    uint256 internal constant MULTIPLIER = 6_364_136_223_846_793_005 * (1 << 64) + 1_442_695_040_888_963_407;
    uint256 internal constant STEP = 1_442_695_040_888_963_407;
    /// @dev A whole hour, so that hours of the capacity market begin with it.
    uint256 internal constant START = 1_800_000_000;

    uint256 internal _now;
    uint256 private _state;
    uint256 private _digest;

    /// @notice What one operation is made from; the same bits as in test/differential/sequence.ts.
    struct Drawn {
        uint256 kind;
        uint256 who;
        uint256 what;
        uint256 amount;
    }

    /// @dev One operation.
    function _operate() internal virtual;

    /// @dev What is compared when all operations are done.
    function _end() internal virtual {}

    /// @dev Replays `sequences` from seed `first` on. The vectors are those beside the tests, or those a long run wrote.
    function _replay(string memory suite) internal {
        // Nobody pays for this: forge would stop at its limit.
        vm.pauseGasMetering();
        string memory json = vm.readFile(vm.envOr("BYWAY_SEQUENCES", "../test/vectors/sequences.json"));
        string memory at = string.concat(".", suite);
        uint256 operations = vm.parseJsonUint(json, string.concat(at, ".operations"));
        uint256 first = vm.parseJsonUint(json, string.concat(at, ".first"));
        uint256 end = first + vm.parseJsonUint(json, string.concat(at, ".sequences"));
        _warp(0);
        uint256 snapshot = vm.snapshotState();
        uint256 digest;
        for (uint256 seed = first; seed < end; ++seed) {
            uint256 one = _sequence(seed, operations);
            digest = _folded(digest, one);
            vm.assertTrue(vm.revertToState(snapshot), "back to the beginning");
        }
        vm.assertEq(bytes32(digest), vm.parseJsonBytes32(json, string.concat(at, ".digest")), suite);
    }

    function _sequence(uint256 seed, uint256 operations) private returns (uint256) {
        // Modulo 2^256, as the congruence is meant.
        unchecked {
            _state = seed * MULTIPLIER + STEP;
        }
        _digest = 0;
        for (uint256 i = 0; i < operations; ++i) {
            _operate();
        }
        _end();
        return _digest;
    }

    function _raw() internal returns (uint256) {
        unchecked {
            _state = _state * MULTIPLIER + STEP;
        }
        return _state >> 128;
    }

    function _next(uint256 kinds) internal returns (Drawn memory) {
        uint256 random = _raw();
        return Drawn({
            kind: (random & 0xff) % kinds,
            who: (random >> 8) & 0xff,
            what: (random >> 16) & 0xffff,
            amount: random >> 32
        });
    }

    function _fold(uint256 value) internal {
        _digest = _folded(_digest, value);
    }

    function _folded(uint256 digest, uint256 value) private pure returns (uint256) {
        unchecked {
            return digest * MULTIPLIER + value + STEP;
        }
    }

    /// @dev Does it and folds what it gave: 0 when it was refused, one more than its result when not.
    function _attempt(address sender, address target, bytes memory data) internal returns (bool ok) {
        bytes memory result;
        (ok, result) = _try(sender, target, data);
        _fold(ok ? 1 + (result.length == 32 ? abi.decode(result, (uint256)) : 0) : 0);
    }

    /// @dev The same where the result is a name, which the model does not know.
    function _attemptOnly(address sender, address target, bytes memory data) internal returns (bool ok) {
        (ok,) = _try(sender, target, data);
        _fold(ok ? 1 : 0);
    }

    function _warp(uint256 seconds_) internal {
        _now += seconds_;
        vm.warp(START + _now);
    }

    /// @dev As an operation: it always succeeds.
    function _pass(uint256 seconds_) internal {
        _warp(seconds_);
        _fold(1);
    }

    // ------------------------------------------------------------------------------------------ what stands around it

    function topicOf(address, bytes32 label) external pure returns (bytes32) {
        return label;
    }

    function summon(bytes32 label) external pure returns (bytes32) {
        return label;
    }

    function agreed(bytes32, Statement calldata, uint256, bytes32[2][] calldata) external pure returns (bool) {
        return true;
    }

    /// @notice The parameters as the models have them.
    function get(bytes32 name) external pure returns (uint256) {
        if (name == "reporterShare") return 5_000;
        if (name == "unbonding") return 7 days;
        if (name == "slaDeviation") return 2_500;
        if (name == "capacityPenalty") return 1_000;
        if (name == "multiplierMin") return 10_000;
        if (name == "multiplierMax") return 50_000;
        if (name == "multiplierNotice") return 30 days;
        return 0;
    }
}
