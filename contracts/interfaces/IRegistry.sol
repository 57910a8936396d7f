// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What an operator offers to do. A provider carries traffic, a prober measures; one operator may do both.
enum Role {
    None,
    Provider,
    Prober,
    Both
}

/// @notice What an operator says about itself. Nothing here is believed: it is what it may be held to.
/// @param nodeKey Ed25519 key of the node, as offers carry it.
/// @param offerHash keccak256 of the newest signed offer.
/// @param payout Where commission and the operator's own rewards go.
/// @param region Short name of the region, for instance "eu-west"; the multiplier of that region applies.
/// @param mbps Bandwidth the operator claims; its bond must cover it.
/// @param commissionBps Part of every reward that is the operator's before delegators share, in hundredths of a percent. It
///        may only fall.
/// @param role What the operator does.
struct Profile {
    bytes32 nodeKey;
    bytes32 offerHash;
    address payout;
    bytes6 region;
    uint32 mbps;
    uint32 commissionBps;
    Role role;
}

/// @notice Everything a key of the network signs about the world: receipts, reports, epoch roots, verdicts. EIP-712
///         type `Statement(bytes32 kind,bytes32 stream,uint64 counter,bytes32 content)`.
/// @param kind What it is: keccak256 of "receipt", "report", "root", "audit" and so on.
/// @param stream What it counts along: a session, a challenge, a contract.
/// @param counter Place in the stream. An honest key says one thing at one place, however often it says it.
/// @param content keccak256 of what is said there.
struct Statement {
    bytes32 kind;
    bytes32 stream;
    uint64 counter;
    bytes32 content;
}

/// @notice Stake on its way out, or over to another operator. Slashable by its operator's faults until it is released.
/// @param owner Whose it is.
/// @param releaseAt First second at which it can be released.
/// @param operator Whose faults it answers for.
/// @param generation Of the operator's pool of thawing stake.
/// @param to Operator it goes to; 0 for back to the owner.
/// @param shares In the operator's pool of thawing stake.
struct Thaw {
    address owner;
    uint64 releaseAt;
    address operator;
    uint64 generation;
    address to;
    uint128 shares;
}

/// @title Who works for the exchange, and what they stand to lose
/// @notice Providers and probers bond WAY; others delegate to them. Stake earns rewards and pays for faults, both pro
///         rata and without a loop: a pool of bonded stake and a pool of thawing stake for each operator, shares in
///         both, and one accumulator of rewards.
///
/// What holds, and is tested:
/// - The tokens here are exactly bonded + thawing + credits + rewards not yet claimed.
/// - Stake that leaves, or moves to another operator, answers for the old one's faults until its release.
/// - A slash removes what it says, never more than is there; self-report loses at least half.
/// - Equivocation is proved by two signatures alone. One statement signed twice is not equivocation, and a voucher is
///   no statement: nobody can be framed with something an honest node signs.
/// - No owner, no pause. Whoever staked can always leave within the unbonding time.
interface IRegistry {
    // ---------------------------------------------------------------------------------------------------- events

    /// @notice The judges were named, once and for all.
    event Sealed(address[] judges);
    /// @notice An operator wrote or changed its profile.
    event ProfileSet(address indexed operator, Profile profile);
    /// @notice An operator said where it serves its offer: `host:port`. Nothing of it is kept but this event.
    event EndpointSet(address indexed operator, string endpoint);
    /// @notice `key` speaks for the operator from now on.
    event KeyAdded(address indexed operator, address indexed key);
    /// @notice `key` is retired: it signs nothing new, and still answers for what it signed.
    event KeyRetired(address indexed operator, address indexed key);
    /// @notice `owner` put `tokens` behind `operator`.
    event Staked(address indexed operator, address indexed owner, uint256 tokens, uint256 shares);
    /// @notice `owner` started to withdraw; `to` is 0 or the operator the stake moves to.
    event Unbonding(uint256 indexed id, address indexed operator, address indexed owner, address to, uint256 tokens);
    /// @notice A thaw ended and `tokens` went back to the owner's credits or on to the other operator.
    event Released(uint256 indexed id, address indexed owner, address to, uint256 tokens);
    /// @notice `tokens` were taken from an operator and its delegators; `reward` of them went to the reporter.
    event Slashed(address indexed operator, address indexed reporter, bytes32 reason, uint256 tokens, uint256 reward);
    /// @notice A reward came in: `commission` for the operator, the rest for all shares alike.
    event Rewarded(address indexed operator, uint256 amount, uint256 commission);
    /// @notice Credits were paid out.
    event Collected(address indexed owner, address to, uint256 amount);

    // ---------------------------------------------------------------------------------------------------- errors

    /// @notice The constructor was given an address without code.
    error AddressWithoutCode(address account);
    /// @notice The judges are named already, or by somebody who may not.
    error CannotSeal(address caller);
    /// @notice Nothing can be staked before the judges are named.
    error NotSealed();
    /// @notice Only a judge may slash.
    error NotJudge(address caller);
    /// @notice The caller has no profile, or the operator has none.
    error OperatorUnknown(address operator);
    /// @notice The operator equivocated and is out for ever.
    error StruckOff(address operator);
    /// @notice A profile needs a role, a payout address and a commission of at most a whole.
    error ProfileInvalid();
    /// @notice A host name and a port take at most 261 bytes.
    error EndpointTooLong(uint256 length);
    /// @notice The commission may only fall: delegators came for the old one.
    error CommissionRaised(uint32 from, uint32 to);
    /// @notice The key belongs to an operator already, or is 0.
    error KeyTaken(address key);
    /// @notice The key did not sign that it belongs to the operator.
    error KeyNotProven(address key);
    /// @notice The caller does not own that key.
    error KeyNotOwned(address key);
    /// @notice An amount of 0, or of more than there is.
    error AmountInvalid(uint256 amount, uint256 available);
    /// @notice The thaw is over, or never was.
    error ThawUnknown(uint256 id);
    /// @notice The stake is released from `releaseAt` on.
    error ThawTooEarly(uint256 releaseAt);
    /// @notice A move needs two operators.
    error SameOperator(address operator);
    /// @notice The two statements are not at one place of one stream, or say the same.
    error NotEquivocation();
    /// @notice One key must have signed both statements, and it must belong to an operator.
    error SignersDiffer(address first, address second);
    /// @notice This fault was punished before.
    error FaultKnown(bytes32 fault);

    // -------------------------------------------------------------------------------------------------- identity

    /// @notice Names the contracts whose verdicts slash. Once, by the deployer, who then has no part in anything.
    function seal(address[] calldata judges) external;

    /// @notice Writes the caller's profile.
    function setProfile(Profile calldata profile) external;

    /// @notice Says where the caller serves its offer over HTTPS, as `host:port`; empty for nowhere any more.
    function setEndpoint(string calldata endpoint) external;

    /// @notice Gives the caller a session key. `r`, `vs`: the key's EIP-2098 signature over
    ///         `KeyProof(address operator)`, so that nobody takes a key that is not his.
    function addKey(address key, bytes32 r, bytes32 vs) external;

    /// @notice Retires a session key of the caller. It answers for its statements all the same.
    function retireKey(address key) external;

    // ----------------------------------------------------------------------------------------------------- stake

    /// @notice Puts `tokens` of the caller behind `operator`; the operator's own stake is its bond.
    function stake(address operator, uint256 tokens) external returns (uint256 shares);

    /// @notice Starts to take `shares` of the caller back from `operator`. `to` is 0, or the operator they move to: a
    ///         move waits as long as a withdrawal, or it would be a way around a slash.
    function unbond(address operator, uint256 shares, address to) external returns (uint256 id);

    /// @notice Ends a thaw. Anyone may call; the stake goes where its owner said. If that operator was struck off
    ///         meanwhile, it goes back to the owner.
    function release(uint256 id) external returns (uint256 tokens);

    /// @notice Pays `amount` of the caller's tokens to an operator and its delegators as a reward.
    function distribute(address operator, uint256 amount) external;

    /// @notice Moves the caller's rewards with `operator` to its credits.
    function claimRewards(address operator) external returns (uint256 amount);

    /// @notice Pays the caller's credits to `to`.
    function collect(address to) external returns (uint256 amount);

    // ----------------------------------------------------------------------------------------------------- slash

    /// @notice Takes all stake of whoever signed two different statements at one place. Anyone may report; the
    ///         reporter's credits get its share.
    /// @param signatures r and vs of the first, r and vs of the second.
    function reportEquivocation(Statement calldata first, Statement calldata second, bytes32[4] calldata signatures)
        external
        returns (uint256 tokens);

    /// @notice By a judge: takes `bps` hundredths of a percent of all stake behind `operator`, thawing stake included.
    function slash(address operator, uint256 bps, address reporter, bytes32 reason) external returns (uint256 tokens);

    // ----------------------------------------------------------------------------------------------------- views

    /// @notice The token that is staked.
    function token() external view returns (address);

    /// @notice Profile of an operator; role None if it has none.
    function profileOf(address operator) external view returns (Profile memory);

    /// @notice Whether the operator equivocated.
    function struckOff(address operator) external view returns (bool);

    /// @notice Operator a key answers for, retired or not; 0 if none.
    function operatorOf(address key) external view returns (address);

    /// @notice Whether the key may sign now.
    function keyActive(address key) external view returns (bool);

    /// @notice Whether the operator is in good standing as `role`: a profile, a bond that covers its claim.
    function isActive(address operator, Role role) external view returns (bool);

    /// @notice Tokens an operator must have staked itself to be active.
    function bondRequired(address operator) external view returns (uint256);

    /// @notice Tokens behind an operator: bonded, and on their way out.
    function stakeOf(address operator) external view returns (uint256 bonded, uint256 thawing);

    /// @notice Shares of `owner` in the bonded stake of `operator`, and what they are worth now.
    function sharesOf(address operator, address owner) external view returns (uint256 shares, uint256 tokens);

    /// @notice A thaw and what it is worth now.
    function thawOf(uint256 id) external view returns (Thaw memory thaw, uint256 tokens);

    /// @notice Bonded and thawing stake of all operators.
    function totalStake() external view returns (uint256);

    /// @notice What `owner` can collect.
    function creditOf(address owner) external view returns (uint256);

    /// @notice Rewards of `owner` with `operator` that are not claimed yet.
    function rewardOf(address operator, address owner) external view returns (uint256);

    /// @notice Places in the list of probers, empty ones included. It only grows, and nobody ever moves.
    function proberPlaces() external view returns (uint256);

    /// @notice Who stands at a place, and since which block; 0 if it is empty.
    function proberAt(uint256 place) external view returns (address prober, uint256 since);

    /// @notice What a key signs when it says something.
    function statementDigest(Statement calldata statement) external view returns (bytes32);

    /// @notice What a key signs to be added to `operator`.
    function keyProofDigest(address operator) external view returns (bytes32);
}
