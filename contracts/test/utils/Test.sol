// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @title What every test file starts from
/// @notice A test calls the contract under test through {_send} and compares the whole revert data, so that a test can
///         never pass because of another error than the one it names.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice Calls `target` as `sender`; fails the test unless the call succeeds.
    function _send(address sender, address target, bytes memory data) internal returns (bytes memory) {
        (bool ok, bytes memory result) = _try(sender, target, data);
        if (!ok) {
            // Pass the revert on as it came: forge prints its name.
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
        return result;
    }

    /// @notice Calls `target` as `sender`; fails the test unless it reverts with exactly `expected`.
    function _sendReverts(address sender, address target, bytes memory data, bytes memory expected) internal {
        (bool ok, bytes memory result) = _try(sender, target, data);
        vm.assertTrue(!ok, "should have reverted");
        vm.assertEq(result, expected, "reverted with another error");
    }

    function _try(address sender, address target, bytes memory data) internal returns (bool, bytes memory) {
        vm.prank(sender);
        return target.call(data);
    }

    /// @notice Maps any `value` into [low, high].
    function _bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }

    /// @notice How many events with this signature `emitter` recorded.
    function _count(Vm.Log[] memory logs, address emitter, bytes32 topic) internal pure returns (uint256 count) {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == emitter && logs[i].topics[0] == topic) ++count;
        }
    }
}
