// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Deployer} from "../src/Deployer.sol";
import {TestDollar} from "../src/TestDollar.sol";
import {Test} from "./utils/Test.sol";

/// @title An address that depends on who deploys and on a salt alone
contract DeployerTest is Test {
    Deployer private deployer = new Deployer();

    function _call(bytes32 salt, bytes memory code) private view returns (bytes memory) {
        return abi.encodeCall(deployer.deploy, (salt, code));
    }

    function test_deploy_putsAnyCodeAtThePredictedAddress() public {
        address predicted = deployer.addressOf(address(this), "a");
        vm.assertEq(deployer.deploy("a", type(TestDollar).creationCode), predicted, "where it was said to be");
        vm.assertEq(TestDollar(predicted).decimals(), 6, "and it works");
        predicted = deployer.addressOf(address(this), "b");
        vm.assertEq(deployer.deploy("b", hex"600160005360016000f3"), predicted, "other code, other salt");
        vm.assertEq(predicted.code, hex"01", "its code");
    }

    /// @dev One salt makes one contract for ever; code that fails takes nothing away.
    function test_deploy_refusesATakenSaltAndCodeThatFails() public {
        bytes memory failed = abi.encodeWithSelector(Deployer.DeploymentFailed.selector, bytes32("a"));
        _sendReverts(address(this), address(deployer), _call("a", hex"fe"), failed);
        deployer.deploy("a", type(TestDollar).creationCode);
        _sendReverts(address(this), address(deployer), _call("a", type(TestDollar).creationCode), failed);
    }
}
