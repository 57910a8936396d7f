// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IWay} from "../../interfaces/IWay.sol";

/// @title WAY: the token that use of the exchange burns
/// @notice An ERC-20 with permit and votes. The rule it keeps: supply = genesis + minted - burned, never above CAP, and
///         nothing but the two minters named at construction ever mints. No owner, no pause, no upgrade.
/// @dev A holder burns by itself; {Channels} never holds the power to. Votes are by timestamp, so that periods mean the
///      same on every chain; what is held without {delegate} counts for nobody.
contract Way is ERC20, ERC20Burnable, ERC20Permit, ERC20Votes {
    /// @notice Most that can exist: 200 million at genesis, at most 600 million for capacity, at most 200 million to begin with.
    uint256 public constant CAP = 1_000_000_000e18;

    /// @notice See {IWay}.
    uint256 public immutable genesis;
    /// @notice See {IWay}.
    address public immutable emissions;
    /// @notice See {IWay}.
    address public immutable usageMint;

    /// @notice See {IWay}.
    uint256 public minted;
    /// @notice See {IWay}.
    uint256 public burned;

    /// @param emissions_ Mints by schedule. It may not exist yet: its address is predicted.
    /// @param usageMint_ Mints for what burnt.
    /// @param holder Receives the genesis supply.
    /// @param genesis_ How much that is.
    constructor(address emissions_, address usageMint_, address holder, uint256 genesis_)
        ERC20("Way", "WAY")
        ERC20Permit("Way")
    {
        if (genesis_ > CAP) revert IWay.CapExceeded(0, genesis_);
        emissions = emissions_;
        usageMint = usageMint_;
        genesis = genesis_;
        if (genesis_ != 0) _mint(holder, genesis_);
    }

    /// @notice See {IWay}.
    function mint(address to, uint256 amount) external {
        if (msg.sender != emissions && msg.sender != usageMint) revert IWay.NotMinter(msg.sender);
        if (totalSupply() + amount > CAP) revert IWay.CapExceeded(totalSupply(), amount);
        minted += amount;
        _mint(to, amount);
    }

    /// @notice Time in seconds (ERC-6372).
    function clock() public view override returns (uint48) {
        return SafeCast.toUint48(block.timestamp);
    }

    /// @notice See {clock}.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @inheritdoc ERC20Permit
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        if (to == address(0)) burned += value;
        super._update(from, to, value);
    }
}
