// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Thaw} from "../../interfaces/IRegistry.sol";
import {Registry} from "../../src/registry/Registry.sol";
import {StakeFixture, TestParameters, TestToken} from "./StakeFixture.sol";

/// @title Random stakers, operators, judges and reporters
/// @notice Each action picks something that can be done now, does it, and counts whether it worked.
contract RegistryHandler is StakeFixture {
    enum Action {
        Stake,
        Unbond,
        Release,
        Slash,
        Distribute,
        Claim,
        Collect
    }

    uint256 internal constant PEOPLE = 4;
    uint256 internal constant FUNDS = 1_000_000e18;

    mapping(uint256 action => uint256) public tried;
    mapping(uint256 action => uint256) public worked;
    address[PEOPLE] public owners;
    address[2] public operators;
    uint256[] public pending;
    uint256 public slashed;
    uint256 public distributed;
    uint256 public earlyReleases;
    uint256 private _time = START;

    constructor(TestToken way_, TestParameters parameters_, Registry registry_) {
        (way, parameters, registry) = (way_, parameters_, registry_);
        owners = [ann, bob, dan, eve];
        operators = [ann, bob];
    }

    function setUp() public override {}

    modifier counted(Action action) {
        _time += 1 hours;
        vm.warp(_time);
        ++tried[uint256(action)];
        _;
    }

    function stake(uint256 owner, uint256 operator, uint256 tokens) public counted(Action.Stake) {
        address who = owners[owner % PEOPLE];
        tokens = _bound(tokens, 1, 20_000e18);
        if (way.balanceOf(who) < tokens) way.mint(who, tokens);
        _stake(who, operators[operator % 2], tokens);
        ++worked[uint256(Action.Stake)];
    }

    function unbond(uint256 owner, uint256 operator, uint256 part, bool moves) public counted(Action.Unbond) {
        for (uint256 i = 0; i < PEOPLE * 2; ++i) {
            uint256 from = (operator % 2 + i / PEOPLE) % 2;
            if (!_unbondPart(owners[(owner % PEOPLE + i) % PEOPLE], from, part, moves)) continue;
            ++worked[uint256(Action.Unbond)];
            return;
        }
    }

    function _unbondPart(address who, uint256 from, uint256 part, bool moves) private returns (bool) {
        (uint256 shares, uint256 tokens) = registry.sharesOf(operators[from], who);
        if (tokens < 10) return false;
        // One share at least, worth one token at least.
        part = _bound(part, shares / tokens + 1, shares);
        pending.push(_unbond(who, operators[from], part, moves ? operators[1 - from] : address(0)));
        return true;
    }

    function release(uint256 which, bool early) public counted(Action.Release) {
        if (pending.length == 0) return;
        uint256 i = which % pending.length;
        if (!early) vm.warp(_time += UNBONDING);
        (bool ok,) = _try(eve, address(registry), abi.encodeCall(registry.release, (pending[i])));
        if (!ok) return;
        if (early && _time < START + UNBONDING) ++earlyReleases;
        pending[i] = pending[pending.length - 1];
        pending.pop();
        ++worked[uint256(Action.Release)];
    }

    function slash(uint256 operator, uint256 bps) public counted(Action.Slash) {
        // Mostly small, now and then everything.
        bps = bps % 8 == 0 ? 10_000 : _bound(bps, 0, 1_000);
        slashed += _slash(operators[operator % 2], bps);
        ++worked[uint256(Action.Slash)];
    }

    function distribute(uint256 operator, uint256 amount) public counted(Action.Distribute) {
        amount = _bound(amount, 0, 1_000e18);
        if (way.balanceOf(eve) < amount) way.mint(eve, amount);
        _send(eve, address(registry), abi.encodeCall(registry.distribute, (operators[operator % 2], amount)));
        distributed += amount;
        ++worked[uint256(Action.Distribute)];
    }

    function claim(uint256 owner, uint256 operator) public counted(Action.Claim) {
        address who = owners[owner % PEOPLE];
        _send(who, address(registry), abi.encodeCall(registry.claimRewards, (operators[operator % 2])));
        ++worked[uint256(Action.Claim)];
    }

    function collect(uint256 owner) public counted(Action.Collect) {
        address who = owner % 5 == 4 ? reporter : owners[owner % PEOPLE];
        _send(who, address(registry), abi.encodeCall(registry.collect, (who)));
        ++worked[uint256(Action.Collect)];
    }

    /// @notice Everybody takes out everything: unbonds, waits, releases, claims and collects.
    function leave() external {
        for (uint256 i = 0; i < 2 * PEOPLE; ++i) {
            (address who, address operator) = (owners[i / 2], operators[i % 2]);
            (uint256 shares, uint256 tokens) = registry.sharesOf(operator, who);
            if (tokens != 0) pending.push(_unbond(who, operator, shares, address(0)));
            _send(who, address(registry), abi.encodeCall(registry.claimRewards, (operator)));
        }
        vm.warp(_time += UNBONDING);
        // A move ends with the other operator; from there it leaves as well.
        for (uint256 i = 0; i < pending.length; ++i) {
            Thaw memory thaw = _released(pending[i]);
            if (thaw.to == address(0)) continue;
            (uint256 shares, uint256 tokens) = registry.sharesOf(thaw.to, thaw.owner);
            if (tokens != 0) pending.push(_unbond(thaw.owner, thaw.to, shares, address(0)));
            vm.warp(_time += UNBONDING);
        }
        for (uint256 i = 0; i <= PEOPLE; ++i) {
            address who = i == PEOPLE ? reporter : owners[i];
            for (uint256 o = 0; i != PEOPLE && o < 2; ++o) {
                _send(who, address(registry), abi.encodeCall(registry.claimRewards, (operators[o])));
            }
            _send(who, address(registry), abi.encodeCall(registry.collect, (who)));
        }
        delete pending;
    }

    function _released(uint256 id) private returns (Thaw memory thaw) {
        (thaw,) = registry.thawOf(id);
        _send(thaw.owner, address(registry), abi.encodeCall(registry.release, (id)));
    }

    // ---------------------------------------------------------------------------------------- what should be there

    /// @notice Everything the registry owes, read piece by piece.
    function owed() external view returns (uint256 sum) {
        for (uint256 o = 0; o < 2; ++o) {
            (uint256 bonded, uint256 thawing) = registry.stakeOf(operators[o]);
            sum += bonded + thawing;
            for (uint256 i = 0; i < PEOPLE; ++i) {
                sum += registry.rewardOf(operators[o], owners[i]);
            }
        }
        for (uint256 i = 0; i < PEOPLE; ++i) {
            sum += registry.creditOf(owners[i]);
        }
        sum += registry.creditOf(reporter);
    }

    /// @notice What all owners together could take out of one operator's two pools.
    function claims(uint256 operator) external view returns (uint256 bonded, uint256 thawing) {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            bonded += _tokensOf(operators[operator], owners[i]);
        }
        for (uint256 i = 0; i < pending.length; ++i) {
            (Thaw memory thaw, uint256 tokens) = registry.thawOf(pending[i]);
            if (thaw.operator == operators[operator]) thawing += tokens;
        }
    }

    function totalOfPools() external view returns (uint256 sum) {
        for (uint256 o = 0; o < 2; ++o) {
            (uint256 bonded, uint256 thawing) = registry.stakeOf(operators[o]);
            sum += bonded + thawing;
        }
    }

    function bookings() external view returns (uint256 count) {
        for (uint256 i = 0; i <= uint256(type(Action).max); ++i) {
            count += tried[i];
        }
    }
}
