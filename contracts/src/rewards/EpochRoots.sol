// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IParameters} from "../../interfaces/IParameters.sol";
import {IRegistry, Statement} from "../../interfaces/IRegistry.sol";
import {Epochs} from "../Epochs.sol";
import {Committee} from "../registry/Committee.sol";

/// @notice A root that waits for its challenge window to end.
/// @param root Of the tree of (operator, cumulative reward) leaves.
/// @param signers Bitmap over the committee.
/// @param total Sum of all leaves, all epochs together.
/// @param epoch The last one it covers.
/// @param endsAt First second at which it can be made final, or at which its appeal lapses.
/// @param bond What proposer and challenger each put up.
/// @param proposer Who brought it.
/// @param challenger Who doubts it; 0 if nobody does.
struct Proposal {
    bytes32 root;
    uint256 signers;
    uint128 total;
    uint64 epoch;
    uint64 endsAt;
    uint256 bond;
    address proposer;
    address challenger;
}

/// @notice A leaf and the way from it to a root: the standard tree of OpenZeppelin.
struct Leaf {
    address operator;
    uint256 cumulative;
    bytes32[] proof;
}

/// @title Capacity rewards by epoch roots
/// @notice Pays WAY that was minted or sent here to operators, by a tree of cumulative rewards that 2f + 1 of a
///         committee signed and nobody refuted in time.
///
///     propose --window--> settle: final
///        |  refute (a contradiction in the tree itself) ----> dropped, signers slashed
///        +- challenge --> rule: a second committee agrees --> final, the challenger pays
///                          |     or not -------------------> dropped, signers slashed
///                          +--- no ruling in time ---------> dropped, everybody gets the bond back
///
/// What holds, and is tested: what an operator claimed never falls and never exceeds its leaf; no final total exceeds
/// what was funded; a dropped root costs nobody a reward, because the next one is cumulative.
/// @dev The committee's signatures are Statements: who signs two roots for one epoch is slashed by the Registry alone.
contract EpochRoots is Epochs, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    bytes32 public constant ROOT = keccak256("root");
    bytes32 public constant APPEAL = keccak256("appeal");
    uint256 private constant WAY = 1e18;

    IERC20 public immutable TOKEN;
    IRegistry public immutable REGISTRY;
    Committee public immutable COMMITTEE;
    IParameters public immutable PARAMETERS;

    /// @notice The newest final root, its total and its epoch.
    bytes32 public root;
    uint256 public total;
    uint256 public epochOfRoot;
    /// @notice How often the next root was dropped. Every try has a committee of its own.
    uint256 public attempt;
    /// @notice Paid out so far, and bonds held, collected ones apart.
    uint256 public paid;
    uint256 public bonds;

    mapping(address operator => uint256) public claimed;
    mapping(address owner => uint256) public credits;
    Proposal private _pending;

    event Proposed(uint256 indexed epoch, bytes32 root, uint256 total, address proposer);
    event Challenged(uint256 indexed epoch, address challenger);
    event Final(uint256 indexed epoch, bytes32 root, uint256 total);
    event Dropped(uint256 indexed epoch, bytes32 root, bool refuted);
    event Claimed(address indexed operator, uint256 amount);

    error EpochNotOver(uint256 epoch);
    error EpochNotNew(uint256 epoch, uint256 newest);
    error ProposalPending();
    error NothingPending();
    error TotalInvalid(uint256 total, uint256 lowest, uint256 funded);
    error NoQuorum();
    error WindowOver(uint256 endsAt);
    error WindowOpen(uint256 endsAt);
    error AlreadyChallenged();
    error NotChallenged();
    error ProofInvalid(address operator);
    error NoContradiction();

    constructor(address token_, address committee_, address parameters_, uint256 start, uint256 length)
        Epochs(start, length)
    {
        (TOKEN, COMMITTEE, PARAMETERS) = (IERC20(token_), Committee(committee_), IParameters(parameters_));
        REGISTRY = COMMITTEE.REGISTRY();
    }

    /// @notice All that ever came to pay rewards.
    function funded() public view returns (uint256) {
        return TOKEN.balanceOf(address(this)) + paid - bonds;
    }

    /// @notice Seconds in which a root can be doubted: the governed number, and never more than an epoch, because the root of
    ///         the next one must not wait behind it.
    function challengeSeconds() public view returns (uint256) {
        return Math.min(PARAMETERS.get("challengeWindow"), EPOCH);
    }

    /// @notice The root that waits, if any.
    function pending() external view returns (Proposal memory) {
        return _pending;
    }

    /// @notice Label of the committee for an epoch: of the roots themselves, or of an appeal.
    function labelOf(bytes32 kind, uint256 number) public view returns (bytes32) {
        return keccak256(abi.encode(kind, number, attempt));
    }

    /// @notice What the committee signs.
    function statementOf(bytes32 kind, uint256 number, bytes32 root_, uint256 total_)
        public
        view
        returns (Statement memory)
    {
        return Statement({
            kind: kind,
            stream: keccak256(abi.encode(address(this), attempt)),
            // forge-lint: disable-next-line(unsafe-typecast) -- an epoch that is over, wherever it is used
            counter: uint64(number),
            content: keccak256(abi.encode(root_, total_))
        });
    }

    // -------------------------------------------------------------------------------------------------- roots

    /// @notice Calls the committee that may sign the root of an epoch that is over.
    function summon(uint256 number) external returns (bytes32 topic) {
        _checkEpoch(number);
        topic = COMMITTEE.summon(labelOf(ROOT, number));
    }

    /// @notice Brings the signed root of an epoch, with a bond.
    function propose(uint256 number, bytes32 root_, uint256 total_, uint256 signers, bytes32[2][] calldata signatures)
        external
        nonReentrant
    {
        _checkEpoch(number);
        if (_pending.proposer != address(0)) revert ProposalPending();
        if (root_ == 0) revert ProofInvalid(address(0));
        if (total_ < total || total_ > funded()) revert TotalInvalid(total_, total, funded());
        _requireQuorum(ROOT, number, root_, total_, signers, signatures);

        uint256 bond = PARAMETERS.get("rootBond") * WAY;
        _pending = Proposal({
            root: root_,
            signers: signers,
            // forge-lint: disable-next-line(unsafe-typecast) -- at most what was funded
            total: uint128(total_),
            // forge-lint: disable-next-line(unsafe-typecast) -- an epoch that is over
            epoch: uint64(number),
            endsAt: uint64(block.timestamp + challengeSeconds()),
            bond: bond,
            proposer: msg.sender,
            challenger: address(0)
        });
        emit Proposed(number, root_, total_, msg.sender);
        _takeBond(bond);
    }

    /// @notice Doubts the pending root, with as large a bond: a second committee shall rule.
    function challenge() external nonReentrant {
        Proposal storage proposal = _open();
        if (proposal.challenger != address(0)) revert AlreadyChallenged();
        if (block.timestamp >= proposal.endsAt) revert WindowOver(proposal.endsAt);
        proposal.challenger = msg.sender;
        proposal.endsAt = uint64(block.timestamp + challengeSeconds());
        COMMITTEE.summon(labelOf(APPEAL, proposal.epoch));
        emit Challenged(proposal.epoch, msg.sender);
        _takeBond(proposal.bond);
    }

    /// @notice Brings what the second committee signed for the epoch: the same, or not.
    function rule(bytes32 root_, uint256 total_, uint256 signers, bytes32[2][] calldata signatures)
        external
        nonReentrant
    {
        Proposal memory proposal = _open();
        if (proposal.challenger == address(0)) revert NotChallenged();
        if (block.timestamp >= proposal.endsAt) revert WindowOver(proposal.endsAt);
        _requireQuorum(APPEAL, proposal.epoch, root_, total_, signers, signatures);
        if (root_ == proposal.root && total_ == proposal.total) {
            _finish(proposal);
            _payBonds(proposal, proposal.proposer);
        } else {
            _overturn(proposal, proposal.challenger);
        }
    }

    /// @notice Ends the pending root by time: final if nobody challenged, dropped if the appeal got no ruling.
    function settle() external nonReentrant {
        Proposal memory proposal = _open();
        if (block.timestamp < proposal.endsAt) revert WindowOpen(proposal.endsAt);
        credits[proposal.proposer] += proposal.bond;
        if (proposal.challenger == address(0)) {
            _finish(proposal);
        } else {
            credits[proposal.challenger] += proposal.bond;
            _drop(proposal, false);
        }
    }

    /// @notice Shows that the pending root contradicts itself, its total, or what is final: then its signers lied, and
    ///         no second committee is needed. Anyone may, until it is final; no bond.
    /// @param b Another leaf of the pending root, or of the final one if `inFinal`.
    function refute(Leaf calldata a, Leaf calldata b, bool inFinal) external nonReentrant {
        Proposal memory proposal = _open();
        _requireLeaf(proposal.root, a);
        _requireLeaf(inFinal ? root : proposal.root, b);
        bool fell =
            a.cumulative < claimed[a.operator] || (inFinal && a.operator == b.operator && a.cumulative < b.cumulative);
        bool twice = !inFinal && a.operator == b.operator && a.cumulative != b.cumulative;
        bool over = a.cumulative > proposal.total
            || (!inFinal && a.operator != b.operator && a.cumulative + b.cumulative > proposal.total);
        if (!fell && !twice && !over) revert NoContradiction();
        _overturn(proposal, msg.sender);
    }

    // -------------------------------------------------------------------------------------------------- paying

    /// @notice Pays an operator and its delegators what its leaf in the final root has beyond what was claimed.
    function claim(Leaf calldata leaf) external nonReentrant returns (uint256 amount) {
        _requireLeaf(root, leaf);
        uint256 before = claimed[leaf.operator];
        if (leaf.cumulative <= before) return 0;
        amount = leaf.cumulative - before;
        claimed[leaf.operator] = leaf.cumulative;
        paid += amount;
        // A tree whose leaves exceed its total is false; until somebody refutes it, it stops here.
        if (paid > total) revert TotalInvalid(paid, 0, total);
        emit Claimed(leaf.operator, amount);
        TOKEN.forceApprove(address(REGISTRY), amount);
        REGISTRY.distribute(leaf.operator, amount);
    }

    /// @notice Pays out returned and won bonds of the caller.
    function collect() external nonReentrant returns (uint256 amount) {
        amount = credits[msg.sender];
        delete credits[msg.sender];
        bonds -= amount;
        TOKEN.safeTransfer(msg.sender, amount);
    }

    // ------------------------------------------------------------------------------------------------- private

    function _checkEpoch(uint256 number) private view {
        if (block.timestamp < endOf(number)) revert EpochNotOver(number);
        if (root != 0 && number <= epochOfRoot) revert EpochNotNew(number, epochOfRoot);
    }

    function _open() private view returns (Proposal storage proposal) {
        proposal = _pending;
        if (proposal.proposer == address(0)) revert NothingPending();
    }

    function _requireQuorum(
        bytes32 kind,
        uint256 number,
        bytes32 root_,
        uint256 total_,
        uint256 signers,
        bytes32[2][] calldata signatures
    ) private view {
        bytes32 topic = COMMITTEE.topicOf(address(this), labelOf(kind, number));
        if (!COMMITTEE.agreed(topic, statementOf(kind, number, root_, total_), signers, signatures)) revert NoQuorum();
    }

    /// @dev A leaf is hashed twice: no inner node of 64 bytes can be read as one.
    function _requireLeaf(bytes32 root_, Leaf calldata leaf) private pure {
        bytes32 hash = keccak256(bytes.concat(keccak256(abi.encode(leaf.operator, leaf.cumulative))));
        if (root_ == 0 || !MerkleProof.verifyCalldata(leaf.proof, root_, hash)) revert ProofInvalid(leaf.operator);
    }

    function _takeBond(uint256 bond) private {
        bonds += bond;
        TOKEN.safeTransferFrom(msg.sender, address(this), bond);
    }

    function _finish(Proposal memory proposal) private {
        delete _pending;
        (root, total, epochOfRoot, attempt) = (proposal.root, proposal.total, proposal.epoch, 0);
        emit Final(proposal.epoch, proposal.root, proposal.total);
    }

    function _drop(Proposal memory proposal, bool refuted) private {
        delete _pending;
        ++attempt;
        emit Dropped(proposal.epoch, proposal.root, refuted);
    }

    /// @dev The root was false: who signed it pays, and `winner` is paid for showing it.
    function _overturn(Proposal memory proposal, address winner) private {
        bytes32 topic = COMMITTEE.topicOf(address(this), labelOf(ROOT, proposal.epoch));
        _drop(proposal, true);
        _payBonds(proposal, winner);
        address[] memory liars = COMMITTEE.named(topic, proposal.signers);
        uint256 part = PARAMETERS.get("slashRoot");
        for (uint256 i = 0; i < liars.length; ++i) {
            REGISTRY.slash(liars[i], part, winner, "root");
        }
    }

    /// @dev The winner gets its own bond, if it put one up, and half of the loser's; the other half is burnt.
    function _payBonds(Proposal memory proposal, address winner) private {
        uint256 half = proposal.bond / 2;
        bool appealed = proposal.challenger != address(0);
        if (appealed && winner != proposal.proposer && winner != proposal.challenger) {
            // Refuted by a third while the appeal ran: the challenger was right too and gets its bond back.
            credits[proposal.challenger] += proposal.bond;
            credits[winner] += proposal.bond - half;
        } else {
            credits[winner] += proposal.bond - half + (appealed ? proposal.bond : 0);
        }
        bonds -= half;
        ERC20Burnable(address(TOKEN)).burn(half);
    }
}
