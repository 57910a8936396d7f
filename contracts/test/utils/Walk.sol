// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "./Test.sol";

/// @notice What a handler of random actions shows to the test that walks it.
interface IWalker {
    function tried(uint256 action) external view returns (uint256);
    function worked(uint256 action) external view returns (uint256);
}

/// @title A random walk over one handler
/// @notice Each action must work in a fifth of its tries at least: a handler that mostly fails hides bugs. After a walk
///         everybody leaves, for a state that nobody can leave is the worst of all.
abstract contract Walk is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    bytes4[] internal _actions;

    /// @notice The handler under the walk.
    function walker() public view virtual returns (address);

    /// @dev Read by forge: what the fuzzer may call.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: walker(), selectors: _actions});
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = walker();
    }

    function afterInvariant() public {
        IWalker handler = IWalker(walker());
        // Set by invariants.ts, which adds up the walks of a whole campaign: of thousands, one is unlucky.
        string memory file = vm.envOr("BYWAY_TALLY", string(""));
        bool single = bytes(file).length == 0;
        string memory tally;
        for (uint256 i = 0; i < _actions.length; ++i) {
            (uint256 tried, uint256 worked) = (handler.tried(i), handler.worked(i));
            tally = string.concat(tally, vm.toString(tried), " ", vm.toString(worked), " ");
            if (!single || tried < 15) continue; // too few to judge by
            string memory what = string.concat("action ", vm.toString(i), " hardly ever works");
            vm.assertGe(5 * worked, tried, what);
        }
        if (!single) vm.writeLine(file, tally);
        _everybodyLeaves();
    }

    /// @dev Fails if anybody cannot leave with what is his.
    function _everybodyLeaves() internal virtual {}
}

/// @title What every handler counts
/// @dev Its clock is kept here: the fuzzer's own does not remember what an action did to it.
abstract contract Counting is Test {
    mapping(uint256 action => uint256) public tried;
    mapping(uint256 action => uint256) public worked;
    uint256 internal _time;

    modifier counted(uint256 action) {
        vm.warp(_time += 1 minutes);
        vm.roll(_time / 12);
        ++tried[action];
        _;
    }
}
