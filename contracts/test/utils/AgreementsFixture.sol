// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Agreement, ServiceAgreements, State, Terms} from "../../src/agreements/ServiceAgreements.sol";
import {CommitteeFixture} from "./CommitteeFixture.sol";
import {FeeDollar} from "./FeeDollar.sol";

/// @title A consumer and a provider with signed terms: 100 dollars for ten days at 99 %, a bond of 1,000
abstract contract AgreementsFixture is CommitteeFixture {
    uint256 internal constant CONSUMER_KEY = 0xC0115;
    uint256 internal constant PROVIDER_KEY = 0x940D1;
    uint96 internal constant PAYMENT = 100e6;
    uint96 internal constant ORDER_BOND = 1_000e6;
    uint256 internal constant DISPUTE_BOND = 100e6;
    uint64 internal constant END = uint64(START) + 10 days;

    FeeDollar internal dollar;
    ServiceAgreements internal agreements;
    address internal consumer = vm.addr(CONSUMER_KEY);
    address internal provider = vm.addr(PROVIDER_KEY);
    address internal sink = address(0x51);
    bytes32 internal id;

    function setUp() public virtual override {
        super.setUp();
        parameters.set("slaDeviation", 2_500);
        dollar = new FeeDollar();
        agreements = new ServiceAgreements(address(dollar), address(committee), address(parameters), DISPUTE_BOND, sink);
        address[4] memory people = [consumer, provider, eve, dan];
        for (uint256 i = 0; i < 4; ++i) {
            dollar.mint(people[i], 10_000e6);
            vm.prank(people[i]);
            dollar.approve(address(agreements), type(uint256).max);
        }
        id = _open(_terms());
    }

    function _terms() internal view returns (Terms memory) {
        return Terms({
            consumer: consumer,
            provider: provider,
            payment: PAYMENT,
            bond: ORDER_BOND,
            objective: 9_900,
            metric: keccak256("uptime"),
            start: uint64(START),
            end: END,
            nonce: 1,
            deadline: uint64(START) + 1 days
        });
    }

    /// @notice The digest is computed here once more, from the text of the type.
    function _digest(Terms memory t) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Byway Agreements"),
                keccak256("1"),
                block.chainid,
                address(agreements)
            )
        );
        bytes32 kind = keccak256(
            "Terms(address consumer,address provider,uint96 payment,uint96 bond,uint16 objective,bytes32 metric,uint64 start,uint64 end,uint64 nonce,uint64 deadline)"
        );
        return keccak256(bytes.concat(hex"1901", domain, keccak256(bytes.concat(kind, abi.encode(t)))));
    }

    function _opening(Terms memory terms, uint256 firstKey, uint256 secondKey) internal view returns (bytes memory) {
        bytes32[4] memory signatures;
        (signatures[0], signatures[1]) = _sign(firstKey, _digest(terms));
        (signatures[2], signatures[3]) = _sign(secondKey, _digest(terms));
        return abi.encodeCall(agreements.open, (terms, signatures));
    }

    function _open(Terms memory terms) internal returns (bytes32) {
        bytes memory result = _send(eve, address(agreements), _opening(terms, CONSUMER_KEY, PROVIDER_KEY));
        return abi.decode(result, (bytes32));
    }

    function _signedLevel(bytes32 kind, uint16 indicator, uint256 count)
        internal
        view
        returns (uint256 signers, bytes32[2][] memory signatures)
    {
        bytes32 topic = committee.topicOf(address(agreements), agreements.labelOf(kind, id));
        return _signedBy(topic, agreements.statementOf(kind, id, indicator), count);
    }

    function _reporting(uint16 indicator, uint256 count) internal returns (bytes memory) {
        bytes32 topic = committee.topicOf(address(agreements), agreements.labelOf(agreements.SAMPLES(), id));
        if (committee.membersOf(topic).length == 0) {
            agreements.summon(id);
            _draw(topic);
        }
        (uint256 signers, bytes32[2][] memory signatures) = _signedLevel(agreements.SAMPLES(), indicator, count);
        return abi.encodeCall(agreements.report, (id, indicator, signers, signatures));
    }

    function _reported(uint16 indicator) internal {
        if (block.timestamp < END) vm.warp(END);
        _send(eve, address(agreements), _reporting(indicator, 3));
    }

    function _disputed() internal {
        _send(dan, address(agreements), abi.encodeCall(agreements.dispute, (id)));
        _draw(committee.topicOf(address(agreements), agreements.labelOf(agreements.APPEAL(), id)));
    }

    function _ruling(uint16 indicator, uint256 count) internal view returns (bytes memory) {
        (uint256 signers, bytes32[2][] memory signatures) = _signedLevel(agreements.APPEAL(), indicator, count);
        return abi.encodeCall(agreements.rule, (id, indicator, signers, signatures));
    }

    function _assertState(State expected) internal view {
        vm.assertEq(uint256(_agreement().state), uint256(expected), "state");
    }

    function _agreement() internal view returns (Agreement memory) {
        return agreements.agreementOf(id);
    }

    /// @notice Paid + refunded + burnt = deposited: what is booked is what is here.
    function _assertAllBooked() internal view {
        uint256 booked = agreements.credits(consumer) + agreements.credits(provider) + agreements.credits(eve)
            + agreements.credits(dan) + agreements.credits(sink);
        vm.assertEq(dollar.balanceOf(address(agreements)), booked, "everything deposited is booked");
    }
}
