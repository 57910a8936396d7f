// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {ChannelRef, Descriptor, IChannels, Permit, RootState} from "../interfaces/IChannels.sol";
import {Channels} from "../src/Channels.sol";
import {Deal, Fixture} from "./utils/Fixture.sol";
import {Vm} from "./utils/Vm.sol";

/// @title Rules of opening a root, the same through both entries
abstract contract OpenSuite is Fixture {
    uint96 internal constant SUM = 8 * CAP;

    /// @notice Who calls, and with what, to open `descriptor` through the entry under test.
    function _openCall(Descriptor memory descriptor) internal virtual returns (address sender, bytes memory data);

    function _open(Deal memory deal) internal {
        (address sender, bytes memory data) = _openCall(deal.descriptor);
        _send(sender, address(channels), data);
    }

    function _openReverts(Deal memory deal, bytes memory expected) internal {
        (address sender, bytes memory data) = _openCall(deal.descriptor);
        _sendReverts(sender, address(channels), data, expected);
    }

    function test_open_takesTheDeposit() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        uint256 before = dollar.balanceOf(payer);
        _open(deal);
        vm.assertEq(dollar.balanceOf(payer), before - SUM, "payer");
        vm.assertEq(dollar.balanceOf(address(channels)), SUM, "escrow");
        _assertRoot(deal, RootState.Open, SUM);
    }

    function test_open_emitsTheWholeDescriptor() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        (address sender, bytes memory data) = _openCall(deal.descriptor);
        vm.recordLogs();
        _send(sender, address(channels), data);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(_count(logs, address(channels), IChannels.RootOpened.selector), 1, "one event");
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IChannels.RootOpened.selector) continue;
            Descriptor memory d = deal.descriptor;
            vm.assertEq(abi.encode(logs[i].topics[1]), abi.encode(deal.id), "root id");
            vm.assertEq(abi.encode(logs[i].topics[2]), abi.encode(d.payer), "payer");
            vm.assertEq(abi.encode(logs[i].topics[3]), abi.encode(d.signer), "signer");
            vm.assertEq(logs[i].data, abi.encode(d.root, d.sum, d.expiry, d.depth, d.nonce), "the rest");
        }
    }

    function test_open_everyNonceIsAnotherRoot() public {
        _open(_deal(payer, _leaves(), 1));
        _open(_deal(payer, _leaves(), 2));
        vm.assertEq(dollar.balanceOf(address(channels)), 2 * SUM, "two deposits");
    }

    function test_open_revertsIfSignerIsZero() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.signer = address(0);
        _openReverts(deal, _error(IChannels.ZeroSigner.selector));
    }

    function test_open_revertsIfSumIsZero() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.sum = 0;
        _openReverts(deal, _error(IChannels.ZeroSum.selector));
    }

    function test_open_revertsIfTreeIsTooDeep() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.depth = 32;
        _open(deal);
        deal.descriptor.depth = 33;
        _openReverts(deal, abi.encodeWithSelector(IChannels.DepthTooLarge.selector, 33, 32));
    }

    function test_open_revertsIfExpiryIsNotAfterNow() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.expiry = uint64(START) + 1;
        _open(deal);
        deal.descriptor.expiry = uint64(START);
        _openReverts(
            deal, abi.encodeWithSelector(IChannels.ExpiryOutOfBounds.selector, START, START + channels.MAX_LIFETIME())
        );
    }

    function test_open_revertsIfExpiryIsTooFar() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        uint64 latest = uint64(START) + channels.MAX_LIFETIME();
        deal.descriptor.expiry = latest;
        _open(deal);
        deal.descriptor.expiry = latest + 1;
        _openReverts(deal, abi.encodeWithSelector(IChannels.ExpiryOutOfBounds.selector, latest + 1, latest));
    }

    function test_open_revertsIfRootIsOpen() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        _open(deal);
        _openReverts(deal, _rootError(IChannels.RootNotNew.selector, deal));
    }

    /// @dev The tombstone. Were it gone, old vouchers would live again with the deposit.
    function test_open_revertsIfRootWasClosed() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        _open(deal);
        vm.warp(EXPIRY + GRACE);
        _send(stranger, address(channels), _closeCall(deal, new ChannelRef[](0)));
        _assertRoot(deal, RootState.Closed, 0);
        _openReverts(deal, _rootError(IChannels.RootNotNew.selector, deal));
    }

    function test_open_revertsIfPayerIsTooPoor() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        uint256 balance = dollar.balanceOf(payer);
        _send(payer, address(dollar), abi.encodeCall(dollar.transfer, (stranger, balance)));
        _openReverts(deal, abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, payer, 0, SUM));
    }
}

/// @title The payer calls `open`
contract OpenTest is OpenSuite {
    function _openCall(Descriptor memory descriptor) internal view override returns (address, bytes memory) {
        return (payer, abi.encodeCall(channels.open, (descriptor)));
    }

    function test_open_revertsIfCallerIsNotThePayer() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        bytes memory data = abi.encodeCall(channels.open, (deal.descriptor));
        bytes memory expected = abi.encodeWithSelector(IChannels.NotPayer.selector, stranger, payer);
        _sendReverts(stranger, address(channels), data, expected);
    }
}

/// @title A sponsor calls `openWithPermit` for a payer who gave no allowance and holds no gas
contract OpenWithPermitTest is OpenSuite {
    function setUp() public override {
        super.setUp();
        _send(payer, address(dollar), abi.encodeCall(dollar.approve, (address(channels), 0)));
    }

    function _openCall(Descriptor memory descriptor) internal view override returns (address, bytes memory) {
        return (stranger, _sponsored(descriptor, PAYER_KEY, _permit(PAYER_KEY, descriptor.sum, dollar.nonces(payer))));
    }

    function _sponsored(Descriptor memory descriptor, uint256 key, Permit memory permit)
        private
        view
        returns (bytes memory)
    {
        uint64 deadline = uint64(block.timestamp);
        (bytes32 r, bytes32 vs) = _sign(key, _openOrderDigest(descriptor, deadline));
        return abi.encodeCall(channels.openWithPermit, (descriptor, permit, deadline, r, vs));
    }

    function _badOrder(address expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IChannels.OrderSignatureInvalid.selector, expected);
    }

    /// @dev A stranger pairs the payer's permit with a root in which he signs for himself.
    function test_openWithPermit_revertsIfThePayerDidNotSignTheDescriptor() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        Permit memory permit = _permit(PAYER_KEY, deal.descriptor.sum, 0);
        bytes memory honest = _sponsored(deal.descriptor, PAYER_KEY, permit);
        uint256 strangerKey = 0xBAD;
        _sendReverts(stranger, address(channels), _sponsored(deal.descriptor, strangerKey, permit), _badOrder(payer));

        // The signature of the honest descriptor does not fit another one, whichever field changes.
        (bytes32 r, bytes32 vs) = _sign(PAYER_KEY, _openOrderDigest(deal.descriptor, uint64(START)));
        for (uint256 field = 0; field < 6; ++field) {
            Descriptor memory d = _deal(payer, _leaves(), 1).descriptor;
            if (field == 0) d.signer = stranger;
            if (field == 1) d.root = keccak256("mine");
            if (field == 2) d.sum += 1;
            if (field == 3) d.expiry += 1;
            if (field == 4) d.depth += 1;
            if (field == 5) d.nonce += 1;
            bytes memory data = abi.encodeCall(channels.openWithPermit, (d, permit, uint64(START), r, vs));
            _sendReverts(stranger, address(channels), data, _badOrder(payer));
        }
        _send(stranger, address(channels), honest);
    }

    function test_openWithPermit_worksIfThePermitWasFrontRun() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        Permit memory p = _permit(PAYER_KEY, deal.descriptor.sum, 0);
        bytes memory data = _sponsored(deal.descriptor, PAYER_KEY, p);
        dollar.permit(payer, address(channels), p.value, p.deadline, p.v, p.r, p.s);
        _send(stranger, address(channels), data);
        _assertRoot(deal, RootState.Open, SUM);
    }

    function test_openWithPermit_revertsIfThePermitIsBadAndNothingIsAllowed() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        Permit memory permit = _permit(PAYER_KEY, deal.descriptor.sum, 7);
        _sendReverts(
            stranger,
            address(channels),
            _sponsored(deal.descriptor, PAYER_KEY, permit),
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(channels), 0, SUM)
        );
    }

    function test_openWithPermit_revertsAfterTheDeadline() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        bytes memory data = _sponsored(deal.descriptor, PAYER_KEY, _permit(PAYER_KEY, deal.descriptor.sum, 0));
        vm.warp(START + 1);
        _sendReverts(stranger, address(channels), data, _error(IChannels.OrderExpired.selector, START));
    }

    /// @dev Recovery of a malformed signature gives address 0, which a descriptor could name as its payer.
    function test_openWithPermit_revertsIfPayerIsZero() public {
        Deal memory deal = _deal(address(0), _leaves(), 1);
        Permit memory none;
        bytes memory data =
            abi.encodeCall(channels.openWithPermit, (deal.descriptor, none, uint64(START), bytes32(0), bytes32(0)));
        _sendReverts(stranger, address(channels), data, _badOrder(address(0)));
    }

    function test_openWithPermit_revertsOnAnotherChainOrInstance() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        bytes memory data = _sponsored(deal.descriptor, PAYER_KEY, _permit(PAYER_KEY, deal.descriptor.sum, 0));
        Channels twin = new Channels(address(dollar), GRACE, address(0), address(0));
        _sendReverts(stranger, address(twin), data, _badOrder(payer));
        vm.chainId(block.chainid + 1);
        _sendReverts(stranger, address(channels), data, _badOrder(payer));
    }
}
