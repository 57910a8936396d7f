// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IParameters} from "../../interfaces/IParameters.sol";
import {IRegistry, Profile, Role, Statement, Thaw} from "../../interfaces/IRegistry.sol";
import {Pool, SharePool} from "../libraries/SharePool.sol";
import {Statements} from "../libraries/Statements.sol";

/// @notice What one owner has with one operator.
/// @param shares In the operator's bonded pool.
/// @param owed Rewards booked and not claimed.
/// @param generation Of the pool the shares belong to.
/// @param seen The accumulator when rewards were last booked.
struct Holding {
    uint128 shares;
    uint128 owed;
    uint64 generation;
    uint256 seen;
}

/// @title What the Registry stores, and everything that only reads it
/// @notice Nothing in this file changes state or moves tokens; that is all in {Registry}.
abstract contract RegistryState is IRegistry, EIP712 {
    using SharePool for Pool;
    using SafeCast for uint256;

    /// @dev A whole, in hundredths of a percent.
    uint256 internal constant WHOLE = 10_000;
    /// @dev Parameters about stake are in whole WAY.
    uint256 internal constant WAY = 1e18;
    /// @dev Rewards a share are kept in units of 2^-128, so that dust stays below one unit an owner.
    uint256 internal constant SCALE = 1 << 128;

    IERC20 internal immutable TOKEN;
    IParameters internal immutable PARAMETERS;
    /// @dev May call {seal} once, and nothing else.
    address internal immutable DEPLOYER;

    bool internal _sealed;
    mapping(address account => bool) internal _judges;

    mapping(address operator => Profile) internal _profiles;
    mapping(address operator => bool) internal _struckOff;
    /// @dev Never deleted: a key answers for what it signed for as long as there is stake.
    mapping(address key => address operator) internal _operatorOf;
    mapping(address key => bool) internal _retired;

    mapping(address operator => Pool) internal _bonded;
    mapping(address operator => Pool) internal _thawing;
    mapping(address operator => mapping(address owner => Holding)) internal _holdings;
    /// @dev Rewards a share since the beginning of a generation, in {SCALE}.
    mapping(address operator => mapping(uint64 generation => uint256)) internal _perShare;
    mapping(uint256 id => Thaw) internal _thaws;
    uint256 internal _thawCount;
    uint256 internal _totalStake;
    mapping(address owner => uint256) internal _credits;
    mapping(bytes32 fault => bool) internal _faults;

    /// @dev A prober and the block in which it came. Nobody moves when another leaves: whoever knows the hash that draws
    ///      a committee must not be able to change whom it draws.
    struct Place {
        address prober;
        uint64 since;
    }

    Place[] internal _places;
    /// @dev Places that are empty and will be filled first.
    uint256[] internal _empty;
    /// @dev Place in the list, counted from 1.
    mapping(address prober => uint256) internal _placeOf;

    constructor(address token_, address parameters_, address deployer_) EIP712("Byway Registry", "1") {
        if (token_.code.length == 0) revert AddressWithoutCode(token_);
        if (parameters_.code.length == 0) revert AddressWithoutCode(parameters_);
        (TOKEN, PARAMETERS, DEPLOYER) = (IERC20(token_), IParameters(parameters_), deployer_);
    }

    /// @inheritdoc IRegistry
    function token() external view returns (address) {
        return address(TOKEN);
    }

    /// @inheritdoc IRegistry
    function profileOf(address operator) external view returns (Profile memory) {
        return _profiles[operator];
    }

    /// @inheritdoc IRegistry
    function struckOff(address operator) external view returns (bool) {
        return _struckOff[operator];
    }

    /// @inheritdoc IRegistry
    function operatorOf(address key) external view returns (address) {
        return _operatorOf[key];
    }

    /// @inheritdoc IRegistry
    function keyActive(address key) external view returns (bool) {
        return _operatorOf[key] != address(0) && !_retired[key] && !_struckOff[_operatorOf[key]];
    }

    /// @inheritdoc IRegistry
    function isActive(address operator, Role role) public view returns (bool) {
        Role has = _profiles[operator].role;
        if (has == Role.None || (has != Role.Both && has != role)) return false;
        return !_struckOff[operator] && _ownBond(operator) >= bondRequired(operator);
    }

    /// @inheritdoc IRegistry
    function bondRequired(address operator) public view returns (uint256 tokens) {
        Profile storage profile = _profiles[operator];
        if (profile.role != Role.Prober) {
            tokens = Math.max(PARAMETERS.get("stakeProvider"), profile.mbps * PARAMETERS.get("stakePerMbps"));
        }
        if (profile.role == Role.Prober || profile.role == Role.Both) {
            tokens = Math.max(tokens, PARAMETERS.get("stakeProber"));
        }
        tokens *= WAY;
    }

    /// @inheritdoc IRegistry
    function stakeOf(address operator) external view returns (uint256 bonded, uint256 thawing) {
        return (_bonded[operator].tokens, _thawing[operator].tokens);
    }

    /// @inheritdoc IRegistry
    function sharesOf(address operator, address owner) public view returns (uint256 shares, uint256 tokens) {
        Holding storage holding = _holdings[operator][owner];
        Pool storage pool = _bonded[operator];
        if (holding.generation != pool.generation) return (0, 0);
        return (holding.shares, pool.worth(holding.shares));
    }

    /// @inheritdoc IRegistry
    function thawOf(uint256 id) external view returns (Thaw memory thaw, uint256 tokens) {
        thaw = _thaws[id];
        Pool storage pool = _thawing[thaw.operator];
        if (thaw.generation == pool.generation) tokens = pool.worth(thaw.shares);
    }

    /// @inheritdoc IRegistry
    function totalStake() external view returns (uint256) {
        return _totalStake;
    }

    /// @inheritdoc IRegistry
    function creditOf(address owner) external view returns (uint256) {
        return _credits[owner];
    }

    /// @inheritdoc IRegistry
    function rewardOf(address operator, address owner) external view returns (uint256) {
        return _holdings[operator][owner].owed + _unbooked(operator, _holdings[operator][owner]);
    }

    /// @inheritdoc IRegistry
    function proberPlaces() external view returns (uint256) {
        return _places.length;
    }

    /// @inheritdoc IRegistry
    function proberAt(uint256 place) external view returns (address prober, uint256 since) {
        return (_places[place].prober, _places[place].since);
    }

    /// @inheritdoc IRegistry
    function statementDigest(Statement calldata statement) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.structHash(statement));
    }

    /// @inheritdoc IRegistry
    function keyProofDigest(address operator) external view returns (bytes32) {
        return _hashTypedDataV4(Statements.keyHash(operator));
    }

    function _ownBond(address operator) internal view returns (uint256 tokens) {
        (, tokens) = sharesOf(operator, operator);
    }

    /// @dev Rewards of a holding since they were last booked, of its own generation: a pool that was emptied later owes
    ///      what it earned before.
    function _unbooked(address operator, Holding storage holding) internal view returns (uint256) {
        uint256 raise = _perShare[operator][holding.generation] - holding.seen;
        return Math.mulDiv(holding.shares, raise, SCALE);
    }
}
