"""How much leverage a notional may have on the perpetuals, and which margin it must keep: one small table for all.

It is close to what Binance lists for its largest contracts; the account itself has no tiers.
"""

from __future__ import annotations

from typing import Any

# notional up to, largest leverage, maintenance margin ratio, maintenance amount
_BRACKETS = (
    (50_000, 125, 0.004, 0.0),
    (600_000, 100, 0.005, 50.0),
    (3_000_000, 75, 0.0065, 950.0),
    (12_000_000, 50, 0.01, 11_450.0),
    (70_000_000, 25, 0.02, 131_450.0),
    (100_000_000, 20, 0.025, 481_450.0),
    (230_000_000, 10, 0.05, 2_981_450.0),
    (480_000_000, 5, 0.1, 14_481_450.0),
    (1_000_000_000, 1, 0.25, 86_481_450.0),
)


def brackets() -> list[dict[str, Any]]:
    """The table as Binance's ``leverageBracket`` tells it."""
    rows, floor = [], 0
    for index, (cap, leverage, ratio, amount) in enumerate(_BRACKETS, 1):
        row = {"bracket": index, "initialLeverage": leverage, "notionalCap": cap, "notionalFloor": floor}
        rows.append({**row, "maintMarginRatio": ratio, "cum": amount})
        floor = cap
    return rows


def maintenance_ratio(notional: float) -> float:
    """The share of a notional that must be kept as margin."""
    for cap, _, ratio, _ in _BRACKETS:
        if notional <= cap:
            return ratio
    return _BRACKETS[-1][2]


def largest_notional(leverage: int) -> float:
    """How much may be held at a leverage, quote currency."""
    return float(max(cap for cap, most, _, _ in _BRACKETS if most >= leverage))
