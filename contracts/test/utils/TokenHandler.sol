// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Economy} from "./Economy.sol";
import {Deal} from "./Fixture.sol";
import {Counting} from "./Walk.sol";

/// @title Random users, buyers, holders and votes around WAY
/// @notice Dollars are claimed and burnt through the auction, WAY is minted by use and by schedule, moved, delegated and burnt.
contract TokenHandler is Economy, Counting {
    uint256 internal constant PEOPLE = 4;
    address[PEOPLE] public people;
    uint64 private _roots;

    /// @notice Dollars collected for the auction and sold by it, and WAY burnt for them; WAY minted by use.
    uint256 public collected;
    uint256 public sold;
    uint256 public burntForDollars;
    uint256 public mintedByUse;

    function setUp() public override {
        super.setUp();
        people = [buyer, payee, stranger, signer];
        _time = START;
        for (uint256 i = 0; i < PEOPLE; ++i) {
            delegate(i, i);
        }
    }

    /// @notice Somebody is paid from a fresh root, and the burn share is collected.
    function spend(uint256 who, uint96 amount) public counted(0) {
        _spendNow(who, amount);
        ++worked[0];
    }

    function _spendNow(uint256 who, uint96 amount) private {
        payee = people[who % PEOPLE];
        Deal memory deal = _deal(payer, _leaves(), ++_roots);
        deal.descriptor.expiry = uint64(_time) + 1 days;
        _rename(deal);
        dollar.mint(payer, deal.descriptor.sum);
        _openAsPayer(deal);
        amount = uint96(_bound(amount, 1, CAP));
        channels.claim(payee, _one(_activation(deal, PLACE)), _voucher(deal, PLACE, amount));
        (uint256 waiting,) = channels.burnOf(payee);
        usage.collect(0, _list(payee));
        collected += waiting;
    }

    /// @notice Buys a part of what is on sale; if nothing is, somebody spends and the epoch ends first.
    function buy(uint256 part) public counted(1) {
        if (auction.quote().lot == 0) vm.warp(_time = auction.endOf(auction.epoch()));
        if (auction.quote().lot == 0) {
            // forge-lint: disable-next-line(unsafe-typecast) -- any amount will do
            _spendNow(part, uint96(part));
            vm.warp(_time = auction.endOf(auction.epoch()));
        }
        uint256 lot = auction.quote().lot;
        if (lot == 0) return;
        bytes memory data = abi.encodeCall(auction.buy, (_bound(part, 1, lot), type(uint256).max, buyer));
        (bool ok, bytes memory result) = _try(buyer, address(auction), data);
        if (!ok) return; // the price ran away from what he has
        (uint256 dollars, uint256 cost) = abi.decode(result, (uint256, uint256));
        (sold, burntForDollars) = (sold + dollars, burntForDollars + cost);
        ++worked[1];
    }

    function mint(uint256 who, uint256 vintage) public counted(2) {
        uint256 before = way.minted();
        usage.mint(0, vintage % (usage.epoch() + 1), _list(people[who % PEOPLE]));
        mintedByUse += way.minted() - before;
        ++worked[2];
    }

    function turn(bool waits) public counted(3) {
        if (waits) vm.warp(_time += EPOCH);
        emissions.turn();
        ++worked[3];
    }

    function burn(uint256 who, uint256 part) public counted(4) {
        address holder = people[who % PEOPLE];
        uint256 amount = _bound(part, 0, way.balanceOf(holder) / 100);
        _send(holder, address(way), abi.encodeCall(way.burn, (amount)));
        ++worked[4];
    }

    function send(uint256 from, uint256 to, uint256 part) public counted(5) {
        address holder = people[from % PEOPLE];
        uint256 amount = _bound(part, 0, way.balanceOf(holder) / 2);
        _send(holder, address(way), abi.encodeCall(way.transfer, (people[to % PEOPLE], amount)));
        ++worked[5];
    }

    function delegate(uint256 from, uint256 to) public counted(6) {
        _send(people[from % PEOPLE], address(way), abi.encodeCall(way.delegate, (people[to % PEOPLE])));
        ++worked[6];
    }

    /// @notice Any part that a vote may set, of either.
    function vote(uint256 value, bool burnShare) public counted(7) {
        if (burnShare) _vote("burnShare", _bound(value, 500, 10_000));
        else _vote("remint", _bound(value, 0, 9_000));
        ++worked[7];
    }

    // ---------------------------------------------------------------------------------------- what should be there

    /// @notice Supply as it is, as it should be, and as the sum of everybody's.
    function supplies() external view returns (uint256 is_, uint256 should, uint256 sum) {
        is_ = way.totalSupply();
        should = way.genesis() + way.minted() - way.burned();
        sum = way.balanceOf(REWARDS) + way.balanceOf(BOOTSTRAP);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            sum += way.balanceOf(people[i]);
        }
    }

    /// @notice All votes, and all that is held by those who gave their votes to somebody.
    function votes() external view returns (uint256 all, uint256 delegated) {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            all += way.getVotes(people[i]);
            delegated += way.balanceOf(people[i]);
        }
    }

    function cap() external view returns (uint256) {
        return way.CAP();
    }

    function onSale() external view returns (uint256) {
        return dollar.balanceOf(address(auction));
    }
}
