// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IRegistry, Profile, Role, Statement, Thaw} from "../../interfaces/IRegistry.sol";
import {Pool, SharePool} from "../libraries/SharePool.sol";
import {Statements} from "../libraries/Statements.sol";
import {Holding, RegistryState} from "./RegistryState.sol";

/// @title Who works for the exchange, and what they stand to lose
/// @notice Start reading at {IRegistry}; the share arithmetic is in {SharePool}, the signed type in {Statements}.
///
///     owner --stake--> bonded pool --unbond--> thawing pool --release--> credits --collect--> out
///                           |                       |            |
///                           +-------- slash --------+            +--> bonded pool of another operator
///                                       |
///                          burnt, and at most half to the reporter's credits
///
/// @dev Solvency: token balance = sum over operators of both pools + credits + rewards booked or to be booked + dust.
///      Both pools answer for every fault of their operator, so leaving saves nobody before the release.
contract Registry is RegistryState, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using SharePool for Pool;

    /// @notice Most of a slash that a reporter gets, in hundredths of a percent, whatever the parameters say: who reports himself
    ///         must lose.
    uint256 public constant MAX_REPORTER_BPS = 5_000;

    /// @notice Bounds on the unbonding time in seconds: longer than any dispute, and never a prison.
    uint256 public constant MIN_UNBONDING = 7 days;
    uint256 public constant MAX_UNBONDING = 60 days;

    /// @notice Bytes of an endpoint: a host name of 255, a colon, five digits.
    uint256 public constant MAX_ENDPOINT = 261;

    constructor(address token_, address parameters_, address deployer_) RegistryState(token_, parameters_, deployer_) {}

    // -------------------------------------------------------------------------------------------------- identity

    /// @inheritdoc IRegistry
    function seal(address[] calldata judges) external {
        if (msg.sender != DEPLOYER || _sealed) revert CannotSeal(msg.sender);
        _sealed = true;
        for (uint256 i = 0; i < judges.length; ++i) {
            _judges[judges[i]] = true;
        }
        emit Sealed(judges);
    }

    /// @inheritdoc IRegistry
    function setProfile(Profile calldata profile) external {
        if (_struckOff[msg.sender]) revert StruckOff(msg.sender);
        if (profile.role == Role.None || profile.payout == address(0) || profile.commissionBps > WHOLE) {
            revert ProfileInvalid();
        }
        Profile storage old = _profiles[msg.sender];
        if (old.role != Role.None && profile.commissionBps > old.commissionBps) {
            revert CommissionRaised(old.commissionBps, profile.commissionBps);
        }
        _profiles[msg.sender] = profile;
        emit ProfileSet(msg.sender, profile);
        _list(msg.sender);
    }

    /// @inheritdoc IRegistry
    function setEndpoint(string calldata endpoint) external {
        if (_profiles[msg.sender].role == Role.None) revert OperatorUnknown(msg.sender);
        if (bytes(endpoint).length > MAX_ENDPOINT) revert EndpointTooLong(bytes(endpoint).length);
        emit EndpointSet(msg.sender, endpoint);
    }

    /// @inheritdoc IRegistry
    function addKey(address key, bytes32 r, bytes32 vs) external {
        if (_profiles[msg.sender].role == Role.None) revert OperatorUnknown(msg.sender);
        if (key == address(0) || _operatorOf[key] != address(0)) revert KeyTaken(key);
        if (Statements.signerOf(_hashTypedDataV4(Statements.keyHash(msg.sender)), r, vs) != key) {
            revert KeyNotProven(key);
        }
        _operatorOf[key] = msg.sender;
        emit KeyAdded(msg.sender, key);
    }

    /// @inheritdoc IRegistry
    function retireKey(address key) external {
        if (_operatorOf[key] != msg.sender) revert KeyNotOwned(key);
        _retired[key] = true;
        emit KeyRetired(msg.sender, key);
    }

    // ----------------------------------------------------------------------------------------------------- stake

    /// @inheritdoc IRegistry
    function stake(address operator, uint256 tokens) external nonReentrant returns (uint256 shares) {
        if (!_sealed) revert NotSealed();
        if (_profiles[operator].role == Role.None) revert OperatorUnknown(operator);
        if (_struckOff[operator]) revert StruckOff(operator);
        if (tokens == 0) revert AmountInvalid(0, 0);
        _totalStake += tokens;
        shares = _enter(operator, msg.sender, tokens);
        TOKEN.safeTransferFrom(msg.sender, address(this), tokens);
    }

    /// @inheritdoc IRegistry
    function unbond(address operator, uint256 shares, address to) external nonReentrant returns (uint256 id) {
        if (to == operator) revert SameOperator(to);
        if (to != address(0) && _profiles[to].role == Role.None) revert OperatorUnknown(to);
        Holding storage holding = _book(operator, msg.sender);
        if (shares == 0 || shares > holding.shares) revert AmountInvalid(shares, holding.shares);
        holding.shares = (holding.shares - shares).toUint128();

        uint256 tokens = _bonded[operator].exit(shares);
        if (tokens == 0) revert AmountInvalid(0, 0);
        Pool storage thawing = _thawing[operator];
        id = ++_thawCount;
        _thaws[id] = Thaw({
            owner: msg.sender,
            releaseAt: uint64(block.timestamp + unbondingSeconds()),
            operator: operator,
            generation: thawing.generation,
            to: to,
            shares: thawing.enter(tokens).toUint128()
        });
        emit Unbonding(id, operator, msg.sender, to, tokens);
        _list(operator);
    }

    /// @inheritdoc IRegistry
    function release(uint256 id) external nonReentrant returns (uint256 tokens) {
        Thaw memory thaw = _thaws[id];
        if (thaw.owner == address(0)) revert ThawUnknown(id);
        if (block.timestamp < thaw.releaseAt) revert ThawTooEarly(thaw.releaseAt);
        delete _thaws[id];

        Pool storage pool = _thawing[thaw.operator];
        if (thaw.generation == pool.generation) tokens = pool.exit(thaw.shares);
        bool moves = thaw.to != address(0) && !_struckOff[thaw.to] && tokens != 0;
        emit Released(id, thaw.owner, moves ? thaw.to : address(0), tokens);
        if (moves) {
            _enter(thaw.to, thaw.owner, tokens);
        } else {
            _totalStake -= tokens;
            _credits[thaw.owner] += tokens;
        }
    }

    /// @inheritdoc IRegistry
    function distribute(address operator, uint256 amount) external nonReentrant {
        Profile storage profile = _profiles[operator];
        if (profile.role == Role.None) revert OperatorUnknown(operator);
        Pool storage pool = _bonded[operator];
        uint256 commission = pool.shares == 0 ? amount : Math.mulDiv(amount, profile.commissionBps, WHOLE);
        if (pool.shares != 0) {
            // Rounded down: what is left over is dust of less than a unit for each owner.
            _perShare[operator][pool.generation] += Math.mulDiv(amount - commission, SCALE, pool.shares);
        }
        _credits[profile.payout] += commission;
        emit Rewarded(operator, amount, commission);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRegistry
    function claimRewards(address operator) external nonReentrant returns (uint256 amount) {
        Holding storage holding = _book(operator, msg.sender);
        amount = holding.owed;
        holding.owed = 0;
        _credits[msg.sender == operator ? _profiles[operator].payout : msg.sender] += amount;
    }

    /// @inheritdoc IRegistry
    function collect(address to) external nonReentrant returns (uint256 amount) {
        amount = _credits[msg.sender];
        delete _credits[msg.sender];
        emit Collected(msg.sender, to, amount);
        TOKEN.safeTransfer(to, amount);
    }

    // ----------------------------------------------------------------------------------------------------- slash

    /// @inheritdoc IRegistry
    function reportEquivocation(Statement calldata first, Statement calldata second, bytes32[4] calldata signatures)
        external
        nonReentrant
        returns (uint256 tokens)
    {
        if (!Statements.contradict(first, second)) revert NotEquivocation();
        address a = Statements.signerOf(_hashTypedDataV4(Statements.structHash(first)), signatures[0], signatures[1]);
        address b = Statements.signerOf(_hashTypedDataV4(Statements.structHash(second)), signatures[2], signatures[3]);
        address operator = _operatorOf[a];
        if (a != b || operator == address(0)) revert SignersDiffer(a, b);
        // Replay protection keys on key and place, never on signature bytes.
        bytes32 fault = keccak256(abi.encode(a, Statements.placeOf(first)));
        if (_faults[fault]) revert FaultKnown(fault);
        _faults[fault] = true;

        _struckOff[operator] = true;
        tokens = _slash(operator, PARAMETERS.get("slashEquivocation"), msg.sender, "equivocation");
    }

    /// @inheritdoc IRegistry
    function slash(address operator, uint256 bps, address reporter, bytes32 reason)
        external
        nonReentrant
        returns (uint256 tokens)
    {
        if (!_judges[msg.sender]) revert NotJudge(msg.sender);
        if (bps > WHOLE) revert AmountInvalid(bps, WHOLE);
        tokens = _slash(operator, bps, reporter, reason);
    }

    /// @notice Seconds that stake thaws, as it stands now.
    function unbondingSeconds() public view returns (uint256) {
        return Math.min(Math.max(PARAMETERS.get("unbonding"), MIN_UNBONDING), MAX_UNBONDING);
    }

    // --------------------------------------------------------------------------------------------------- private

    /// @dev Burns first, pays later: the reporter pulls. Never reverts for want of stake, so that a verdict always ends.
    function _slash(address operator, uint256 bps, address reporter, bytes32 reason) private returns (uint256 tokens) {
        Pool storage bonded = _bonded[operator];
        Pool storage thawing = _thawing[operator];
        // Each pool loses the same part, rounded against its owners; bps is at most a whole, so neither loses too much.
        tokens = bonded.cut(Math.mulDiv(bonded.tokens, bps, WHOLE, Math.Rounding.Ceil))
            + thawing.cut(Math.mulDiv(thawing.tokens, bps, WHOLE, Math.Rounding.Ceil));
        _totalStake -= tokens;

        uint256 share = Math.min(PARAMETERS.get("reporterShare"), MAX_REPORTER_BPS);
        uint256 reward = reporter == address(0) ? 0 : Math.mulDiv(tokens, share, WHOLE);
        _credits[reporter] += reward;
        emit Slashed(operator, reporter, reason, tokens, reward);
        _list(operator);
        ERC20Burnable(address(TOKEN)).burn(tokens - reward);
    }

    function _enter(address operator, address owner, uint256 tokens) private returns (uint256 shares) {
        Holding storage holding = _book(operator, owner);
        shares = _bonded[operator].enter(tokens);
        holding.shares = (holding.shares + shares).toUint128();
        emit Staked(operator, owner, tokens, shares);
        _list(operator);
    }

    /// @dev Books the rewards of a holding up to now and brings it to the pool's generation. Before every change.
    function _book(address operator, address owner) private returns (Holding storage holding) {
        holding = _holdings[operator][owner];
        holding.owed = (holding.owed + _unbooked(operator, holding)).toUint128();
        uint64 generation = _bonded[operator].generation;
        if (holding.generation != generation) (holding.generation, holding.shares) = (generation, 0);
        holding.seen = _perShare[operator][generation];
    }

    /// @dev Keeps the list of probers to those in good standing, whatever its length at the same cost.
    function _list(address operator) private {
        uint256 place = _placeOf[operator];
        bool belongs = isActive(operator, Role.Prober);
        if (belongs && place == 0) {
            if (_empty.length == 0) {
                _places.push();
                place = _places.length;
            } else {
                place = _empty[_empty.length - 1];
                _empty.pop();
            }
            _places[place - 1] = Place({prober: operator, since: uint64(block.number)});
            _placeOf[operator] = place;
        } else if (!belongs && place != 0) {
            delete _places[place - 1];
            delete _placeOf[operator];
            _empty.push(place);
        }
    }
}
