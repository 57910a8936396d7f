// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {FeeOrder, IChannels, Permit, RootId} from "../interfaces/IChannels.sol";
import {Channels} from "../src/Channels.sol";
import {Vouchers} from "../src/libraries/Vouchers.sol";
import {ClaimSuite, ViaClaim, ViaClaimFor} from "./utils/ClaimSuite.sol";
import {Deal} from "./utils/Fixture.sol";
import {Leaf} from "./utils/Tree.sol";

/// @notice The recovery of vouchers, so that it can be called alone.
contract Recovery {
    function signerOf(bytes calldata packed, uint256 i, bytes32 domain, address payee) external view returns (address) {
        return Vouchers.signerOf(packed, i, domain, payee);
    }
}

/// @title What passes for a voucher's signature, the same through both entries
abstract contract SignatureRules is ClaimSuite {
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 internal constant TOP_BIT = 1 << 255;

    function _invalid(uint256 voucher) internal pure returns (bytes memory) {
        return _error(IChannels.SignatureInvalid.selector, voucher);
    }

    function _with(Deal memory deal, uint96 cumulative, bytes32 r, bytes32 vs) private pure returns (bytes memory) {
        return abi.encodePacked(deal.id, PLACE, cumulative, r, vs);
    }

    /// @dev s above half the order recovers as well as its mirror below. EIP-2098 leaves 255 bits for s, so the values
    ///      from half the order to 2^255 can be written: exactly those are at stake.
    function test_C5_claim_revertsIfSIsHigh() public {
        Deal memory deal = _active(1, 0);
        (bytes32 r,) = _sign(SIGNER_KEY, _voucherDigest(deal.id, PLACE, payee, 300));
        uint256 half = ORDER / 2;
        _claimReverts(payee, _none(), _with(deal, 300, r, bytes32(half + 1)), _invalid(0));
        _claimReverts(payee, _none(), _with(deal, 300, r, bytes32(TOP_BIT - 1)), _invalid(0));
        _claimReverts(payee, _none(), _with(deal, 300, r, bytes32(type(uint256).max)), _invalid(0));
    }

    /// @dev The mirrored signature (s -> n - s, other parity) of a valid one is never a second valid one.
    function test_claim_revertsIfTheSignatureIsMirrored() public {
        Deal memory deal = _active(1, 0);
        (bytes32 r, bytes32 vs) = _sign(SIGNER_KEY, _voucherDigest(deal.id, PLACE, payee, 300));
        uint256 s = uint256(vs) & (TOP_BIT - 1);
        uint256 parity = uint256(vs) ^ s;
        bytes memory mirrored = _with(deal, 300, r, bytes32((ORDER - s) | (parity ^ TOP_BIT)));
        (address sender, bytes memory data) = _claimCall(payee, _none(), mirrored);
        (bool ok,) = _try(sender, address(channels), data);
        vm.assertTrue(!ok, "mirrored");
        bytes memory flipped = _with(deal, 300, r, vs ^ bytes32(TOP_BIT));
        (sender, data) = _claimCall(payee, _none(), flipped);
        (ok,) = _try(sender, address(channels), data);
        vm.assertTrue(!ok, "parity flipped");
    }

    /// @dev A malformed signature recovers to address 0 without any error from the precompile.
    function test_claim_revertsIfTheSignatureRecoversToZero() public {
        Deal memory deal = _active(1, 0);
        (bytes32 r, bytes32 vs) = _sign(SIGNER_KEY, _voucherDigest(deal.id, PLACE, payee, 300));
        bytes memory fine = _voucher(deal, PLACE, 200);
        _claimReverts(payee, _none(), bytes.concat(fine, _with(deal, 300, 0, vs)), _invalid(1));
        _claimReverts(payee, _none(), _with(deal, 300, r, 0), _invalid(0));
        _claimReverts(payee, _none(), _with(deal, 300, bytes32(ORDER), vs), _invalid(0));
        _claimReverts(payee, _none(), _with(deal, 300, 0, 0), _invalid(0));
    }

    /// @dev C37: no hand-written cryptography: on any input the answer is OpenZeppelin's, and there is none where it has none.
    function testFuzz_C37_signerIsWhatOpenZeppelinRecovers(bytes32 id, uint128 rest, uint256 key, bytes32 bits) public {
        Recovery recovery = new Recovery();
        bytes32 hash = Vouchers.structHash(RootId.wrap(id), uint32(rest >> 96), payee, uint96(rest));
        bytes32 digest = MessageHashUtils.toTypedDataHash(bits, hash);
        (bytes32 r, bytes32 vs) = _sign(_bound(key, 1, ORDER - 1), digest);
        // A quarter each: as signed, one bit of r or of vs flipped, anything.
        uint256 way = uint256(bits) % 4;
        if (way == 1) r ^= bytes32(uint256(1) << (uint256(bits) >> 8) % 256);
        if (way == 2) vs ^= bytes32(uint256(1) << (uint256(bits) >> 8) % 256);
        if (way == 3) (r, vs) = (keccak256(abi.encode(r)), keccak256(abi.encode(vs)));
        bytes memory packed = abi.encodePacked(id, rest, r, vs);
        (address expected, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, r, vs);
        try recovery.signerOf(packed, 0, bits, payee) returns (address found) {
            vm.assertEq(found, expected, "signer");
            vm.assertTrue(failure == ECDSA.RecoverError.NoError, "no error");
        } catch (bytes memory reason) {
            vm.assertTrue(failure != ECDSA.RecoverError.NoError, "error");
            vm.assertEq(reason, _invalid(0), "reason");
        }
    }

    function test_claim_revertsOnAnotherInstance() public {
        Deal memory deal = _active(1, 0);
        bytes memory vouchers = _voucher(deal, PLACE, 300);
        // Same payer, same descriptor, same root id, other contract.
        Channels original = channels;
        channels = new Channels(address(dollar), GRACE, address(0), address(0));
        _fund(payer);
        _openAsPayer(deal);
        _claim(payee, _one(_activation(deal, PLACE)), "");
        (address sender, bytes memory data) = _claimCall(payee, _none(), vouchers);
        (bool ok, bytes memory result) = _try(sender, address(channels), data);
        vm.assertTrue(!ok && bytes4(result) == IChannels.ChannelUnknown.selector, "signed for the other one");
        channels = original;
        vm.assertEq(_claim(payee, _none(), vouchers), 300, "good where it was signed for");
    }

    /// @dev HOPR audit 5.5: after a fork both chains have the state, and a cached domain would accept both sides.
    function test_claim_revertsAfterTheChainIdChanged() public {
        Deal memory deal = _active(1, 0);
        bytes memory old = _voucher(deal, PLACE, 300);
        vm.chainId(block.chainid + 1);
        (address sender, bytes memory data) = _claimCall(payee, _none(), old);
        (bool ok, bytes memory result) = _try(sender, address(channels), data);
        vm.assertTrue(!ok && bytes4(result) == IChannels.ChannelUnknown.selector, "signed for the other chain");
        vm.assertEq(_claim(payee, _none(), _voucher(deal, PLACE, 300)), 300, "signed for this chain");
    }
}

contract SignatureTest is SignatureRules, ViaClaim {}

contract SignatureThroughClaimForTest is SignatureRules, ViaClaimFor {}

/// @title One signed thing never stands for another: all ordered pairs of the three types
/// @dev One key plays every part, so that nothing but the type can make the difference.
contract CrossTypeTest is ClaimSuite, ViaClaim {
    /// @notice A root in which the payer is signer and payee as well.
    function _selfDeal() private view returns (Deal memory deal) {
        Leaf[] memory leaves = _leaves();
        leaves[0].payee = payer;
        deal = _deal(payer, leaves, 1);
        deal.descriptor.signer = payer;
        deal.signerKey = PAYER_KEY;
        _rename(deal);
    }

    function _order() private pure returns (FeeOrder memory) {
        return FeeOrder({fee: 0, submitter: address(0), deadline: uint64(START)});
    }

    /// @notice The vouchers the order is for.
    function _vouchers() private view returns (bytes memory) {
        return _voucher(_selfDeal(), 0, 100);
    }

    /// @notice Presents what the payer signed as type `signed` as if it were of type `shown`.
    function _present(uint256 signed, uint256 shown) private returns (bool ok) {
        Deal memory deal = _selfDeal();
        bytes32 digest = signed == 0
            ? _voucherDigest(deal.id, 0, payer, 300)
            : signed == 1
                ? _feeOrderDigest(payer, _vouchers(), _order())
                : _openOrderDigest(deal.descriptor, uint64(START));
        (bytes32 r, bytes32 vs) = _sign(PAYER_KEY, digest);
        bytes memory data;
        if (shown == 0) {
            data = abi.encodePacked(deal.id, uint32(0), uint96(300), r, vs);
            data = abi.encodeCall(channels.claim, (payer, _none(), data));
        } else if (shown == 1) {
            data = abi.encodeCall(channels.claimFor, (payer, _none(), _vouchers(), _order(), r, vs));
        } else {
            Permit memory none;
            data = abi.encodeCall(channels.openWithPermit, (deal.descriptor, none, uint64(START), r, vs));
        }
        (ok,) = _try(stranger, address(channels), data);
    }

    function test_C4_noSignedTypeStandsForAnother() public {
        vm.assertTrue(!_present(0, 2) && !_present(1, 2), "as an OpenOrder");
        vm.assertTrue(_present(2, 2), "an OpenOrder");
        channels.claim(payer, _one(_activation(_selfDeal(), 0)), "");
        vm.assertTrue(!_present(1, 0) && !_present(2, 0), "as a voucher");
        vm.assertTrue(!_present(0, 1) && !_present(2, 1), "as a FeeOrder");
        vm.assertTrue(_present(0, 0) && _present(1, 1), "as what they are");
    }
}
