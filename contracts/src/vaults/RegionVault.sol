// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Statement} from "../../interfaces/IRegistry.sol";
import {Committee} from "../registry/Committee.sol";

/// @notice A redemption in the queue.
/// @param owner Who is paid.
/// @param readyAt First second at which it can be served.
/// @param shares Held by the vault meanwhile.
struct Exit {
    address owner;
    uint64 readyAt;
    uint256 shares;
}

/// @title A region's cold start, financed
/// @notice Investors put dollars in. While the region's fees do not reach a floor for each proven provider, the vault
///         pays the difference; once they do, it takes a quarter of the excess until it has 1.5 times what it paid.
///
///     fees of a period  <  floor x providers:  vault --subsidy--> providers, all fees back to who earned them
///                       >  floor x providers:  fees --share--> vault, the rest back to who earned them
///
/// What holds, and is tested: the vault never owes more than it has; what providers earned is not the investors'; who
/// leaves waits for {NOTICE} and can then be served, whoever else is waiting; nothing here stops an exit or holds fees
/// back, not even a committee that is gone.
/// @dev Members receive their fees through {earn}, so that fees are what came here and not what somebody says. The
///      committee says only who proved to be there. ERC-4626 as OpenZeppelin has it, with an offset of 6; `withdraw`
///      and `redeem` are closed (their maximum is 0), because an exit between two settlements would leave the losses
///      to those who stay: the way out is {requestRedeem}. Deposits by balance: a token that takes a fee is refused.
contract RegionVault is ERC4626, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    bytes32 public constant NODES = keccak256("nodes");
    /// @notice Part of the excess the vault takes, and how much of what it paid it takes back in all, in percent.
    uint256 public constant SHARE_PERCENT = 25;
    uint256 public constant RETURN_PERCENT = 150;
    /// @notice Members a vault may have, and changes in one report.
    uint256 public constant MAX_NODES = 1_000;
    /// @notice Periods after which one that nobody settles can be ended without a committee.
    uint256 public constant LATE = 2;
    /// @dev Subsidies a node are kept in units of 2^-64.
    uint256 private constant SCALE = 1 << 64;

    Committee public immutable COMMITTEE;
    bytes6 public immutable REGION;
    /// @notice Dollars a proven provider is sure of in a period.
    uint256 public immutable FLOOR;
    /// @notice Seconds in a period; period n is [START + n x PERIOD, START + (n + 1) x PERIOD).
    uint256 public immutable START;
    uint256 public immutable PERIOD;
    /// @notice Seconds between a request to leave and its service: one period.
    uint256 public immutable NOTICE;

    /// @notice First period not settled.
    uint256 public nextPeriod;
    /// @notice All the vault ever paid to providers, and all it took back.
    uint256 public subsidised;
    uint256 public returned;
    /// @notice Dollars here that are not the investors': subsidies and fees not collected, exits not collected.
    uint256 public owed;

    /// @notice Proven providers now.
    uint256 public nodes;
    mapping(address node => bool) public isNode;
    uint256 private _perNode;
    mapping(address node => uint256) private _seen;
    mapping(address account => uint256) public credits;

    /// @dev Fees of a period, and what the vault took of them. Kept for ever, so that nobody has to hurry.
    mapping(uint256 period => uint256) public feesOf;
    mapping(uint256 period => uint256) public takenOf;
    mapping(uint256 period => mapping(address node => uint256)) public earnedOf;

    mapping(uint256 id => Exit) private _exits;
    /// @notice Requests to leave ever made.
    uint256 public exitCount;

    event Settled(uint256 indexed period, uint256 fees, uint256 nodes, uint256 subsidy, uint256 taken);
    event Earned(uint256 indexed period, address indexed node, uint256 amount);
    event ExitRequested(uint256 indexed id, address indexed owner, uint256 shares, uint256 readyAt);
    event ExitServed(uint256 indexed id, address indexed owner, uint256 assets);

    error PeriodNotOver(uint256 period);
    error PeriodNotNext(uint256 period, uint256 next);
    error NoQuorum();
    error NodeUnchanged(address node);
    error TooManyNodes(uint256 count);
    error AmountZero();
    error NotSettled(uint256 period);
    error ExitUnknown(uint256 id);
    error ExitTooEarly(uint256 readyAt);
    error DepositMismatch(uint256 expected, uint256 received);
    error VaultInvalid();

    constructor(address asset_, address committee_, bytes6 region_, uint256 floor_, uint256 start_, uint256 period_)
        ERC4626(IERC20(asset_))
        ERC20("Byway region vault", "BYV")
    {
        if (period_ == 0) revert VaultInvalid();
        (COMMITTEE, REGION, FLOOR) = (Committee(committee_), region_, floor_);
        (START, PERIOD, NOTICE) = (start_, period_, period_);
    }

    // ---------------------------------------------------------------------------------------------------- providers

    /// @notice Brings fees of a provider for the period now. They come back by {collectFees} when it is settled.
    function earn(address node, uint256 amount) external nonReentrant {
        if (amount == 0) revert AmountZero();
        uint256 period = periodNow();
        // A period that was settled early would be lost; there is none, because {settle} waits for its end.
        feesOf[period] += amount;
        earnedOf[period][node] += amount;
        owed += amount;
        emit Earned(period, node, amount);
        _pull(amount);
    }

    /// @notice Calls the committee that says who proved to be there in the next period to settle.
    function summon() external returns (bytes32) {
        return COMMITTEE.summon(labelOf(nextPeriod));
    }

    /// @notice Settles the next period, by what the committee saw: who came, who left.
    function settle(
        uint256 period,
        address[] calldata came,
        address[] calldata left,
        uint256 signers,
        bytes32[2][] calldata signatures
    ) external nonReentrant {
        if (period != nextPeriod) revert PeriodNotNext(period, nextPeriod);
        if (block.timestamp < START + (period + 1) * PERIOD) revert PeriodNotOver(period);
        bytes32 topic = COMMITTEE.topicOf(address(this), labelOf(period));
        if (!COMMITTEE.agreed(topic, statementOf(period, came, left), signers, signatures)) revert NoQuorum();
        nextPeriod = period + 1;
        _change(came, left);

        uint256 fees = feesOf[period];
        (uint256 subsidy, uint256 taken) = flow(fees, nodes, FLOOR, subsidised, returned);
        // Never above what the investors have: a vault that runs dry pays what is left.
        subsidy = Math.min(subsidy, totalAssets());
        if (subsidy != 0) {
            subsidised += subsidy;
            owed += subsidy;
            _perNode += Math.mulDiv(subsidy, SCALE, nodes);
        }
        takenOf[period] = taken;
        returned += taken;
        owed -= taken;
        emit Settled(period, fees, nodes, subsidy, taken);
    }

    /// @notice Ends the next period without a committee, when none spoke for {LATE} periods after it: nothing is paid or
    ///         taken, and the fees go back to who earned them. Anyone may.
    function lapse() external {
        uint256 period = nextPeriod;
        if (block.timestamp < START + (period + 1 + LATE) * PERIOD) revert PeriodNotOver(period);
        nextPeriod = period + 1;
        emit Settled(period, feesOf[period], nodes, 0, 0);
    }

    /// @notice Books a provider's fees of a settled period, less the vault's share. Anyone may call.
    function collectFees(uint256 period, address node) external returns (uint256 amount) {
        if (period >= nextPeriod) revert NotSettled(period);
        uint256 fees = feesOf[period];
        if (fees != 0) amount = Math.mulDiv(earnedOf[period][node], fees - takenOf[period], fees);
        delete earnedOf[period][node];
        credits[node] += amount;
    }

    /// @notice Pays the caller's subsidies, fees and exits.
    function collect() external nonReentrant returns (uint256 amount) {
        _book(msg.sender);
        amount = credits[msg.sender];
        delete credits[msg.sender];
        owed -= amount;
        IERC20(asset()).safeTransfer(msg.sender, amount);
    }

    /// @notice What one period pays and takes. The arithmetic of economics.md 4.5; the same in src/economy/vault.ts.
    function flow(uint256 fees, uint256 nodes_, uint256 floor_, uint256 subsidised_, uint256 returned_)
        public
        pure
        returns (uint256 subsidy, uint256 taken)
    {
        uint256 need = floor_ * nodes_;
        if (fees < need) return (need - fees, 0);
        uint256 due = subsidised_ * RETURN_PERCENT / 100 - returned_;
        taken = Math.min((fees - need) * SHARE_PERCENT / 100, due);
    }

    // ---------------------------------------------------------------------------------------------------- investors

    /// @notice Puts `shares` of the caller in the queue. They share gains and losses until they are served.
    function requestRedeem(uint256 shares) external nonReentrant returns (uint256 id) {
        if (shares == 0) revert AmountZero();
        id = exitCount++;
        // forge-lint: disable-next-line(unsafe-typecast) -- seconds fit for ages
        uint64 readyAt = uint64(block.timestamp + NOTICE);
        _exits[id] = Exit({owner: msg.sender, readyAt: readyAt, shares: shares});
        emit ExitRequested(id, msg.sender, shares, readyAt);
        _transfer(msg.sender, address(this), shares);
    }

    /// @notice Serves an exit whose time has come, at the price of now. Anyone may. The vault has all its assets at hand,
    ///         so nobody waits for who asked before; and the money is collected, so that one owner the token refuses
    ///         holds up nobody.
    function serve(uint256 id) external nonReentrant returns (uint256 assets) {
        Exit memory exit = _exits[id];
        if (exit.shares == 0) revert ExitUnknown(id);
        if (block.timestamp < exit.readyAt) revert ExitTooEarly(exit.readyAt);
        delete _exits[id];
        assets = previewRedeem(exit.shares);
        emit ExitServed(id, exit.owner, assets);
        _burn(address(this), exit.shares);
        owed += assets;
        credits[exit.owner] += assets;
    }

    /// @notice A request to leave; empty when it was served.
    function exitOf(uint256 id) external view returns (Exit memory) {
        return _exits[id];
    }

    /// @inheritdoc ERC4626
    /// @dev Without what is owed to others.
    function totalAssets() public view override returns (uint256) {
        return IERC20(asset()).balanceOf(address(this)) - owed;
    }

    /// @inheritdoc ERC4626
    /// @dev Closed: the way out is the queue.
    function maxWithdraw(address) public pure override returns (uint256) {
        return 0;
    }

    /// @inheritdoc ERC4626
    /// @dev Closed: the way out is the queue.
    function maxRedeem(address) public pure override returns (uint256) {
        return 0;
    }

    // ------------------------------------------------------------------------------------------------------- views

    /// @notice The period now; 0 also before START.
    function periodNow() public view returns (uint256) {
        return block.timestamp < START ? 0 : (block.timestamp - START) / PERIOD;
    }

    /// @notice What a provider or investor can collect, fees that are not booked apart.
    function creditOf(address account) external view returns (uint256) {
        return credits[account] + (isNode[account] ? (_perNode - _seen[account]) / SCALE : 0);
    }

    /// @notice Label of the committee of a period.
    function labelOf(uint256 period) public pure returns (bytes32) {
        return keccak256(abi.encode(NODES, period));
    }

    /// @notice What the committee signs.
    function statementOf(uint256 period, address[] calldata came, address[] calldata left)
        public
        view
        returns (Statement memory)
    {
        return Statement({
            kind: NODES,
            stream: keccak256(abi.encode(address(this))),
            // forge-lint: disable-next-line(unsafe-typecast) -- a period that is over, wherever it is used
            counter: uint64(period),
            content: keccak256(abi.encode(came, left))
        });
    }

    // ----------------------------------------------------------------------------------------------------- private

    function _decimalsOffset() internal pure override returns (uint8) {
        return 6;
    }

    /// @dev ERC-4626's own way in, behind the same guard and the same check of what arrived.
    function _transferIn(address from, uint256 assets) internal override nonReentrant {
        uint256 before = IERC20(asset()).balanceOf(address(this));
        super._transferIn(from, assets);
        uint256 received = IERC20(asset()).balanceOf(address(this)) - before;
        if (received != assets) revert DepositMismatch(assets, received);
    }

    function _pull(uint256 amount) private {
        uint256 before = IERC20(asset()).balanceOf(address(this));
        IERC20(asset()).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(asset()).balanceOf(address(this)) - before;
        if (received != amount) revert DepositMismatch(amount, received);
    }

    /// @dev Who came shares from this period on; who left is paid up to the one before.
    function _change(address[] calldata came, address[] calldata left) private {
        for (uint256 i = 0; i < left.length; ++i) {
            if (!isNode[left[i]]) revert NodeUnchanged(left[i]);
            _book(left[i]);
            isNode[left[i]] = false;
        }
        for (uint256 i = 0; i < came.length; ++i) {
            if (isNode[came[i]]) revert NodeUnchanged(came[i]);
            isNode[came[i]] = true;
            _seen[came[i]] = _perNode;
        }
        nodes = nodes + came.length - left.length;
        if (nodes > MAX_NODES) revert TooManyNodes(nodes);
    }

    function _book(address node) private {
        if (!isNode[node]) return;
        credits[node] += (_perNode - _seen[node]) / SCALE;
        _seen[node] = _perNode;
    }
}
