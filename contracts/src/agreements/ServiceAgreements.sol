// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IParameters} from "../../interfaces/IParameters.sol";
import {Statement} from "../../interfaces/IRegistry.sol";
import {Deviation} from "../libraries/Deviation.sol";
import {Statements} from "../libraries/Statements.sol";
import {Committee} from "../registry/Committee.sol";

/// @notice What consumer and provider sign. EIP-712 type of the same fields, in this order.
/// @param payment What the consumer pays for the whole time.
/// @param bond What the provider puts up; at most a quarter of it is lost.
/// @param objective Promised level in hundredths of a percent of whatever `metric` counts, 1 to 10,000.
/// @param metric keccak256 of what is measured and how; the parties know the text.
/// @param start First second it holds.
/// @param end First second it holds no more.
/// @param nonce Tells two agreements on the same terms apart.
/// @param deadline Last second at which it may be opened.
struct Terms {
    address consumer;
    address provider;
    uint96 payment;
    uint96 bond;
    uint16 objective;
    bytes32 metric;
    uint64 start;
    uint64 end;
    uint64 nonce;
    uint64 deadline;
}

/// @notice The life of an agreement. The last three are final.
enum State {
    None,
    Open,
    Reported,
    Disputed,
    Met,
    Broken,
    Cancelled
}

/// @notice An agreement, open or over.
/// @param indicator Level that was reported, in hundredths of a percent.
/// @param until In Open: last moment for a report. In Reported: first second to settle. In Disputed: first second at
///        which it is cancelled for want of a ruling.
struct Agreement {
    address consumer;
    address provider;
    uint96 payment;
    uint96 bond;
    uint16 objective;
    uint16 indicator;
    uint64 end;
    uint64 until;
    State state;
    address reporter;
    address disputer;
}

/// @title Service agreements
/// @notice Terms signed by both, money of both held here, samples of a committee, and a shortfall that refunds itself.
///
///     open --> (nobody reports in time) --------------------------------------> Met: optimistic
///       +--> report (2f + 1 signed) --(2 h, no dispute)--> settle ------------> Met or Broken, by the report
///                  +--> dispute (bond) --> rule (another committee) ----------> Met or Broken, by the ruling
///                                             +--> (no ruling in time) -------> Cancelled: everybody gets his own back
///
/// What holds, and is tested: paid + refunded + burnt = deposited; exactly one final state; who delivers more than was
/// promised loses nothing; every second belongs to dispute or to settlement, never to both.
/// @dev In dollars. Money is booked, never sent: nobody who cannot be paid holds up anybody. Of a disputed pair of bonds
///      the winner gets three quarters and {SINK} the rest, so that disputing with oneself costs.
contract ServiceAgreements is EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    bytes32 public constant SAMPLES = keccak256("samples");
    bytes32 public constant APPEAL = keccak256("appeal");
    bytes32 private constant TERMS_TYPEHASH = keccak256(
        "Terms(address consumer,address provider,uint96 payment,uint96 bond,uint16 objective,bytes32 metric,uint64 start,uint64 end,uint64 nonce,uint64 deadline)"
    );
    /// @notice Seconds in which a report can be disputed.
    uint256 public constant LIVENESS = 2 hours;
    /// @notice Seconds after the end in which a report can come, and seconds a dispute may take.
    uint256 public constant PATIENCE = 3 days;
    /// @notice Longest agreement.
    uint256 public constant MAX_TERM = 366 days;
    uint256 private constant WHOLE = 10_000;

    IERC20 public immutable DOLLAR;
    Committee public immutable COMMITTEE;
    IParameters public immutable PARAMETERS;
    /// @notice What reporter and disputer each put up.
    uint256 public immutable DISPUTE_BOND;
    /// @notice Where lost bonds go: the burn auction.
    address public immutable SINK;

    mapping(bytes32 id => Agreement) private _agreements;
    mapping(address owner => uint256) public credits;

    event Opened(bytes32 indexed id, address indexed consumer, address indexed provider, Terms terms);
    event Reported(bytes32 indexed id, address reporter, uint256 indicator);
    event Disputed(bytes32 indexed id, address disputer);
    event Ended(bytes32 indexed id, State state, uint256 toConsumer, uint256 toProvider);

    error TermsInvalid();
    error TermsExpired(uint256 deadline);
    error NotSigned(address party);
    error AlreadyOpened(bytes32 id);
    error WrongState(bytes32 id, State state);
    error TooEarly(uint256 from);
    error TooLate(uint256 until);
    error NoQuorum();
    error DepositMismatch(uint256 expected, uint256 received);

    constructor(address dollar_, address committee_, address parameters_, uint256 disputeBond_, address sink_)
        EIP712("Byway Agreements", "1")
    {
        (DOLLAR, COMMITTEE, PARAMETERS) = (IERC20(dollar_), Committee(committee_), IParameters(parameters_));
        (DISPUTE_BOND, SINK) = (disputeBond_, sink_);
    }

    // -------------------------------------------------------------------------------------------------------- opening

    /// @notice Opens an agreement that both signed, with both parties' allowances. Anyone may submit it.
    /// @param signatures r and vs of the consumer, r and vs of the provider.
    function open(Terms calldata terms, bytes32[4] calldata signatures) external nonReentrant returns (bytes32 id) {
        id = _hashTypedDataV4(keccak256(abi.encode(TERMS_TYPEHASH, terms)));
        if (Statements.signerOf(id, signatures[0], signatures[1]) != terms.consumer || terms.consumer == address(0)) {
            revert NotSigned(terms.consumer);
        }
        if (Statements.signerOf(id, signatures[2], signatures[3]) != terms.provider || terms.provider == address(0)) {
            revert NotSigned(terms.provider);
        }
        if (_agreements[id].state != State.None) revert AlreadyOpened(id);
        if (block.timestamp > terms.deadline) revert TermsExpired(terms.deadline);
        if (
            terms.objective == 0 || terms.objective > WHOLE || terms.consumer == terms.provider
                || terms.end <= terms.start || terms.end <= block.timestamp || terms.end > block.timestamp + MAX_TERM
        ) revert TermsInvalid();
        _agreements[id] = Agreement({
            consumer: terms.consumer,
            provider: terms.provider,
            payment: terms.payment,
            bond: terms.bond,
            objective: terms.objective,
            indicator: 0,
            end: terms.end,
            // forge-lint: disable-next-line(unsafe-typecast) -- at most MAX_TERM and PATIENCE from now
            until: uint64(terms.end + PATIENCE),
            state: State.Open,
            reporter: address(0),
            disputer: address(0)
        });
        emit Opened(id, terms.consumer, terms.provider, terms);
        _pull(terms.consumer, terms.payment);
        _pull(terms.provider, terms.bond);
    }

    // -------------------------------------------------------------------------------------------------------- outcome

    /// @notice Calls the committee of an agreement's samples; before the end, because it has to sample.
    function summon(bytes32 id) external returns (bytes32) {
        _require(id, State.Open);
        return COMMITTEE.summon(labelOf(SAMPLES, id));
    }

    /// @notice Brings the level a committee measured, with a bond.
    function report(bytes32 id, uint16 indicator, uint256 signers, bytes32[2][] calldata signatures)
        external
        nonReentrant
    {
        Agreement storage agreement = _require(id, State.Open);
        if (block.timestamp < agreement.end) revert TooEarly(agreement.end);
        if (block.timestamp >= agreement.until) revert TooLate(agreement.until);
        _requireQuorum(SAMPLES, id, indicator, signers, signatures);
        (agreement.state, agreement.reporter, agreement.indicator) = (State.Reported, msg.sender, indicator);
        // forge-lint: disable-next-line(unsafe-typecast) -- seconds fit for ages
        agreement.until = uint64(block.timestamp + LIVENESS);
        emit Reported(id, msg.sender, indicator);
        _pull(msg.sender, DISPUTE_BOND);
    }

    /// @notice Doubts a report, with a bond, while it is alive: from then on only another committee decides.
    function dispute(bytes32 id) external nonReentrant {
        Agreement storage agreement = _require(id, State.Reported);
        if (block.timestamp >= agreement.until) revert TooLate(agreement.until);
        (agreement.state, agreement.disputer) = (State.Disputed, msg.sender);
        // forge-lint: disable-next-line(unsafe-typecast) -- seconds fit for ages
        agreement.until = uint64(block.timestamp + PATIENCE);
        COMMITTEE.summon(labelOf(APPEAL, id));
        emit Disputed(id, msg.sender);
        _pull(msg.sender, DISPUTE_BOND);
    }

    /// @notice Brings the level the second committee measured: final.
    function rule(bytes32 id, uint16 indicator, uint256 signers, bytes32[2][] calldata signatures)
        external
        nonReentrant
    {
        Agreement storage agreement = _require(id, State.Disputed);
        if (block.timestamp >= agreement.until) revert TooLate(agreement.until);
        _requireQuorum(APPEAL, id, indicator, signers, signatures);
        bool right = indicator == agreement.indicator;
        agreement.indicator = indicator;
        _end(id, agreement);
        uint256 lost = DISPUTE_BOND / 2;
        credits[right ? agreement.reporter : agreement.disputer] += 2 * DISPUTE_BOND - lost;
        credits[SINK] += lost;
    }

    /// @notice Ends an agreement whose time has come: nobody reported, nobody disputed, or nobody ruled. Anyone may.
    function settle(bytes32 id) external nonReentrant {
        Agreement storage agreement = _agreements[id];
        State state = agreement.state;
        if (state != State.Open && state != State.Reported && state != State.Disputed) revert WrongState(id, state);
        if (block.timestamp < agreement.until) revert TooEarly(agreement.until);
        if (state == State.Disputed) {
            agreement.state = State.Cancelled;
            credits[agreement.consumer] += agreement.payment;
            credits[agreement.provider] += agreement.bond;
            credits[agreement.reporter] += DISPUTE_BOND;
            credits[agreement.disputer] += DISPUTE_BOND;
            emit Ended(id, State.Cancelled, agreement.payment, agreement.bond);
        } else {
            // Nobody complained: what was promised counts as delivered.
            if (state == State.Open) agreement.indicator = agreement.objective;
            else credits[agreement.reporter] += DISPUTE_BOND;
            _end(id, agreement);
        }
    }

    /// @notice Pays the caller's credits to `to`.
    function collect(address to) external nonReentrant returns (uint256 amount) {
        amount = credits[msg.sender];
        delete credits[msg.sender];
        DOLLAR.safeTransfer(to, amount);
    }

    /// @notice Sends what lost bonds brought to the sink. Anyone may.
    function drain() external nonReentrant returns (uint256 amount) {
        amount = credits[SINK];
        delete credits[SINK];
        DOLLAR.safeTransfer(SINK, amount);
    }

    // ---------------------------------------------------------------------------------------------------------- views

    /// @notice An agreement.
    function agreementOf(bytes32 id) external view returns (Agreement memory) {
        return _agreements[id];
    }

    /// @notice Name of an agreement, which is also what both sign.
    function idOf(Terms calldata terms) external view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(TERMS_TYPEHASH, terms)));
    }

    /// @notice Label of a committee.
    function labelOf(bytes32 kind, bytes32 id) public pure returns (bytes32) {
        return keccak256(abi.encode(kind, id));
    }

    /// @notice What a committee signs.
    function statementOf(bytes32 kind, bytes32 id, uint16 indicator) public view returns (Statement memory) {
        return Statement({
            kind: kind,
            stream: keccak256(abi.encode(address(this), id)),
            counter: 0,
            content: keccak256(abi.encode(indicator))
        });
    }

    // -------------------------------------------------------------------------------------------------------- private

    function _require(bytes32 id, State state) private view returns (Agreement storage agreement) {
        agreement = _agreements[id];
        if (agreement.state != state) revert WrongState(id, agreement.state);
    }

    function _requireQuorum(
        bytes32 kind,
        bytes32 id,
        uint16 indicator,
        uint256 signers,
        bytes32[2][] calldata signatures
    ) private view {
        bytes32 topic = COMMITTEE.topicOf(address(this), labelOf(kind, id));
        if (!COMMITTEE.agreed(topic, statementOf(kind, id, indicator), signers, signatures)) revert NoQuorum();
    }

    /// @dev Books the outcome. The state is written before anything else.
    function _end(bytes32 id, Agreement storage agreement) private {
        uint256 refund =
            Deviation.refund(agreement.bond, agreement.objective, agreement.indicator, PARAMETERS.get("slaDeviation"));
        agreement.state = agreement.indicator < agreement.objective ? State.Broken : State.Met;
        credits[agreement.consumer] += refund;
        credits[agreement.provider] += uint256(agreement.payment) + agreement.bond - refund;
        emit Ended(id, agreement.state, refund, uint256(agreement.payment) + agreement.bond - refund);
    }

    function _pull(address from, uint256 amount) private {
        uint256 before = DOLLAR.balanceOf(address(this));
        DOLLAR.safeTransferFrom(from, address(this), amount);
        uint256 received = DOLLAR.balanceOf(address(this)) - before;
        if (received != amount) revert DepositMismatch(amount, received);
    }
}
