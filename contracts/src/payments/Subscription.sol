// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Subscriptions: flat dollars a month for a byte allowance
/// @notice A subscriber pays months in advance to a provider that offered a plan; the provider earns them second by second.
///         The rule it keeps: whoever cancels has back what is not used, at once, and nobody can hold it back. Bytes are
///         counted off chain, by the two who see them: the allowance is a term both can read here.
/// @dev Paid out on demand, never pushed: a provider the token refuses harms itself alone. What is earned is rounded down
///      for the provider until the end, when all of it is earned.
contract Subscription is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice A month: the unit of what is sold.
    uint256 public constant MONTH = 30 days;
    /// @notice Most months paid in advance in one go.
    uint256 public constant MAX_MONTHS = 24;

    /// @param provider Who earns it.
    /// @param price Dollars a month, in the token's unit.
    /// @param allowance Bytes a month.
    struct Plan {
        address provider;
        uint96 price;
        uint64 allowance;
    }

    /// @param paid What was paid in for the running time.
    /// @param taken What the provider took of it.
    /// @param start When that time began; 0 when there is none.
    /// @param end When it is over.
    struct Term {
        uint96 paid;
        uint96 taken;
        uint64 start;
        uint64 end;
    }

    IERC20 public immutable TOKEN;

    mapping(bytes32 plan => mapping(address subscriber => Term)) private _terms;

    event Subscribed(bytes32 indexed plan, address indexed subscriber, uint256 paid, uint256 end);
    event Taken(bytes32 indexed plan, address indexed subscriber, uint256 amount);
    event Cancelled(bytes32 indexed plan, address indexed subscriber, uint256 refund);

    /// @notice A plan needs a provider and a price, a subscription between 1 and MAX_MONTHS months.
    error SubscriptionInvalid();
    /// @notice There is a running subscription; cancel it or let it end.
    error AlreadySubscribed(uint256 end);
    /// @notice There is none that runs.
    error NotSubscribed();
    /// @notice The token moved another amount than the price.
    error PaymentMismatch(uint256 expected, uint256 received);

    constructor(IERC20 token) {
        TOKEN = token;
    }

    /// @notice The name of a plan: of exactly these terms, so a provider cannot change what somebody subscribed to.
    function planOf(Plan calldata plan) public pure returns (bytes32) {
        return keccak256(abi.encode(plan));
    }

    /// @notice Pays `months` in advance. Anyone may subscribe to any plan: it binds the provider to nothing but a refund.
    function subscribe(Plan calldata plan, uint256 months) external nonReentrant returns (bytes32 id) {
        if (plan.provider == address(0) || plan.price == 0 || months == 0 || months > MAX_MONTHS) {
            revert SubscriptionInvalid();
        }
        id = planOf(plan);
        Term storage term = _terms[id][msg.sender];
        if (block.timestamp < term.end) revert AlreadySubscribed(term.end);
        uint256 left = term.paid - term.taken;
        uint256 paid = plan.price * months;
        if (paid > type(uint96).max) revert SubscriptionInvalid();
        // forge-lint: disable-next-item(unsafe-typecast) -- checked above; times fit for ages
        _terms[id][msg.sender] = Term({
            paid: uint96(paid), taken: 0, start: uint64(block.timestamp), end: uint64(block.timestamp + months * MONTH)
        });
        emit Subscribed(id, msg.sender, paid, block.timestamp + months * MONTH);
        if (left != 0) {
            emit Taken(id, msg.sender, left);
            TOKEN.safeTransfer(plan.provider, left);
        }
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(msg.sender, address(this), paid);
        uint256 received = TOKEN.balanceOf(address(this)) - before;
        if (received != paid) revert PaymentMismatch(paid, received);
    }

    /// @notice Pays the provider what it earned of `subscriber`'s money so far. Anyone may call.
    function take(Plan calldata plan, address subscriber) external nonReentrant returns (uint256 amount) {
        bytes32 id = planOf(plan);
        Term storage term = _terms[id][subscriber];
        amount = _earned(term) - term.taken;
        if (amount == 0) return 0;
        // forge-lint: disable-next-line(unsafe-typecast) -- at most `paid`, which is a uint96
        term.taken += uint96(amount);
        emit Taken(id, subscriber, amount);
        TOKEN.safeTransfer(plan.provider, amount);
    }

    /// @notice Ends the caller's subscription now: the unused part goes back at once, the rest waits for the provider.
    function cancel(Plan calldata plan) external nonReentrant returns (uint256 refund) {
        bytes32 id = planOf(plan);
        Term storage term = _terms[id][msg.sender];
        if (block.timestamp >= term.end) revert NotSubscribed();
        uint256 earned = _earned(term);
        refund = term.paid - earned;
        // forge-lint: disable-next-item(unsafe-typecast) -- at most `paid`, which is a uint96
        (term.paid, term.end) = (uint96(earned), uint64(block.timestamp));
        emit Cancelled(id, msg.sender, refund);
        TOKEN.safeTransfer(msg.sender, refund);
    }

    /// @notice Terms of a subscription, and what the provider has earned of it so far.
    function termOf(bytes32 plan, address subscriber) external view returns (Term memory term, uint256 earned) {
        term = _terms[plan][subscriber];
        earned = _earned(_terms[plan][subscriber]);
    }

    function _earned(Term storage term) private view returns (uint256) {
        if (block.timestamp >= term.end) return term.paid;
        return uint256(term.paid) * (block.timestamp - term.start) / (term.end - term.start);
    }
}
