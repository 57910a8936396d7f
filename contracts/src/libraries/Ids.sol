// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

import {ChannelKey, Descriptor, RootId} from "../../interfaces/IChannels.sol";

/// @title Names of roots and channels
/// @notice Every name is derived here, inside the contract, from what it names. No function takes a ready-made key
///         for something it changes, so a caller cannot point at somebody else's money.
/// @dev A channel key's preimage is 64 bytes long, as a leaf's is. That confuses nothing: keys only name storage, and
///      leaves and nodes are only ever compared with a root.
library Ids {
    /// @notice keccak256 of payer | signer | root | sum | expiry | depth | nonce, each as a 32 byte word.
    function rootId(Descriptor calldata descriptor) internal pure returns (RootId) {
        return RootId.wrap(keccak256(abi.encode(descriptor)));
    }

    /// @notice keccak256( pair 32 | zeros 12 | signer 20 ), where pair = keccak256( rootId 32 | zeros 8 | index 4 | payee 20 ).
    /// @dev Each preimage is two words, which OpenZeppelin hashes in scratch space: 270 gas less on every claim. The signer is part of the key, so a claim recovers a signer and either finds the channel or does not.
    function channelKey(RootId root, uint32 index, address payee, address signer) internal pure returns (ChannelKey) {
        bytes32 place = bytes32((uint256(index) << 160) | uint160(payee));
        bytes32 pair = Hashes.efficientKeccak256(RootId.unwrap(root), place);
        return ChannelKey.wrap(Hashes.efficientKeccak256(pair, bytes32(uint256(uint160(signer)))));
    }
}
