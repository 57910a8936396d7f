// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegionVault} from "../../src/vaults/RegionVault.sol";
import {CommitteeFixture} from "./CommitteeFixture.sol";
import {FeeDollar} from "./FeeDollar.sol";

/// @title A vault with a floor of 12 dollars a month
/// @notice Nodes are numbered; a settlement moves from so many of them to so many.
abstract contract VaultFixture is CommitteeFixture {
    uint256 internal constant PERIOD = 30 days;
    uint256 internal constant FLOOR = 12e6;

    FeeDollar internal dollar;
    RegionVault internal vault;

    function setUp() public virtual override {
        super.setUp();
        dollar = new FeeDollar();
        vault = _newVault(FLOOR);
    }

    function _newVault(uint256 floor) internal returns (RegionVault fresh) {
        fresh = new RegionVault(address(dollar), address(committee), "eu-w", floor, START, PERIOD);
        address[4] memory people = [ann, bob, dan, eve];
        for (uint256 i = 0; i < 4; ++i) {
            dollar.mint(people[i], 1e18);
            vm.prank(people[i]);
            dollar.approve(address(fresh), type(uint256).max);
        }
    }

    function _node(uint256 i) internal pure returns (address) {
        return address(uint160(0xA0DE0000 + i));
    }

    function _deposit(address who, uint256 assets) internal returns (uint256 shares) {
        bytes memory result = _send(who, address(vault), abi.encodeCall(vault.deposit, (assets, who)));
        return abi.decode(result, (uint256));
    }

    /// @notice Asks to leave with everything, waits, and collects.
    function _leave(address who) internal returns (uint256) {
        bytes memory data = abi.encodeCall(vault.requestRedeem, (vault.balanceOf(who)));
        uint256 id = abi.decode(_send(who, address(vault), data), (uint256));
        vm.warp(block.timestamp + PERIOD);
        vault.serve(id);
        return abi.decode(_send(who, address(vault), abi.encodeCall(vault.collect, ())), (uint256));
    }

    function _earn(address node, uint256 amount) internal {
        _send(node, address(vault), abi.encodeCall(vault.earn, (node, amount)));
    }

    function _committeeOf() internal returns (bytes32 topic) {
        topic = vault.summon();
        _draw(topic);
    }

    function _settlement(bytes32 topic, uint256 period, address[] memory came, address[] memory left)
        internal
        view
        returns (bytes memory)
    {
        (uint256 signers, bytes32[2][] memory signatures) = _signedBy(topic, vault.statementOf(period, came, left), 3);
        return abi.encodeCall(vault.settle, (period, came, left, signers, signatures));
    }

    /// @notice Settles a period in which the nodes went from the first `from` to the first `to`.
    function _settle(uint256 period, uint256 from, uint256 to) internal {
        address[] memory came = new address[](to > from ? to - from : 0);
        address[] memory left = new address[](from > to ? from - to : 0);
        for (uint256 i = 0; i < came.length; ++i) {
            came[i] = _node(from + i);
        }
        for (uint256 i = 0; i < left.length; ++i) {
            left[i] = _node(to + i);
        }
        uint256 end = START + (period + 1) * PERIOD;
        if (block.timestamp < end) vm.warp(end);
        _send(eve, address(vault), _settlement(_committeeOf(), period, came, left));
    }
}
