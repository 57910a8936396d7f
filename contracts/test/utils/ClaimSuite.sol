// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Activation, FeeOrder} from "../../interfaces/IChannels.sol";
import {Deal, Fixture} from "./Fixture.sol";

/// @title A way to claim
/// @notice Every rule of claiming is tested through each entry that can claim, so that a check forgotten in one of
///         them fails its test (HOPR audit 5.11: a second entry skipped the validation of the first).
abstract contract ClaimSuite is Fixture {
    /// @notice Who calls, and with what, to claim through the entry under test without a fee.
    function _claimCall(address who, Activation[] memory activations, bytes memory vouchers)
        internal
        virtual
        returns (address sender, bytes memory data);

    function _claim(address who, Activation[] memory activations, bytes memory vouchers) internal returns (uint256) {
        (address sender, bytes memory data) = _claimCall(who, activations, vouchers);
        return abi.decode(_send(sender, address(channels), data), (uint256));
    }

    function _claimReverts(address who, Activation[] memory activations, bytes memory vouchers, bytes memory expected)
        internal
    {
        (address sender, bytes memory data) = _claimCall(who, activations, vouchers);
        _sendReverts(sender, address(channels), data, expected);
    }

    /// @notice An open root whose payee's channel is active and has paid `paid`.
    function _active(uint64 nonce, uint96 paid) internal returns (Deal memory deal) {
        deal = _opened(nonce);
        _claim(payee, _one(_activation(deal, PLACE)), paid == 0 ? bytes("") : _voucher(deal, PLACE, paid));
    }
}

/// @title A stranger calls `claim`
abstract contract ViaClaim is ClaimSuite {
    function _claimCall(address who, Activation[] memory activations, bytes memory vouchers)
        internal
        view
        override
        returns (address, bytes memory)
    {
        return (stranger, abi.encodeCall(channels.claim, (who, activations, vouchers)));
    }
}

/// @title A stranger calls `claimFor` with an order that gives him nothing
abstract contract ViaClaimFor is ClaimSuite {
    /// @notice The one payee besides {payee} who signs orders.
    uint256 internal constant OTHER_KEY = 0xBAD;

    function _claimCall(address who, Activation[] memory activations, bytes memory vouchers)
        internal
        view
        override
        returns (address, bytes memory)
    {
        FeeOrder memory order = FeeOrder({fee: 0, submitter: stranger, deadline: type(uint64).max});
        (bytes32 r, bytes32 vs) = _sign(who == payee ? PAYEE_KEY : OTHER_KEY, _feeOrderDigest(who, vouchers, order));
        return (stranger, abi.encodeCall(channels.claimFor, (who, activations, vouchers, order, r, vs)));
    }
}
