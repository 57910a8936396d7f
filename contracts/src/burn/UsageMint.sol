// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IBurnAuction} from "../../interfaces/IBurnAuction.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IUsageMint, Lane} from "../../interfaces/IUsageMint.sol";
import {IWay} from "../../interfaces/IWay.sol";
import {Epochs} from "../Epochs.sol";
import {ParameterTable} from "../governance/ParameterTable.sol";

/// @title Usage mint
/// @notice Providers are minted at most nine tenths of the WAY that their own dollars burnt. The rule it keeps: nobody
///         gains by trading with itself, whatever the volume, the split, the timing or the price.
///
///     claim ----burn share----> waiting per payee ----collect----> dollars of this epoch ----auction----> WAY burnt
///                                                                        |
///                                               own dollars / all dollars of the epoch, times remint: minted
///
/// @dev Why it holds. All dollars of an epoch are equal and are sold after it ended, so whoever adds w of them gets
///      remint x (WAY burnt for the epoch) x w / all. If others buy at prices up to the market's, that is worth at most
///      remint x w < w. If he buys himself for W, he pays W of WAY for dollars and gets at most remint x W back. So he
///      loses a tenth, or what he overpays; he gains only if somebody else pays more than 1 / remint times what
///      dollars are worth. A schedule shared by use would have a break-even, this has none.
///      Per epoch and in all: minted <= remint x burnt, because weights of an epoch add up to all, rounded down.
contract UsageMint is IUsageMint, Epochs {
    using SafeCast for uint256;

    /// @notice No vote and no mistake in {Parameters} mints more than this part of what burnt, in hundredths of a percent.
    uint256 public constant REMINT_MAX = 9_000;
    uint256 private constant WHOLE = 10_000;

    IWay public immutable WAY;
    IParameters public immutable PARAMETERS;

    /// @dev `remint` is fixed when the first dollar comes, so a vote changes only what is still to come.
    struct Pot {
        uint128 all;
        uint16 remint;
    }

    struct Part {
        uint128 own;
        uint128 minted;
    }

    Lane[] private _lanes;
    mapping(uint256 lane => mapping(uint256 vintage => Pot)) private _pots;
    mapping(uint256 lane => mapping(uint256 vintage => mapping(address payee => Part))) private _parts;

    /// @param lanes_ Every token that may be paid with. There will never be another: that is the allow-list.
    constructor(IWay way, IParameters parameters, uint256 start, uint256 length, Lane[] memory lanes_)
        Epochs(start, length)
    {
        WAY = way;
        PARAMETERS = parameters;
        for (uint256 i = 0; i < lanes_.length; ++i) {
            _lanes.push(lanes_[i]);
        }
    }

    /// @inheritdoc IUsageMint
    function collect(uint256 lane, address[] calldata payees) external {
        Lane memory it = laneOf(lane);
        if (address(it.auction) == address(0)) return _burn(lane, it, payees);
        uint256 vintage = epoch();
        (uint256[] memory amounts, uint256 sum) = it.channels.collectBurn(payees, address(it.auction));
        if (sum == 0) return;
        Pot storage pot = _pots[lane][vintage];
        if (pot.all == 0) pot.remint = _remint().toUint16();
        pot.all += sum.toUint128();
        for (uint256 i = 0; i < payees.length; ++i) {
            if (amounts[i] == 0) continue;
            _parts[lane][vintage][payees[i]].own += amounts[i].toUint128();
            emit Collected(lane, vintage, payees[i], amounts[i]);
        }
        it.auction.add(vintage, sum);
    }

    /// @inheritdoc IUsageMint
    function mint(uint256 lane, uint256 vintage, address[] calldata payees) external {
        for (uint256 i = 0; i < payees.length; ++i) {
            uint256 amount = mintable(lane, vintage, payees[i]);
            if (amount == 0) continue;
            _parts[lane][vintage][payees[i]].minted += amount.toUint128();
            emit Minted(lane, vintage, payees[i], amount);
            WAY.mint(payees[i], amount);
        }
    }

    /// @inheritdoc IUsageMint
    function mintable(uint256 lane, uint256 vintage, address payee) public view returns (uint256) {
        Lane memory it = laneOf(lane);
        if (address(it.auction) == address(0)) revert LaneUnknown(lane);
        Pot storage pot = _pots[lane][vintage];
        Part storage part = _parts[lane][vintage][payee];
        // Until the epoch is over, others may still add to it.
        if (part.own == 0 || epoch() <= vintage) return 0;
        (, uint256 burnt) = it.auction.vintageOf(vintage);
        return Math.mulDiv(burnt * pot.remint / WHOLE, part.own, pot.all) - part.minted;
    }

    /// @inheritdoc IUsageMint
    function weightOf(uint256 lane, uint256 vintage, address payee) external view returns (uint256 own, uint256 all) {
        return (_parts[lane][vintage][payee].own, _pots[lane][vintage].all);
    }

    /// @inheritdoc IUsageMint
    function lanes() external view returns (uint256) {
        return _lanes.length;
    }

    /// @inheritdoc IUsageMint
    function laneOf(uint256 lane) public view returns (Lane memory) {
        if (lane >= _lanes.length) revert LaneUnknown(lane);
        return _lanes[lane];
    }

    /// @dev WAY burns at once, and each payee has back its part of its own: one transaction, no price at all.
    function _burn(uint256 lane, Lane memory it, address[] calldata payees) private {
        uint256 vintage = epoch();
        (uint256[] memory amounts, uint256 sum) = it.channels.collectBurn(payees, address(this));
        if (sum == 0) return;
        WAY.burn(sum);
        uint256 remint = _remint();
        for (uint256 i = 0; i < payees.length; ++i) {
            if (amounts[i] == 0) continue;
            emit Collected(lane, vintage, payees[i], amounts[i]);
            uint256 back = amounts[i] * remint / WHOLE;
            if (back == 0) continue;
            emit Minted(lane, vintage, payees[i], back);
            WAY.mint(payees[i], back);
        }
    }

    /// @dev The governed part, held below its bound here once more.
    function _remint() private view returns (uint256) {
        return Math.min(PARAMETERS.get(ParameterTable.REMINT), REMINT_MAX);
    }
}
