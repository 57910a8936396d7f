// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Names one deposit: keccak256(abi.encode(descriptor)), see {IChannels-rootIdOf}.
type RootId is bytes32;

/// @notice Storage key of one channel, see {IChannels-channelKeyOf}.
type ChannelKey is bytes32;

/// @notice What a payer commits to when it opens a root. Every claim is checked against it.
/// @param payer Who deposits, and who gets back what was not spent.
/// @param signer The session key that signs vouchers. Its theft costs at most `sum`, and only towards listed payees.
/// @param root Hash at the top of the sum tree.
/// @param sum Sum at the top of the sum tree = the deposit, in token units.
/// @param expiry Unix seconds. Payees are told to stop serving before it; claims stay valid until the close.
/// @param depth Levels of the tree, 0 to {IChannels-MAX_DEPTH}.
/// @param nonce Any number the payer did not use with the same other fields.
struct Descriptor {
    address payer;
    address signer;
    bytes32 root;
    uint96 sum;
    uint64 expiry;
    uint8 depth;
    uint64 nonce;
}

/// @notice Proof that a leaf is in a root: brought once, with the first claim on a channel.
/// @param descriptor The root, all fields: it is hashed again, never stored.
/// @param index Position of the leaf, counted from 0 on the left.
/// @param cap Most the channel may ever pay.
/// @param salt The leaf's blinding.
/// @param siblingHashes From the leaf's sibling up to the root's child; as many as the tree is deep.
/// @param siblingSums Sums of the same nodes.
struct Activation {
    Descriptor descriptor;
    uint32 index;
    uint96 cap;
    bytes32 salt;
    bytes32[] siblingHashes;
    uint96[] siblingSums;
}

/// @notice A payee's offer to whoever submits its vouchers. EIP-712 type
///         `FeeOrder(address payee,bytes32 claimsHash,address submitter,uint96 fee,uint64 deadline)`,
///         where `claimsHash` is keccak256 of the packed vouchers.
/// @param fee What the submitter keeps out of the newly paid amount.
/// @param submitter Who may use the order; 0 for anyone, who may then copy it from the first who sends it.
/// @param deadline Last second at which it may be used.
struct FeeOrder {
    uint96 fee;
    address submitter;
    uint64 deadline;
}

/// @notice An EIP-2612 permit from the payer to the Channels contract.
struct Permit {
    uint256 value;
    uint256 deadline;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @notice A root's life. `Closed` is a tombstone: it never goes back.
enum RootState {
    None,
    Open,
    Closed
}

/// @notice One storage slot for each root.
/// @param remaining Part of the deposit that no activated channel holds.
struct Root {
    uint96 remaining;
    RootState state;
}

/// @notice One storage slot for each activated channel. `cap` is 0 when the channel is not active.
/// @param cap Most the channel may ever pay.
/// @param paid What it has paid so far.
struct Channel {
    uint96 cap;
    uint96 paid;
}

/// @notice A channel within a root the caller names separately.
struct ChannelRef {
    uint32 index;
    address payee;
}

/// @notice A channel, fully named.
struct ChannelId {
    RootId rootId;
    uint32 index;
    address payee;
    address signer;
}

/// @title Fan-out payment channels
/// @notice A payer opens a fully backed channel to every provider it may use in one transaction: it deposits one sum
///         and commits to one sum tree over (payee, cap) leaves. A payee brings its leaf's proof with its first claim,
///         which makes one storage slot; later claims are 112 packed bytes each and may be batched over payers.
///
/// What holds, and is tested:
/// - A payee is never paid more than its signed maximum, nor more than its cap; together never more than the deposit.
/// - The payer cannot take a deposit back before expiry + grace, so a payee needs a calendar and no watchtower.
/// - Whoever submits a claim, the money goes to the payee. Whoever closes, the rest goes to the payer.
/// - No owner, no upgrade. Nobody can redirect or hold back money, this contract's deployer included. Deposits can be
///   paused for a week; claims and closes cannot be stopped by anybody or anything outside this contract and its token.
/// - Of every claim the burn share (5 to 100 percent, by vote, after two days' notice) is not paid to the payee: it waits
///   here, counted per payee, until the usage mint takes it to be burnt.
///
/// What it does not do: signatures of contracts (ERC-1271) for `signer`, `payer` in {openWithPermit} or `payee` in
/// {claimFor} (a contract payer calls {open}, a contract payee calls {claim}); tokens that take a fee on transfer are
/// refused at open; tokens that change balances by themselves must not be used; tokens sent here by mistake stay here.
///
/// @dev Encodings, byte by byte (big endian):
///
///     rootId      keccak256( 7 words of 32 bytes: payer, signer, root, sum, expiry, depth, nonce )        224 bytes
///     pair        keccak256( rootId 32 | zeros 8 | index 4 | payee 20 )                                    64 bytes
///     channel key keccak256( pair 32 | zeros 12 | signer 20 )                                              64 bytes
///     voucher     rootId 32 | index 4 | cumulative 12 | r 32 | vs 32, one after the other                 112 bytes
///
///     Signatures are EIP-2098: `vs` holds s in its low 255 bits and y-parity in the top bit. High s is refused.
///     EIP-712 domain: name "Byway Channels", version "1", chainId, verifyingContract; recomputed on a chain-id change.
///     Leaf and node hashes: see SumTree.sol.
interface IChannels {
    // ---------------------------------------------------------------------------------------------------- events

    /// @notice A deposit was taken and a root opened. Carries the whole descriptor.
    event RootOpened(
        RootId indexed rootId,
        address indexed payer,
        address indexed signer,
        bytes32 root,
        uint96 sum,
        uint64 expiry,
        uint8 depth,
        uint64 nonce
    );

    /// @notice A leaf was proved: `cap` moved from the root's remainder to the channel.
    event ChannelActivated(RootId indexed rootId, uint32 index, address indexed payee, uint96 cap);

    /// @notice One batch was paid. `amount` is all that was newly paid; the submitter kept `fee` of it and `burnt` of it
    ///         waits to be burnt. The payee received the rest.
    event Claimed(address indexed payee, address indexed submitter, uint256 amount, uint96 fee, uint256 burnt);

    /// @notice What waited to be burnt of some payees' claims went on its way to `to`.
    event BurnCollected(address indexed to, uint256 amount);

    /// @notice Burn share and pause were copied from the parameters.
    event TermsSynced(uint16 burnShare, uint64 pausedUntil);

    /// @notice A root was closed for ever and `refund` went back to the payer.
    event RootClosed(RootId indexed rootId, address indexed payer, uint256 refund);

    /// @notice Channels not listed when the root was closed were swept later; `refund` went back to the payer.
    event ChannelsSwept(RootId indexed rootId, address indexed payer, uint256 refund);

    // ---------------------------------------------------------------------------------------------------- errors

    /// @notice The constructor was given an address without code.
    error TokenWithoutCode(address token);
    /// @notice The constructor was given a grace above `max` seconds.
    error GraceTooLong(uint64 grace, uint64 max);

    /// @notice The guardian paused deposits; claims and closes go on.
    error DepositsPausedUntil(uint64 until);
    /// @notice Only the usage mint takes what waits to be burnt.
    error NotCollector(address caller);

    /// @notice Only the payer may open its own root without a signature.
    error NotPayer(address caller, address payer);
    /// @notice A root needs a signer: a bad signature recovers to address 0.
    error ZeroSigner();
    /// @notice A root needs a deposit.
    error ZeroSum();
    /// @notice The tree is deeper than an index can address.
    error DepthTooLarge(uint8 depth, uint8 max);
    /// @notice The expiry must be after now and no later than `latest`.
    error ExpiryOutOfBounds(uint64 expiry, uint256 latest);
    /// @notice This very descriptor is open, or was once.
    error RootNotNew(RootId rootId);
    /// @notice The token moved another amount than the deposit.
    error DepositMismatch(uint256 expected, uint256 received);

    /// @notice The root was never opened, or is closed.
    error RootNotOpen(RootId rootId);
    /// @notice Activation number `activation` has a leaf with cap 0.
    error ZeroCap(uint256 activation);
    /// @notice The index of activation number `activation` does not fit a tree of that depth.
    error IndexOutOfTree(uint256 activation, uint32 index, uint8 depth);
    /// @notice Activation number `activation` has more or fewer siblings than the tree has levels.
    error ProofLengthWrong(uint256 activation, uint256 hashes, uint256 sums, uint8 depth);
    /// @notice Activation number `activation` does not lead to the root's hash and sum.
    error ProofInvalid(uint256 activation);

    /// @notice The packed vouchers are not a multiple of 112 bytes.
    error VouchersMisaligned(uint256 length);
    /// @notice Voucher number `voucher` has no valid signature (malformed, high s, or recovering to 0).
    error SignatureInvalid(uint256 voucher);
    /// @notice Voucher number `voucher`, as signed by `signer`, names no active channel of the payee.
    error ChannelUnknown(uint256 voucher, address signer);
    /// @notice Voucher number `voucher` asks for more than the channel holds. A provider refuses such a voucher.
    error CumulativeAboveCap(uint256 voucher, uint256 cumulative, uint256 cap);

    /// @notice The signed order is too old.
    error OrderExpired(uint64 deadline);
    /// @notice The order is reserved to another submitter.
    error NotSubmitter(address caller, address submitter);
    /// @notice The order was not signed by the one it binds.
    error OrderSignatureInvalid(address expected);
    /// @notice The fee is more than what the vouchers newly pay and the burn share leaves.
    error FeeAboveAmount(uint96 fee, uint256 amount);

    /// @notice The root may be closed only from `closableAt` (its expiry + grace) on.
    error CloseTooEarly(uint256 closableAt);

    // --------------------------------------------------------------------------------------------------- opening

    /// @notice Opens a root: pulls `descriptor.sum` from the caller's allowance. One transaction, whatever the tree.
    /// @dev The caller must be the payer: a root names who may sign money away, so nobody may open one for others.
    function open(Descriptor calldata descriptor) external returns (RootId rootId);

    /// @notice Opens a root for a payer without gas: anyone may submit the payer's EIP-2612 permit together with its
    ///         EIP-712 signature over
    ///         `OpenOrder(address payer,address signer,bytes32 root,uint96 sum,uint64 expiry,uint8 depth,uint64 nonce,uint64 deadline)`.
    /// @dev A permit alone says "this contract may take so much", not for which tree: a stranger could pair it with a
    ///      descriptor of his own and make himself signer and payee. Hence the second signature, required of every
    ///      caller. It is used at most once because a descriptor opens at most once.
    ///      A permit that fails is passed over: somebody may have front-run it, which leaves the same allowance.
    /// @param deadline Last second at which the OpenOrder may be used.
    /// @param r First half of the OpenOrder's EIP-2098 signature.
    /// @param vs Second half.
    function openWithPermit(
        Descriptor calldata descriptor,
        Permit calldata permit,
        uint64 deadline,
        bytes32 r,
        bytes32 vs
    ) external returns (RootId rootId);

    // -------------------------------------------------------------------------------------------------- claiming

    /// @notice Pays `payee` everything that `vouchers` newly owe it, in one transfer. Anyone may submit.
    /// @dev Activations run first. One whose channel is already active is skipped, and a voucher that is not above what
    ///      was paid counts as zero: so nobody can spoil a batch by submitting a part of it first. Anything false
    ///      (signature, channel, cap, proof) reverts the whole batch and names the culprit by its place.
    ///      One thing can turn a good voucher into an unknown channel: a close that sweeps its channel. So a root past
    ///      expiry + grace does not belong in a batch with others.
    /// @param vouchers Packed vouchers, 112 bytes each; of one channel only the newest is needed.
    /// @return amount What was paid.
    function claim(address payee, Activation[] calldata activations, bytes calldata vouchers)
        external
        returns (uint256 amount);

    /// @notice Like {claim}, but the caller keeps `order.fee` of the newly paid amount, as the payee signed.
    /// @dev Replay needs no nonce. The order binds the exact vouchers, and any success leaves every one of them owing
    ///      nothing, for ever: `paid` never falls, and a closed channel never comes back. A second use would newly pay
    ///      0 and fails unless the fee is 0. If others claimed a part before, the payee still gets the whole less one
    ///      fee.
    /// @param r First half of the payee's EIP-2098 signature over the FeeOrder.
    /// @param vs Second half.
    /// @return amount What was newly paid, fee included.
    function claimFor(
        address payee,
        Activation[] calldata activations,
        bytes calldata vouchers,
        FeeOrder calldata order,
        bytes32 r,
        bytes32 vs
    ) external returns (uint256 amount);

    // --------------------------------------------------------------------------------------------------- closing

    /// @notice From expiry + grace on, anyone may return to the payer what its root still holds: the remainder and the
    ///         unspent part of every channel listed.
    /// @dev May be repeated, harmlessly. The first call closes the root; a channel not listed keeps its money and its payee may
    ///      still claim it, until a later call lists it. Listing a channel twice, or one that was never activated,
    ///      returns nothing for it. Channel keys derive from `descriptor` alone, so no stranger's channel is in reach.
    /// @return refund What went back to the payer.
    function close(Descriptor calldata descriptor, ChannelRef[] calldata channels) external returns (uint256 refund);

    // --------------------------------------------------------------------------------------------------- burning

    /// @notice Copies burn share and pause from the parameters. Anyone may call: a claim reads only the copy, so nothing
    ///         outside this contract can make it fail.
    function sync() external;

    /// @notice Sends what waits to be burnt of the claims of `payees` to `to`. By the usage mint only.
    /// @return amounts For each payee; a payee named twice counts once.
    /// @return sum Their sum, which was sent.
    function collectBurn(address[] calldata payees, address to)
        external
        returns (uint256[] memory amounts, uint256 sum);

    /// @notice What waits to be burnt of a payee's claims, and what ever did.
    function burnOf(address payee) external view returns (uint256 waiting, uint256 total);

    /// @notice Part of each claim that is burnt, in hundredths of a percent, and until when deposits are paused.
    function terms() external view returns (uint16 burnShare, uint64 pausedUntil);

    /// @notice Where {sync} copies from; 0 for an instance that burns nothing.
    function parameters() external view returns (address);

    /// @notice Who may call {collectBurn}.
    function collector() external view returns (address);

    // ----------------------------------------------------------------------------------------------------- state

    /// @notice State of a root. A payee checks that it is Open before it serves.
    function rootOf(RootId rootId) external view returns (Root memory);

    /// @notice State of many roots.
    function rootsOf(RootId[] calldata rootIds) external view returns (Root[] memory);

    /// @notice Cap and paid amount of a channel; both 0 if it is not active.
    function channelOf(RootId rootId, uint32 index, address payee, address signer)
        external
        view
        returns (Channel memory);

    /// @notice State of many channels.
    function channelsOf(ChannelId[] calldata ids) external view returns (Channel[] memory);

    // ------------------------------------------------------------------------------------------------- constants

    /// @notice The one token held here.
    function token() external view returns (address);

    /// @notice Seconds between a root's expiry and the first moment it may be closed.
    function grace() external view returns (uint64);

    /// @notice Deepest tree accepted.
    function MAX_DEPTH() external view returns (uint8);

    /// @notice Longest time from opening to expiry, in seconds.
    function MAX_LIFETIME() external view returns (uint64);

    // ---------------------------------------------------------------------------------------------- hash helpers

    /// @notice EIP-712 domain separator on the current chain.
    function domainSeparator() external view returns (bytes32);

    /// @notice keccak256 of the descriptor's seven fields as 32 byte words.
    function rootIdOf(Descriptor calldata descriptor) external pure returns (RootId);

    /// @notice keccak256( keccak256( rootId 32 | zeros 8 | index 4 | payee 20 ) 32 | zeros 12 | signer 20 ).
    function channelKeyOf(RootId rootId, uint32 index, address payee, address signer)
        external
        pure
        returns (ChannelKey);

    /// @notice keccak256( payee 20 | cap 12 | salt 32 ).
    function leafHash(address payee, uint96 cap, bytes32 salt) external pure returns (bytes32);

    /// @notice What the session key signs: `Voucher(bytes32 rootId,uint32 index,address payee,uint96 cumulative)`.
    function voucherDigest(RootId rootId, uint32 index, address payee, uint96 cumulative)
        external
        view
        returns (bytes32);

    /// @notice What the payee signs for {claimFor}; `claimsHash` is keccak256 of the packed vouchers.
    function feeOrderDigest(address payee, bytes32 claimsHash, FeeOrder calldata order) external view returns (bytes32);

    /// @notice What the payer signs for {openWithPermit}.
    function openOrderDigest(Descriptor calldata descriptor, uint64 deadline) external view returns (bytes32);
}
