// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";

import {Profile, Role, Statement} from "../../interfaces/IRegistry.sol";
import {Registry} from "../../src/registry/Registry.sol";
import {Test} from "./Test.sol";

/// @notice A token that tests may mint and that can be burnt, as WAY can.
contract TestToken is ERC20, ERC20Burnable {
    constructor() ERC20("Test token", "TEST") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice Parameters without a vote.
contract TestParameters {
    mapping(bytes32 name => uint256) private _values;

    function get(bytes32 name) external view returns (uint256) {
        return _values[name];
    }

    function set(bytes32 name, uint256 value) external {
        _values[name] = value;
    }
}

/// @title A registry with one judge, two operators and two delegators
/// @notice Amounts are plain units; one WAY has 10^18 of them.
abstract contract StakeFixture is Test {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant UNBONDING = 21 days;
    uint256 internal constant MINIMUM = 1_000e18;
    uint256 internal constant KEY = 0xC0FFEE;
    bytes32 internal constant RECEIPT = keccak256("receipt");

    TestToken internal way;
    TestParameters internal parameters;
    Registry internal registry;
    address internal judge = address(0x10D6E);
    address internal ann = address(0xA22);
    address internal bob = address(0xB0B);
    address internal dan = address(0xDA2);
    address internal eve = address(0xE5E);
    address internal reporter = address(0x4E90);

    function setUp() public virtual {
        vm.warp(START);
        way = new TestToken();
        parameters = new TestParameters();
        parameters.set("stakeProvider", MINIMUM / 1e18);
        parameters.set("stakeProber", MINIMUM / 1e18);
        parameters.set("stakePerMbps", 1);
        parameters.set("unbonding", UNBONDING);
        parameters.set("reporterShare", 5_000);
        parameters.set("slashEquivocation", 10_000);
        registry = new Registry(address(way), address(parameters), address(this));
        _seal(judge);
        address[4] memory people = [ann, bob, dan, eve];
        for (uint256 i = 0; i < 4; ++i) {
            _fundWay(people[i], 1_000_000e18);
        }
        _operator(ann, Role.Provider, 10_000e18);
        _operator(bob, Role.Prober, 10_000e18);
        _addKey(ann, KEY);
    }

    function _seal(address first) internal virtual {
        address[] memory judges = new address[](1);
        judges[0] = first;
        registry.seal(judges);
    }

    function _fundWay(address who, uint256 amount) internal {
        way.mint(who, amount);
        vm.prank(who);
        way.approve(address(registry), type(uint256).max);
    }

    function _profile(address who, Role role) internal pure returns (Profile memory profile) {
        profile.nodeKey = keccak256(abi.encode("node", who));
        profile.payout = who;
        profile.region = "eu-w";
        profile.mbps = 100;
        profile.commissionBps = 1_000;
        profile.role = role;
    }

    function _operator(address who, Role role, uint256 bond) internal {
        _send(who, address(registry), abi.encodeCall(registry.setProfile, (_profile(who, role))));
        if (bond != 0) _stake(who, who, bond);
    }

    function _stake(address owner, address operator, uint256 tokens) internal returns (uint256 shares) {
        return
            abi.decode(_send(owner, address(registry), abi.encodeCall(registry.stake, (operator, tokens))), (uint256));
    }

    function _unbond(address owner, address operator, uint256 shares, address to) internal returns (uint256 id) {
        return
            abi.decode(
                _send(owner, address(registry), abi.encodeCall(registry.unbond, (operator, shares, to))), (uint256)
            );
    }

    function _slash(address operator, uint256 bps) internal returns (uint256 tokens) {
        return abi.decode(
            _send(judge, address(registry), abi.encodeCall(registry.slash, (operator, bps, reporter, "audit"))),
            (uint256)
        );
    }

    // ------------------------------------------------------------------------------------------------ signatures

    function _addKey(address who, uint256 key) internal {
        (bytes32 r, bytes32 vs) = _sign(key, registry.keyProofDigest(who));
        _send(who, address(registry), abi.encodeCall(registry.addKey, (vm.addr(key), r, vs)));
    }

    /// @notice EIP-2098: r, and s with the parity bit on top.
    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes32 r, bytes32 vs) {
        uint8 v;
        bytes32 s;
        (v, r, s) = vm.sign(key, digest);
        vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
    }

    function _said(uint64 counter, string memory what) internal pure returns (Statement memory) {
        return
            Statement({kind: RECEIPT, stream: keccak256("session"), counter: counter, content: keccak256(bytes(what))});
    }

    /// @notice The call that reports two statements signed by two keys.
    function _report(Statement memory first, uint256 firstKey, Statement memory second, uint256 secondKey)
        internal
        view
        returns (bytes memory)
    {
        bytes32[4] memory signatures;
        (signatures[0], signatures[1]) = _sign(firstKey, _statementDigest(first));
        (signatures[2], signatures[3]) = _sign(secondKey, _statementDigest(second));
        return abi.encodeCall(registry.reportEquivocation, (first, second, signatures));
    }

    /// @notice Computed from the text of the type, not asked from the contract.
    function _statementDigest(Statement memory s) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Byway Registry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 kind = keccak256("Statement(bytes32 kind,bytes32 stream,uint64 counter,bytes32 content)");
        bytes32 hash = keccak256(abi.encode(kind, s.kind, s.stream, s.counter, s.content));
        return keccak256(bytes.concat(hex"1901", domain, hash));
    }

    // ----------------------------------------------------------------------------------------------------- state

    function _tokensOf(address operator, address owner) internal view returns (uint256 tokens) {
        (, tokens) = registry.sharesOf(operator, owner);
    }

    function _sharesOf(address operator, address owner) internal view returns (uint256 shares) {
        (shares,) = registry.sharesOf(operator, owner);
    }
}
