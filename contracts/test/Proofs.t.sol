// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Activation, IChannels, RootState} from "../interfaces/IChannels.sol";
import {ClaimSuite, ViaClaim, ViaClaimFor} from "./utils/ClaimSuite.sol";
import {Deal} from "./utils/Fixture.sol";
import {Leaf} from "./utils/Tree.sol";

/// @title Rules of activation, the same through both entries
abstract contract ProofRules is ClaimSuite {
    function _badProof(uint256 activation) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IChannels.ProofInvalid.selector, activation);
    }

    function test_activate_everyLeafOfTheTree() public {
        Deal memory deal = _opened(1);
        for (uint32 i = 0; i < 8; ++i) {
            // `claimFor` needs an order from the payee, so the made-up payees activate through `claim`.
            Activation[] memory one = _one(_activation(deal, i));
            channels.claim(deal.leaves[i].payee, one, "");
            _assertChannel(deal, i, CAP, 0);
        }
        _assertRoot(deal, RootState.Open, 0);
    }

    function test_activate_twiceIsSkipped() public {
        Deal memory deal = _active(1, 300);
        _claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, 400));
        _assertRoot(deal, RootState.Open, 7 * CAP);
        _assertChannel(deal, PLACE, CAP, 400);
        Activation[] memory twice = new Activation[](2);
        (twice[0], twice[1]) = (_activation(deal, PLACE), _activation(deal, PLACE));
        _claim(payee, twice, "");
        _assertRoot(deal, RootState.Open, 7 * CAP);
    }

    function test_activate_revertsIfRootIsNotOpen() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        bytes memory expected = _rootError(IChannels.RootNotOpen.selector, deal);
        _claimReverts(payee, _one(_activation(deal, PLACE)), "", expected);
    }

    function test_activate_revertsIfCapIsZero() public {
        Leaf[] memory leaves = _leaves();
        leaves[PLACE].cap = 0;
        Deal memory deal = _deal(payer, leaves, 1);
        _openAsPayer(deal);
        _claimReverts(payee, _one(_activation(deal, PLACE)), "", _error(IChannels.ZeroCap.selector, 0));
    }

    /// @dev Without the check the leaf at 5 would prove again at 5 + 8, at 5 + 16, ...
    function test_activate_revertsIfIndexIsAliased() public {
        Deal memory deal = _active(1, 0);
        for (uint256 bit = 3; bit < 32; ++bit) {
            Activation memory alias_ = _activation(deal, PLACE);
            alias_.index = uint32(PLACE + (uint256(1) << bit));
            bytes memory expected =
                abi.encodeWithSelector(IChannels.IndexOutOfTree.selector, 0, alias_.index, deal.descriptor.depth);
            _claimReverts(payee, _one(alias_), "", expected);
        }
        _assertRoot(deal, RootState.Open, 7 * CAP);
    }

    function test_activate_revertsIfProofIsTooShortOrTooLong() public {
        Deal memory deal = _opened(1);
        for (uint256 hashes = 2; hashes <= 4; ++hashes) {
            for (uint256 sums = 2; sums <= 4; ++sums) {
                if (hashes == 3 && sums == 3) continue;
                Activation memory activation = _activation(deal, PLACE);
                activation.siblingHashes = new bytes32[](hashes);
                activation.siblingSums = new uint96[](sums);
                bytes memory expected = abi.encodeWithSelector(IChannels.ProofLengthWrong.selector, 0, hashes, sums, 3);
                _claimReverts(payee, _one(activation), "", expected);
            }
        }
    }

    function test_activate_revertsIfAnythingProvedIsDifferent() public {
        (Deal memory good, Deal memory bad) = (_opened(1), _opened(2));
        for (uint256 change = 0; change < 9; ++change) {
            Activation[] memory two = new Activation[](2);
            (two[0], two[1]) = (_activation(good, PLACE), _activation(bad, PLACE));
            if (change == 0) two[1].index = PLACE ^ 1;
            if (change == 1) two[1].cap += 1;
            if (change == 2) two[1].cap -= 1;
            if (change == 3) two[1].salt = 0;
            if (change == 4) two[1].siblingHashes[0] = 0;
            if (change == 5) two[1].siblingHashes[2] = 0;
            if (change == 6) two[1].siblingSums[0] -= 1;
            if (change == 7) two[1].siblingSums[2] -= 1;
            if (change == 8) (two[1].siblingSums[0], two[1].siblingSums[1]) = (CAP - 1, 2 * CAP + 1);
            _claimReverts(payee, two, "", _badProof(1));
        }
        _claimReverts(vm.addr(0xBAD), _one(_activation(good, PLACE)), "", _badProof(0));
        _assertRoot(good, RootState.Open, 8 * CAP);
        _assertRoot(bad, RootState.Open, 8 * CAP);
    }

    /// @dev The payer commits to caps of 1,000 and escrows 500: the sum must be compared at the root.
    function test_activate_revertsIfTheSumIsUnderstated() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.sum /= 2;
        _rename(deal);
        _openAsPayer(deal);
        _claimReverts(payee, _one(_activation(deal, PLACE)), "", _badProof(0));
    }

    /// @dev Nor may it be overstated: the payee could not tell what backs its cap.
    function test_activate_revertsIfTheSumIsOverstated() public {
        Deal memory deal = _deal(payer, _leaves(), 1);
        deal.descriptor.sum += 1;
        _rename(deal);
        _openAsPayer(deal);
        _claimReverts(payee, _one(_activation(deal, PLACE)), "", _badProof(0));
    }

    /// @dev Caps that wrap: (2^96 - 1) + 2 is 1 modulo 2^96. The payer escrows 1 and promises a fortune.
    function test_activate_revertsIfTheSumWraps() public {
        Leaf[] memory leaves = _leaves();
        for (uint256 i = 0; i < 8; ++i) {
            leaves[i].cap = i == PLACE ? type(uint96).max : i == 2 ? 2 : 0;
        }
        Deal memory deal = _deal(payer, leaves, 1);
        vm.assertEq(deal.descriptor.sum, 1, "wrapped");
        _openAsPayer(deal);
        _claimReverts(payee, _one(_activation(deal, PLACE)), "", _badProof(0));
    }

    /// @dev A node offered as a leaf, one level up: its preimage is 88 bytes and no leaf's is.
    function test_activate_revertsIfANodeIsOfferedAsALeaf() public {
        Deal memory deal = _opened(1);
        Activation memory activation = _activation(deal, PLACE);
        // What an attacker would like: the node above PLACE as a leaf with a cap of two.
        (activation.siblingHashes, activation.siblingSums) = _upper(activation);
        activation.cap = 2 * CAP;
        activation.index = PLACE >> 1;
        bytes memory expected = abi.encodeWithSelector(IChannels.ProofLengthWrong.selector, 0, 2, 2, 3);
        _claimReverts(payee, _one(activation), "", expected);

        // And with a descriptor that says depth 2, the hashes do not meet.
        Deal memory flat = _deal(payer, _leaves(), 2);
        flat.descriptor.depth = 2;
        _rename(flat);
        _openAsPayer(flat);
        activation.descriptor = flat.descriptor;
        _claimReverts(payee, _one(activation), "", _badProof(0));
    }

    function test_activate_aTreeOfOneLeaf() public {
        Leaf[] memory leaves = new Leaf[](1);
        leaves[0] = Leaf({payee: payee, cap: CAP, salt: keccak256("salt")});
        Deal memory deal = _deal(payer, leaves, 1);
        vm.assertEq(deal.descriptor.depth, 0, "depth");
        _openAsPayer(deal);
        vm.assertEq(_claim(payee, _one(_activation(deal, 0)), _voucher(deal, 0, CAP)), CAP, "paid");
        Activation memory alias_ = _activation(deal, 0);
        alias_.index = 1;
        bytes memory expected = abi.encodeWithSelector(IChannels.IndexOutOfTree.selector, 0, 1, 0);
        _claimReverts(payee, _one(alias_), "", expected);
    }

    /// @dev Depth 32, where the index uses all of its bits. The tree is a path: every sibling is empty.
    function test_activate_theDeepestTree() public {
        uint32 index = type(uint32).max;
        Deal memory deal = _opened(1);
        Activation memory activation;
        (activation.index, activation.cap, activation.salt) = (index, CAP, keccak256("deep"));
        activation.siblingHashes = new bytes32[](32);
        activation.siblingSums = new uint96[](32);
        bytes32 hash = keccak256(abi.encodePacked(payee, CAP, activation.salt));
        for (uint256 level = 0; level < 32; ++level) {
            hash = keccak256(abi.encodePacked(bytes32(0), uint96(0), hash, CAP));
        }
        (deal.descriptor.root, deal.descriptor.sum, deal.descriptor.depth) = (hash, CAP, 32);
        _rename(deal);
        _openAsPayer(deal);
        activation.descriptor = deal.descriptor;
        bytes32 digest = _voucherDigest(deal.id, index, payee, CAP);
        vm.assertEq(_claim(payee, _one(activation), _pack(deal.id, index, CAP, SIGNER_KEY, digest)), CAP, "paid");
    }

    function _upper(Activation memory activation) private pure returns (bytes32[] memory hashes, uint96[] memory sums) {
        (hashes, sums) = (new bytes32[](2), new uint96[](2));
        for (uint256 i = 0; i < 2; ++i) {
            (hashes[i], sums[i]) = (activation.siblingHashes[i + 1], activation.siblingSums[i + 1]);
        }
    }
}

contract ProofTest is ProofRules, ViaClaim {}

contract ProofThroughClaimForTest is ProofRules, ViaClaimFor {}
