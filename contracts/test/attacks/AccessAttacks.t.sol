// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelRef} from "../../interfaces/IChannels.sol";
import {Deployer} from "../../src/Deployer.sol";
import {Registry} from "../../src/registry/Registry.sol";
import {TestDollar} from "../../src/TestDollar.sol";
import {Economy} from "../utils/Economy.sol";
import {Deal} from "../utils/Fixture.sol";

/// @title Who may call what, and who decides what code stands at an address
/// @notice Numbers are those of the attack table (contracts/test/attacks.ts).
contract AccessAttackTest is Economy {
    /// @notice A call and the one who may make it.
    struct Row {
        string what;
        address target;
        bytes data;
        address may;
    }

    Registry private _registry;
    address private constant JUDGE = address(0x7D6E);

    function _roles() private view returns (address[12] memory) {
        return [
            payer,
            payee,
            signer,
            stranger,
            buyer,
            TIMELOCK,
            GUARDIAN,
            JUDGE,
            address(this),
            address(usage),
            address(emissions),
            address(auction)
        ];
    }

    function _rows() private view returns (Row[10] memory rows) {
        Deal memory deal = _deal(payer, _leaves(), 9);
        address[] memory judges = _list(JUDGE);
        bytes memory slash = abi.encodeCall(_registry.slash, (stranger, 1, stranger, "matrix"));
        bytes memory set = abi.encodeCall(parameters.set, ("remint", 9_000, 8_000));
        rows[0] = Row("open", address(channels), abi.encodeCall(channels.open, (deal.descriptor)), payer);
        bytes memory collect = abi.encodeCall(channels.collectBurn, (_list(payee), stranger));
        rows[1] = Row("collectBurn", address(channels), collect, address(usage));
        rows[2] = Row("mint by use", address(way), abi.encodeCall(way.mint, (stranger, 1)), address(usage));
        rows[3] = Row("set", address(parameters), set, TIMELOCK);
        rows[4] = Row("setGuardian", address(parameters), abi.encodeCall(parameters.setGuardian, (GUARDIAN)), TIMELOCK);
        rows[5] = Row("pauseDeposits", address(parameters), abi.encodeCall(parameters.pauseDeposits, ()), GUARDIAN);
        rows[6] = Row("add", address(auction), abi.encodeCall(auction.add, (7, 0)), address(usage));
        rows[7] = Row("seal", address(_registry), abi.encodeCall(_registry.seal, (judges)), address(this));
        rows[8] = Row("slash", address(_registry), slash, JUDGE);
        rows[9] = Row("mint by schedule", address(way), abi.encodeCall(way.mint, (stranger, 1)), address(emissions));
    }

    /// @dev Every call that is somebody's, by everybody. What is nobody's gives nobody anything: a stranger who closes
    ///      does so when it is time, and the payer is paid.
    function test_C14_everyCallByEveryRole() public {
        _registry = new Registry(address(way), address(parameters), address(this));
        _claims(1, 1_000);
        Row[10] memory rows = _rows();
        address[12] memory roles = _roles();
        for (uint256 i = 0; i < rows.length; ++i) {
            for (uint256 j = 0; j < roles.length; ++j) {
                bool minter = rows[i].target == address(way) && roles[j] == address(emissions);
                if (roles[j] == rows[i].may || minter || roles[j] == address(usage) && i == 9) continue;
                (bool ok,) = _try(roles[j], rows[i].target, rows[i].data);
                vm.assertTrue(!ok, rows[i].what);
            }
            _send(rows[i].may, rows[i].target, rows[i].data);
        }
        Deal memory deal = _deal(payer, _leaves(), 1);
        bytes memory close = _closeCall(deal, new ChannelRef[](0));
        (bool early,) = _try(stranger, address(channels), close);
        vm.assertTrue(!early, "close");
        vm.warp(EXPIRY + GRACE);
        uint256 held = dollar.balanceOf(payer);
        _send(stranger, address(channels), close);
        vm.assertEq(dollar.balanceOf(payer), held + 7 * uint256(CAP), "the payer's");
    }

    /// @dev Nothing is initialised after its constructor but the list of judges, once; nobody gets in front of a
    ///      deployment; and no code here can be replaced or run another's code on its own storage.
    function test_C35_nobodyInitialisesOrReplacesAnything() public {
        Deployer deployer = new Deployer();
        bytes memory code = type(TestDollar).creationCode;
        address ours = deployer.addressOf(address(this), "dollar");
        _send(stranger, address(deployer), abi.encodeCall(deployer.deploy, ("dollar", code)));
        vm.assertEq(ours.code.length, 0, "a stranger's salt is another address");
        vm.assertEq(deployer.deploy("dollar", code), ours, "ours");
        bytes memory taken = abi.encodeWithSelector(Deployer.DeploymentFailed.selector, bytes32("dollar"));
        _sendReverts(address(this), address(deployer), abi.encodeCall(deployer.deploy, ("dollar", code)), taken);

        _registry = new Registry(address(way), address(parameters), address(this));
        bytes memory seal = abi.encodeCall(_registry.seal, (_list(stranger)));
        (bool ok,) = _try(stranger, address(_registry), seal);
        vm.assertTrue(!ok, "sealed by a stranger");
        _registry.seal(_list(JUDGE));
        (ok,) = _try(address(this), address(_registry), seal);
        vm.assertTrue(!ok, "sealed again");

        address[8] memory all = [
            address(channels),
            address(way),
            address(usage),
            address(auction),
            address(emissions),
            address(parameters),
            address(_registry),
            address(deployer)
        ];
        for (uint256 i = 0; i < all.length; ++i) {
            vm.assertTrue(!_runsForeignCode(all[i].code), "delegatecall, callcode or selfdestruct");
        }
        // The control: a proxy is seen.
        vm.assertTrue(_runsForeignCode(hex"365f5f375f5f365f73bebebebebebebebebebebebebebebebebebebebe5af4"), "a proxy");
    }

    function _runsForeignCode(bytes memory code) private pure returns (bool) {
        for (uint256 i = 0; i < code.length; ++i) {
            uint8 op = uint8(code[i]);
            if (op == 0xf4 || op == 0xf2 || op == 0xff) return true;
            // What follows a push is data; what follows INVALID, where the compiler puts its own data, is no code.
            if (op >= 0x60 && op <= 0x7f) i += op - 0x5f;
            if (op == 0xfe) return false;
        }
        return false;
    }
}
