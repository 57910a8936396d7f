// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Deploys to an address that is known beforehand
/// @notice The contracts of the token economy name each other in their constructors, in circles: the token its minters,
///         the mint its channels, the channels the mint. So an address must not depend on the code behind it. Here it
///         depends on who deploys and on a salt alone: `deploy` makes a tiny contract with CREATE2, and that one makes the
///         real one, as its first. Nobody else can take the address of a deployer's salt.
contract Deployer {
    /// @dev Runs what it is called with as creation code:
    ///      CALLDATASIZE RETURNDATASIZE RETURNDATASIZE CALLDATACOPY CALLDATASIZE RETURNDATASIZE CALLVALUE CREATE
    bytes private constant MAKER = hex"67363d3d37363d34f03d5260086018f3";

    /// @notice The address is taken, or the creation code failed.
    error DeploymentFailed(bytes32 salt);

    /// @notice Deploys `creationCode` at {addressOf}(caller, `salt`).
    function deploy(bytes32 salt, bytes calldata creationCode) external returns (address deployed) {
        bytes memory code = MAKER;
        bytes32 own = keccak256(abi.encode(msg.sender, salt));
        address maker;
        assembly ("memory-safe") {
            maker := create2(0, add(code, 32), mload(code), own)
        }
        if (maker == address(0)) revert DeploymentFailed(salt);
        (bool ok,) = maker.call(creationCode);
        deployed = addressOf(msg.sender, salt);
        if (!ok || deployed.code.length == 0) revert DeploymentFailed(salt);
    }

    /// @notice Where `sender`'s {deploy} with `salt` puts whatever it deploys.
    function addressOf(address sender, bytes32 salt) public view returns (address) {
        bytes32 own = keccak256(abi.encode(sender, salt));
        bytes32 maker = keccak256(abi.encodePacked(hex"ff", address(this), own, keccak256(MAKER)));
        // RLP of [maker, 1]: a contract's first creation has nonce 1.
        return
            address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(uint160(uint256(maker))), hex"01")))));
    }
}
