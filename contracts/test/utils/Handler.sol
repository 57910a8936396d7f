// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Activation, Channel, ChannelId, ChannelRef, FeeOrder, Permit, RootId} from "../../interfaces/IChannels.sol";
import {Channels} from "../../src/Channels.sol";
import {TestDollar} from "../../src/TestDollar.sol";
import {Deal, Fixture} from "./Fixture.sol";
import {Leaf} from "./Tree.sol";

/// @title Random payers, payees, submitters and thieves
/// @notice Each action picks something that can be done now, does it, and counts whether it worked. What should have
///         happened is kept in ghosts that never read the contract's own books.
/// @dev All payers share one signer and every tree names a payee twice: the worst case for mixed-up keys. Trees are
///      made again from their number whenever they are needed.
contract Handler is Fixture {
    enum Action {
        Open,
        ClaimFirst,
        ClaimBatch,
        ClaimWithFee,
        Replay,
        Close,
        Attack
    }

    uint32 internal constant LEAVES = 4;
    uint256 internal constant PEOPLE = 3;
    uint256 internal constant FIRST_PAYER_KEY = 0xA0;
    uint256 internal constant FIRST_PAYEE_KEY = 0xB0;

    mapping(uint256 action => uint256) public tried;
    mapping(uint256 action => uint256) public worked;

    address[PEOPLE] public payers;
    address[PEOPLE] public payees;

    /// @notice Roots opened so far; they are numbered from 1, which is also their nonce.
    uint64 public roots;
    mapping(uint64 root => RootId) public idOf;
    mapping(uint64 root => uint256) public ownerOf;
    mapping(uint64 root => uint64) public expiryOf;
    mapping(uint64 root => bool) public closed;
    mapping(uint64 root => mapping(uint32 leaf => bool)) public active;
    mapping(uint64 root => mapping(uint32 leaf => uint256)) public signedMax;

    uint256 public deposited;
    uint256 public paidOut;
    uint256 public refunded;
    uint256 public attacksThatWorked;
    /// @notice Times that a channel was found to have paid less than before.
    uint256 public fell;
    mapping(uint64 root => mapping(uint32 leaf => uint256)) private _paidBefore;

    /// @dev Kept here because the fuzzer's own clock does not remember what an action did to it.
    uint256 private _time = START;
    bytes[] private _oldVouchers;
    uint256[] private _oldPayees;

    constructor(TestDollar dollar_, Channels channels_) {
        (dollar, channels) = (dollar_, channels_);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            payees[i] = vm.addr(FIRST_PAYEE_KEY + i);
            payers[i] = vm.addr(FIRST_PAYER_KEY + i);
            _fund(payers[i]);
        }
        // Something to act on from the first call: two roots of each payer, one channel of each payee in each.
        for (uint256 i = 0; i < 2 * PEOPLE; ++i) {
            open(i, 7 days * (i + 1), i % 2 == 0);
            claimFirst(i, i, i);
        }
    }

    function setUp() public override {}

    modifier counted(Action action) {
        vm.warp(_time);
        ++tried[uint256(action)];
        _;
    }

    // -------------------------------------------------------------------------------------------------- actions

    function open(uint256 owner, uint256 life, bool sponsored) public counted(Action.Open) {
        owner = _bound(owner, 0, PEOPLE - 1);
        uint64 root = ++roots;
        ownerOf[root] = owner;
        expiryOf[root] = uint64(_time + _bound(life, 1, 30 days));
        Deal memory deal = dealOf(root);
        bytes memory data = sponsored ? _sponsored(deal, owner) : abi.encodeCall(channels.open, (deal.descriptor));
        (bool ok,) = _try(sponsored ? stranger : payers[owner], address(channels), data);
        if (!ok) {
            --roots;
            return;
        }
        ++worked[uint256(Action.Open)];
        idOf[root] = deal.id;
        deposited += deal.descriptor.sum;
    }

    function claimFirst(uint256 root, uint256 leaf, uint256 amount) public counted(Action.ClaimFirst) {
        (bool found, uint64 n) = _pick(root, false);
        if (!found) return;
        uint32 i = uint32(leaf % LEAVES);
        Deal memory deal = dealOf(n);
        bytes memory voucher = _signed(deal, n, i, amount);
        bytes memory data = abi.encodeCall(channels.claim, (deal.leaves[i].payee, _one(_activation(deal, i)), voucher));
        if (_claimed(Action.ClaimFirst, data)) {
            active[n][i] = true;
            _oldVouchers.push(voucher);
            _oldPayees.push(payeeAt(i));
        }
    }

    function claimBatch(uint256 payeeSeed, uint256 seed) external counted(Action.ClaimBatch) {
        uint256 who = payeeSeed % PEOPLE;
        bytes memory vouchers = _batch(who, seed);
        _claimed(Action.ClaimBatch, abi.encodeCall(channels.claim, (payees[who], _none(), vouchers)));
    }

    /// @notice The fee is sometimes more than is newly paid; then the order fails, which must change nothing.
    function claimWithFee(uint256 payeeSeed, uint256 seed, uint96 fee) external counted(Action.ClaimWithFee) {
        uint256 who = payeeSeed % PEOPLE;
        bytes memory vouchers = _batch(who, seed);
        FeeOrder memory order = FeeOrder({fee: fee % 8, submitter: address(0), deadline: uint64(_time)});
        (bytes32 r, bytes32 vs) = _sign(FIRST_PAYEE_KEY + who, _feeOrderDigest(payees[who], vouchers, order));
        _claimed(Action.ClaimWithFee, abi.encodeCall(channels.claimFor, (payees[who], _none(), vouchers, order, r, vs)));
    }

    /// @notice One of the last eight vouchers paid is sent again: it must never pay again.
    function replay(uint256 which) external counted(Action.Replay) {
        if (_oldVouchers.length == 0) return;
        which = _oldVouchers.length - 1 - which % (_oldVouchers.length < 8 ? _oldVouchers.length : 8);
        bytes memory data = abi.encodeCall(channels.claim, (payees[_oldPayees[which]], _none(), _oldVouchers[which]));
        (bool ok, bytes memory result) = _try(stranger, address(channels), data);
        if (!ok) return; // its channel was swept
        ++worked[uint256(Action.Replay)];
        if (abi.decode(result, (uint256)) != 0) ++attacksThatWorked;
    }

    /// @notice Closes or sweeps a root, listing some of its channels, some of them twice or never activated.
    function close(uint256 root, uint256 mask, bool wait) external counted(Action.Close) {
        (bool found, uint64 n) = _pick(root, true);
        if (!found) return;
        uint256 closable = uint256(expiryOf[n]) + GRACE;
        if (wait && _time < closable) {
            _time = closable;
            vm.warp(_time);
        }
        Deal memory deal = dealOf(n);
        ChannelRef[] memory listed = new ChannelRef[](6);
        for (uint256 i = 0; i < 6; ++i) {
            uint32 leaf = uint32((mask >> (4 * i)) % LEAVES);
            listed[i] = ChannelRef({index: leaf, payee: deal.leaves[leaf].payee});
        }
        (bool ok, bytes memory result) = _try(stranger, address(channels), _closeCall(deal, listed));
        if (ok != (_time >= closable)) ++attacksThatWorked;
        if (!ok) return;
        ++worked[uint256(Action.Close)];
        closed[n] = true;
        refunded += abi.decode(result, (uint256));
        for (uint256 i = 0; i < 6; ++i) {
            active[n][listed[i].index] = false;
        }
    }

    /// @notice Everybody leaves: whatever happened, each root can be closed and each of its channels swept.
    function leave() external {
        for (uint64 n = 1; n <= roots; ++n) {
            uint256 closable = uint256(expiryOf[n]) + GRACE;
            if (_time < closable) vm.warp(_time = closable);
            Deal memory deal = dealOf(n);
            ChannelRef[] memory all = new ChannelRef[](LEAVES);
            for (uint32 i = 0; i < LEAVES; ++i) {
                _watch(deal, n, i);
                all[i] = ChannelRef({index: i, payee: deal.leaves[i].payee});
            }
            _send(stranger, address(channels), _closeCall(deal, all));
        }
    }

    /// @notice Things nobody may ever do. Counted as worked when refused.
    function attack(uint256 root, uint256 leaf, uint256 kind) external counted(Action.Attack) {
        if (roots == 0) return;
        uint64 n = uint64(1 + root % roots);
        uint32 i = uint32(leaf % LEAVES);
        Deal memory deal = dealOf(n);
        Channel memory channel = _channel(deal, i);
        address who = deal.leaves[i].payee;
        Activation[] memory none = _none();
        bytes memory data;
        kind %= 5;
        if (kind == 0) {
            data = abi.encodeCall(channels.claim, (who, none, _voucher(deal, i, deal.leaves[i].cap + 1)));
        } else if (kind == 1) {
            deal.signerKey = 0xBAD;
            data = abi.encodeCall(channels.claim, (who, none, _voucher(deal, i, channel.paid + 1)));
        } else if (kind == 2) {
            data = abi.encodeCall(channels.claim, (stranger, none, _voucher(deal, i, channel.paid + 1)));
        } else if (kind == 3) {
            Activation memory alias_ = _activation(deal, i);
            alias_.index += LEAVES;
            data = abi.encodeCall(channels.claim, (who, _one(alias_), ""));
        } else {
            data = abi.encodeCall(channels.open, (deal.descriptor)); // again, or by a stranger
        }
        (bool ok,) = _try(kind == 4 ? deal.descriptor.payer : stranger, address(channels), data);
        if (ok) ++attacksThatWorked;
        else ++worked[uint256(Action.Attack)];
    }

    // --------------------------------------------------------------------------------------------------- people

    /// @notice Payee of leaf `i`: with three payees and four leaves the first has two.
    function payeeAt(uint32 i) public pure returns (uint256) {
        return i % PEOPLE;
    }

    /// @notice Root number `n`, made again.
    function dealOf(uint64 n) public view returns (Deal memory deal) {
        Leaf[] memory leaves = new Leaf[](LEAVES);
        for (uint32 i = 0; i < LEAVES; ++i) {
            uint96 cap = uint96(100 + (n * 131 + i * 17) % 900);
            leaves[i] = Leaf({payee: payees[payeeAt(i)], cap: cap, salt: keccak256(abi.encode(n, i))});
        }
        deal = _deal(payers[ownerOf[n]], leaves, n);
        deal.descriptor.expiry = expiryOf[n];
        _rename(deal);
    }

    /// @notice Root number `n`: its owner, what was signed on each leaf, and the names to look its channels up by.
    function bookOf(uint64 n)
        external
        view
        returns (RootId id, uint256 owner, uint256[4] memory signed, ChannelId[] memory ids)
    {
        (id, owner, ids) = (idOf[n], ownerOf[n], new ChannelId[](LEAVES));
        for (uint32 i = 0; i < LEAVES; ++i) {
            signed[i] = signedMax[n][i];
            ids[i] = ChannelId({rootId: id, index: i, payee: payees[payeeAt(i)], signer: signer});
        }
    }

    // -------------------------------------------------------------------------------------------------- private

    /// @notice Some root; one that is not closed unless `anyState`.
    function _pick(uint256 seed, bool anyState) private view returns (bool, uint64) {
        for (uint64 i = 0; i < roots; ++i) {
            uint64 n = 1 + (uint64(seed % roots) + i) % roots;
            if (anyState || !closed[n]) return (true, n);
        }
        return (false, 0);
    }

    function _sponsored(Deal memory deal, uint256 owner) private view returns (bytes memory) {
        uint256 key = FIRST_PAYER_KEY + owner;
        uint64 deadline = uint64(_time);
        Permit memory permit = _permit(key, type(uint256).max, dollar.nonces(payers[owner]));
        (bytes32 r, bytes32 vs) = _sign(key, _openOrderDigest(deal.descriptor, deadline));
        return abi.encodeCall(channels.openWithPermit, (deal.descriptor, permit, deadline, r, vs));
    }

    /// @dev What an active channel paid never falls.
    function _watch(Deal memory deal, uint64 n, uint32 i) private {
        if (!active[n][i]) return;
        uint256 paid = _channel(deal, i).paid;
        if (paid < _paidBefore[n][i]) ++fell;
        _paidBefore[n][i] = paid;
    }

    /// @notice A voucher on leaf `i`, mostly a little above the last one, sometimes anything up to the cap; remembers
    ///         the highest ever signed.
    function _signed(Deal memory deal, uint64 n, uint32 i, uint256 amount) private returns (bytes memory) {
        _watch(deal, n, i);
        uint256 max = signedMax[n][i];
        uint256 cap = deal.leaves[i].cap;
        uint96 cumulative =
            uint96(amount % 8 == 0 ? _bound(amount, 0, cap) : _bound(amount, max, max + (cap - max + 7) / 8));
        if (cumulative > max) signedMax[n][i] = cumulative;
        return _voucher(deal, i, cumulative);
    }

    /// @notice Up to four vouchers for one payee on its active channels.
    function _batch(uint256 who, uint256 seed) private returns (bytes memory vouchers) {
        uint256 taken;
        for (uint64 k = 0; k < roots && taken < 4; ++k) {
            uint64 n = 1 + (uint64(seed % roots) + k) % roots;
            for (uint32 i = 0; i < LEAVES; ++i) {
                if (payeeAt(i) != who || !active[n][i]) continue;
                ++taken;
                bytes memory voucher = _signed(dealOf(n), n, i, uint256(keccak256(abi.encode(seed, n, i))));
                vouchers = bytes.concat(vouchers, voucher);
            }
        }
    }

    function _claimed(Action action, bytes memory data) private returns (bool ok) {
        bytes memory result;
        (ok, result) = _try(stranger, address(channels), data);
        if (!ok) return false;
        ++worked[uint256(action)];
        paidOut += abi.decode(result, (uint256));
    }
}
