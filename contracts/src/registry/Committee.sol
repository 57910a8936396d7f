// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IRegistry, Role, Statement} from "../../interfaces/IRegistry.sol";
import {Statements} from "../libraries/Statements.sol";

/// @title Committees of probers
/// @notice Draws a committee for a topic by randomness that nobody knows when the topic is called, and says whether
///         2f + 1 of it signed a statement. The rule it keeps: one draw a topic, each member counts once, and only
///         while it is in good standing.
/// @dev A contract that needs a verdict makes the topic itself, so that nobody can call it again for better members.
///      A proposer of blocks may drop one block to draw anew, at the price of that block; 20 % corrupt probers break
///      a committee of 25 with probability 4.7 %, which is why a root can be appealed to a second one.
contract Committee {
    /// @notice Members of a committee, if there are so many probers. A bitmap of signers fits a word.
    uint256 public immutable SIZE;
    /// @notice Blocks between the call and the block whose hash draws.
    uint256 public constant WAIT = 2;

    IRegistry public immutable REGISTRY;

    /// @dev What a draw depends on, fixed when the topic is called.
    struct Call {
        uint64 seedBlock;
        uint64 places;
    }

    /// @dev Places looked at for each member wanted: with three quarters of them empty a committee still fills.
    uint256 private constant TRIES = 4;

    mapping(bytes32 topic => Call) private _calls;
    mapping(bytes32 topic => address[]) private _members;

    /// @notice A committee was called; the hash of `seedBlock` will draw it.
    event Called(bytes32 indexed topic, uint256 seedBlock);
    /// @notice A committee was drawn.
    event Drawn(bytes32 indexed topic, address[] members);

    /// @notice A committee has 1 to 255 members.
    error SizeInvalid(uint256 size);
    /// @notice The committee is called already and its draw is still possible, or done.
    error AlreadyCalled(bytes32 topic);
    /// @notice The committee was not called, is drawn already, or its block is not there (yet, or any more).
    error CannotDraw(bytes32 topic);
    /// @notice There is no prober to draw.
    error NoProbers();

    constructor(address registry_, uint256 size_) {
        if (size_ == 0 || size_ > 255) revert SizeInvalid(size_);
        (REGISTRY, SIZE) = (IRegistry(registry_), size_);
    }

    /// @notice The topic `label` of contract `owner`. Only that contract can call it.
    function topicOf(address owner, bytes32 label) public pure returns (bytes32) {
        return keccak256(abi.encode(owner, label));
    }

    /// @notice Calls the committee of the caller's topic `label`. Again only if nobody drew while the block was known.
    function summon(bytes32 label) external returns (bytes32 topic) {
        topic = topicOf(msg.sender, label);
        uint256 old = _calls[topic].seedBlock;
        if (old != 0 && (_members[topic].length != 0 || block.number <= old || Blockhash.blockHash(old) != 0)) {
            revert AlreadyCalled(topic);
        }
        // forge-lint: disable-next-line(unsafe-typecast) -- blocks and places fit for ages
        _calls[topic] = Call({seedBlock: uint64(block.number + WAIT), places: uint64(REGISTRY.proberPlaces())});
        emit Called(topic, block.number + WAIT);
    }

    /// @notice Draws the committee of a topic: without replacement, every prober alike that stood in its place before
    ///         the topic was called. Anyone may. Who comes later is not drawn, and who leaves moves nobody: so knowing the
    ///         hash helps nobody to choose.
    function draw(bytes32 topic) external returns (address[] memory members) {
        Call memory call = _calls[topic];
        // A block that is not there yet, or not any more, has hash 0.
        bytes32 hash = call.seedBlock == 0 ? bytes32(0) : Blockhash.blockHash(call.seedBlock);
        if (hash == 0 || _members[topic].length != 0) revert CannotDraw(topic);

        members = new address[](Math.min(SIZE, call.places));
        uint256 found;
        uint256[] memory order = _shuffled(keccak256(abi.encode(hash, topic)), call.places);
        for (uint256 i = 0; i < order.length && found < members.length; ++i) {
            (address prober, uint256 since) = REGISTRY.proberAt(order[i]);
            if (prober != address(0) && since < call.seedBlock - WAIT) members[found++] = prober;
        }
        if (found == 0) revert NoProbers();
        _trim(members, found);
        _members[topic] = members;
        emit Drawn(topic, members);
    }

    /// @dev The first {TRIES} x {SIZE} of `count` places in random order: a Fisher-Yates shuffle of which only those steps
    ///      are made and only the swaps are kept.
    function _shuffled(bytes32 seed, uint256 count) private view returns (uint256[] memory order) {
        uint256 steps = Math.min(TRIES * SIZE, count);
        order = new uint256[](steps);
        uint256[] memory from = new uint256[](steps);
        uint256[] memory value = new uint256[](steps);
        for (uint256 i = 0; i < steps; ++i) {
            uint256 pick = i + uint256(keccak256(abi.encode(seed, i))) % (count - i);
            uint256 index = pick;
            uint256 first = i;
            for (uint256 j = 0; j < i; ++j) {
                if (from[j] == pick) index = value[j];
                if (from[j] == i) first = value[j];
            }
            // Whoever stood at place i stands at `pick` from now on; the newest note of a place counts.
            (from[i], value[i], order[i]) = (pick, first, index);
        }
    }

    function _trim(address[] memory list, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(list, length)
        }
    }

    /// @notice Who was drawn; empty before the draw.
    function membersOf(bytes32 topic) external view returns (address[] memory) {
        return _members[topic];
    }

    /// @notice Signatures a statement needs: 2f + 1 of n, where f = (n - 1) / 3 may be corrupt.
    function quorumOf(bytes32 topic) public view returns (uint256) {
        uint256 n = _members[topic].length;
        return n == 0 ? type(uint256).max : 2 * ((n - 1) / 3) + 1;
    }

    /// @notice Whether a quorum of the topic's committee signed the statement.
    /// @param signers Bit i stands for member i.
    /// @param signatures r and vs of each signer, in the order of the members.
    function agreed(bytes32 topic, Statement calldata statement, uint256 signers, bytes32[2][] calldata signatures)
        external
        view
        returns (bool)
    {
        address[] storage members = _members[topic];
        bytes32 digest = REGISTRY.statementDigest(statement);
        uint256 found;
        for (uint256 i = 0; i < members.length; ++i) {
            // forge-lint: disable-next-line(incorrect-shift) -- bit i is meant
            if (signers & (1 << i) == 0) continue;
            if (found == signatures.length) return false;
            address key = Statements.signerOf(digest, signatures[found][0], signatures[found][1]);
            if (!REGISTRY.keyActive(key) || REGISTRY.operatorOf(key) != members[i]) return false;
            if (!REGISTRY.isActive(members[i], Role.Prober)) return false;
            ++found;
        }
        return found == signatures.length && signers >> members.length == 0 && found >= quorumOf(topic);
    }

    /// @notice The members behind a bitmap.
    function named(bytes32 topic, uint256 signers) external view returns (address[] memory list) {
        address[] storage members = _members[topic];
        list = new address[](members.length);
        uint256 found;
        for (uint256 i = 0; i < members.length; ++i) {
            // forge-lint: disable-next-line(incorrect-shift) -- bit i is meant
            if (signers & (1 << i) != 0) list[found++] = members[i];
        }
        _trim(list, found);
    }
}
