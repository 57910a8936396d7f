// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBurnAuction} from "../../interfaces/IBurnAuction.sol";
import {IChannels} from "../../interfaces/IChannels.sol";
import {Lane} from "../../interfaces/IUsageMint.sol";
import {IWay} from "../../interfaces/IWay.sol";
import {BurnAuction} from "../../src/burn/BurnAuction.sol";
import {UsageMint} from "../../src/burn/UsageMint.sol";
import {Channels} from "../../src/Channels.sol";
import {Deployer} from "../../src/Deployer.sol";
import {Parameters} from "../../src/governance/Parameters.sol";
import {TestDollar} from "../../src/TestDollar.sol";
import {Emissions} from "../../src/token/Emissions.sol";
import {Way} from "../../src/token/Way.sol";
import {Deal, Fixture} from "./Fixture.sol";

/// @title The fixture's payer and payee in a world where claims burn
/// @notice Two lanes: 0 pays in dollars, 1 in WAY. The timelock is an address of ours, so a vote is one call.
abstract contract Economy is Fixture {
    uint256 internal constant EPOCH = 1 days;
    uint256 internal constant HALF_LIFE = 1 hours;
    uint256 internal constant MIN_LOT = 100;
    /// @notice One WAY a dollar.
    uint256 internal constant PAR = 1e12;
    uint256 internal constant GENESIS = 200_000_000e18;

    address internal constant TIMELOCK = address(0x71E10C);
    address internal constant GUARDIAN = address(0x6A4D);
    address internal constant REWARDS = address(0xCA9);
    address internal constant BOOTSTRAP = address(0xB00);
    address internal buyer = address(0xB1D);

    Parameters internal parameters;
    Way internal way;
    Emissions internal emissions;
    BurnAuction internal auction;
    UsageMint internal usage;
    Channels internal wayChannels;

    function setUp() public virtual override {
        vm.warp(START);
        dollar = new TestDollar();
        parameters = new Parameters(TIMELOCK, GUARDIAN);
        Deployer deployer = new Deployer();
        address mint = deployer.addressOf(address(this), "usage");
        address emitter = deployer.addressOf(address(this), "emissions");
        // The genesis supply is the buyer's: somebody has to want dollars.
        way = new Way(emitter, mint, buyer, GENESIS);
        IWay token = IWay(address(way));
        emissions = Emissions(
            deployer.deploy(
                "emissions",
                abi.encodePacked(type(Emissions).creationCode, abi.encode(token, START, EPOCH, REWARDS, BOOTSTRAP))
            )
        );
        channels = new Channels(address(dollar), GRACE, address(parameters), mint);
        wayChannels = new Channels(address(way), GRACE, address(parameters), mint);
        auction = new BurnAuction(dollar, token, mint, START, EPOCH, HALF_LIFE, MIN_LOT, PAR);
        Lane[] memory lanes = new Lane[](2);
        lanes[0] = Lane({channels: IChannels(address(channels)), auction: IBurnAuction(address(auction))});
        lanes[1] = Lane({channels: IChannels(address(wayChannels)), auction: IBurnAuction(address(0))});
        usage = UsageMint(
            deployer.deploy(
                "usage",
                abi.encodePacked(type(UsageMint).creationCode, abi.encode(token, parameters, START, EPOCH, lanes))
            )
        );
        vm.prank(buyer);
        way.approve(address(auction), type(uint256).max);
        _fund(payer);
    }

    /// @notice The payee claims `amount` from a root of its own.
    function _claims(uint64 nonce, uint96 amount) internal {
        Deal memory deal = _opened(nonce);
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, amount));
    }

    function _list(address who) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = who;
    }

    /// @notice As `who`, buys all that is on sale, waiting a half-life between lots.
    function _buyAll(address who) internal returns (uint256 sold, uint256 cost) {
        while (auction.quote().lot != 0) {
            (uint256 more, uint256 paid) = _buy(who, type(uint128).max, type(uint256).max);
            (sold, cost) = (sold + more, cost + paid);
            vm.warp(block.timestamp + HALF_LIFE);
        }
    }

    function _buy(address who, uint256 dollars, uint256 limit) internal returns (uint256, uint256) {
        bytes memory result = _send(who, address(auction), abi.encodeCall(auction.buy, (dollars, limit, who)));
        return abi.decode(result, (uint256, uint256));
    }

    function _vote(bytes32 name, uint256 to) internal {
        uint256 from = parameters.get(name);
        _send(TIMELOCK, address(parameters), abi.encodeCall(parameters.set, (name, from, to)));
        channels.sync();
        wayChannels.sync();
    }

    function _supplyIdentity() internal view {
        vm.assertEq(way.totalSupply(), way.genesis() + way.minted() - way.burned(), "supply identity");
        vm.assertLe(way.totalSupply(), way.CAP(), "cap");
    }
}
