"""The pages that only a run has."""

from __future__ import annotations

import numpy as np

from backtests.overlay import UNEXPLAINED, Difference, Overlay, slippage_of
from backtests.overlay_page import MOST_LISTED, cause_rows, overlay_section, verdict_words
from backtests.overlay_run import OverlayRun
from backtests.recorded_page import run_section
from tests.core_builders import MIDNIGHT, at

FILL = {"side": "buy", "quantity": 1.0, "price": 100.0}


def run_of(*differences: Difference, **money: float) -> OverlayRun:
    """Two curves and what lies between them."""
    ts = np.array([at(minute) for minute in range(1, 6)], dtype=np.int64)
    equity = np.linspace(100.0, 101.0, 5)
    slippage = slippage_of([(1, 100.0, 100.02)]) if differences else None
    end = 101.0 + sum(money.values())
    found = Overlay({"decision": 5, "fill": 2}, differences, money, 101.0, end, slippage, ("a <note>",))
    return OverlayRun(found, ts, equity, ts, equity + np.linspace(0, end - 101.0, 5))


def odd(number: int, cause: str = "operator") -> Difference:
    """An order that only the backtest has."""
    return Difference("fill", "missing", f"o<{number}>", MIDNIGHT + number, cause, FILL, None)


def test_a_run_that_is_its_backtest_says_so() -> None:
    """One sentence, and a table that is all zeros."""
    found = run_of().overlay
    assert (
        verdict_words(found)
        == "The same: 5 decisions and 2 orders that filled are what the backtest made, to the last digit."
    )
    assert cause_rows(found) == [("in all", "+0.00", "0", "0", "0", "")]


def test_what_nothing_explains_is_named_first() -> None:
    """In the verdict, in the list, and in the colour of losses; names from outside are no markup."""
    run = run_of(*(odd(n) for n in range(40)), odd(99, UNEXPLAINED), operator=-1.5, unexplained=0.5)
    assert "1 that nothing explains. The first: order o<99>" in verdict_words(run.overlay)
    html = overlay_section(run).html_fragment
    assert f"The first {MOST_LISTED} of 41 differences" in html
    assert html.index("o&lt;99&gt;") < html.index("o&lt;0&gt;")
    assert "o<" not in html
    assert "a &lt;note&gt;" in html
    rows = cause_rows(run.overlay)
    assert [row[0] for row in rows] == ["operator", "unexplained", "in all"]
    assert rows[-1][1] == "−1.00"


def test_one_difference_is_told_in_the_singular() -> None:
    """All explained."""
    words = verdict_words(run_of(odd(1), operator=-1.0).overlay)
    assert words.startswith("One difference in 5 decisions")
    assert words.endswith("all of them are explained.")


def test_the_run_is_told_with_what_went_wrong() -> None:
    """Stretches that nobody decided, commands, and orders that were refused; reasons are no markup."""
    trouble = {
        "client_order_id": "o1",
        "symbol": "BTC/USDT:USDT",
        "side": "buy",
        "quantity": 0.5,
        "leg": "entry",
        "state": "rejected",
        "at": "2024-01-01T00:05:00Z",
        "reason": '<b>{"code":-2019}</b>',
    }
    moment = {"since": "2024-01-01T00:05:00Z", "until": "2024-01-01T00:25:00Z"}
    facts = {
        "mode": "live",
        "simulated": False,
        "unproven": ["m1"],
        "models": [{"model_id": "m1", **moment, "forecasts": 7}],
        "minutes": 100,
        "starts": ["2024-01-01T00:00:00Z"],
        "stood_still": [{**moment, "minutes": 20}],
        "stood_still_count": 1,
        "minutes_missing": 20,
        "candles_missing": {"BTC/USDT:USDT": 2},
        "candles_revised": 1,
        "minutes_late": 3,
        "commands": [{"at": "2024-01-01T00:05:00Z", "command": "halt", "reason": "why not"}],
        "orders": {
            "by_state": {"filled": 2, "rejected": 1},
            "rejected": 1,
            "unknown": 0,
            "troubled": [trouble],
        },
        "slippage": {"entry": {"fills": 2, "mean_bps": -0.0, "median_bps": 0.1, "worst_bps": 3.0}},
        "carried": ["BTC/USDT:USDT"],
    }
    html = run_section(facts).html_fragment
    for words in (
        "live, a real market",
        "20 in 1 stretches",
        "why not",
        "buy 0.5 (entry)",
        "+3.00",
        "Held when",
    ):
        assert words in html
    assert "<b>" not in html
    assert "−0.00" not in html
