// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBurnAuction} from "../../interfaces/IBurnAuction.sol";
import {IChannels} from "../../interfaces/IChannels.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {Lane} from "../../interfaces/IUsageMint.sol";
import {IWay} from "../../interfaces/IWay.sol";
import {BurnAuction} from "../../src/burn/BurnAuction.sol";
import {UsageMint} from "../../src/burn/UsageMint.sol";
import {Deployer} from "../../src/Deployer.sol";
import {Parameters} from "../../src/governance/Parameters.sol";
import {Way} from "../../src/token/Way.sol";
import {Coin, Replay} from "./Replay.sol";

/// @title Burn auction, usage mint and test/differential/formulas.ts
/// @notice This contract is the channels that dollars come from.
contract AuctionDifferentialTest is Replay {
    uint256 private constant WAY_AT_HAND = 1_000_000_000e18;
    Coin private _dollar = new Coin();
    Way private _way;
    BurnAuction private _auction;
    UsageMint private _usage;
    uint256 private _waiting;

    function setUp() public {
        // First of all: the token remembers when it was made.
        vm.warp(START);
        Deployer deployer = new Deployer();
        address mint = deployer.addressOf(address(this), "usage");
        _way = new Way(mint, mint, address(this), WAY_AT_HAND);
        _auction = new BurnAuction(_dollar, IWay(address(_way)), mint, START, 1 days, 1 hours, 100, 1e12);
        _way.approve(address(_auction), type(uint256).max);
        Lane[] memory lanes = new Lane[](1);
        lanes[0] = Lane({channels: IChannels(address(this)), auction: IBurnAuction(address(_auction))});
        IParameters parameters = new Parameters(address(this), address(0));
        bytes memory args = abi.encode(_way, parameters, START, 1 days, lanes);
        _usage = UsageMint(deployer.deploy("usage", abi.encodePacked(type(UsageMint).creationCode, args)));
    }

    /// @notice As Channels has it.
    function collectBurn(address[] calldata, address to) external returns (uint256[] memory amounts, uint256 sum) {
        amounts = new uint256[](1);
        (amounts[0], sum) = (_waiting, _waiting);
        _dollar.mint(to, sum);
    }

    function test_differential_auction() public {
        _replay("auction");
    }

    function _operate() internal override {
        Drawn memory drawn = _next(4);
        if (drawn.kind == 0) {
            address[] memory payees = new address[](1);
            payees[0] = drawn.who % 2 == 0 ? address(0xA) : address(0xB);
            _waiting = 1 + drawn.amount % 1e9;
            _attempt(address(this), address(_usage), abi.encodeCall(UsageMint.collect, (0, payees)));
        } else if (drawn.kind == 1) {
            _pass(drawn.amount % 1 days);
        } else if (drawn.kind == 2) {
            bytes memory data =
                abi.encodeCall(BurnAuction.buy, (1 + drawn.amount % 1e8, type(uint256).max, address(this)));
            _attemptOnly(address(this), address(_auction), data);
        } else {
            uint256 vintage = drawn.what % (_usage.epoch() + 1);
            bytes memory data = abi.encodeCall(UsageMint.mintable, (0, vintage, address(0xA)));
            _attempt(address(this), address(_usage), data);
        }
        _fold(_auction.quote().price);
        _fold(_auction.remembered());
        _fold(WAY_AT_HAND - _way.balanceOf(address(this)));
        _fold(_dollar.balanceOf(address(this)));
    }
}
