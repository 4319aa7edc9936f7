"""What the journal's facts become on a page: ages, states and figures."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.market import MINUTE_MS
from bot.dashboard.overview import Facts, Moment, freshness, made_at_ms, model_line, overview
from bot.journal.pages import PageMinute
from bot.journal.reader import EquityPoint
from tests.core_builders import MIDNIGHT

CLOSED = MIDNIGHT + 10 * MINUTE_MS


def facts(*, simulated: bool = False, behind: int = 0, **snapshot: Any) -> Facts:
    """One symbol up to date, another so many minutes behind."""
    seen = {"BTC/USDT": CLOSED - MINUTE_MS, "ETH/USDT": CLOSED - MINUTE_MS * (1 + behind), "SOL/USDT": -1}
    decided = {"symbol": "BTC/USDT", "prediction": None, "signal": None, "hold_reason": "no_prediction"}
    candle = ["BTC/USDT", CLOSED - MINUTE_MS, 1.0, 2.0, 0.5, 1.5, 9.0, "stream"]
    return Facts(
        {"simulated": "true" if simulated else "false"},
        {"seen_ms": seen, "account": {"marks": {"ETH/USDT": 7.0}}, **snapshot},
        EquityPoint(CLOSED, 90.0, 90.0, 0.0),
        {"mode": "live"},
        {"model_id": "lstm-20240101T000000-0a1b2c", "proven": True},
        PageMinute(CLOSED, CLOSED, [candle], [], [decided]),
        {"BTC/USDT": 1.0},
        1,
    )


def at(seconds: float, since: float = 0.0) -> Moment:
    """So long after the close by the clock, and after the commit in real time."""
    return Moment(CLOSED + int(seconds * 1000), since, running=True, version="1")


@pytest.mark.parametrize(
    ("seconds", "behind", "states"),
    [
        (30, 0, ["fresh", "fresh", "silent"]),
        (89, 1, ["fresh", "late", "silent"]),
        (100, 0, ["late", "late", "silent"]),
        (20, 5, ["fresh", "silent", "silent"]),
        (400, 0, ["silent", "silent", "silent"]),
    ],
)
def test_a_symbol_is_fresh_late_or_silent_by_the_clock(
    seconds: float, behind: int, states: list[str]
) -> None:
    """On a real market the age of a candle is that by this machine's clock; one that never came is silent."""
    shown = overview(facts(behind=behind), at(seconds))
    assert [row["state"] for row in shown["symbols"]] == states
    assert shown["symbols"][1]["age_seconds"] == pytest.approx(seconds + 60 * behind)
    assert shown["symbols"][2]["age_seconds"] is None
    assert shown["age_seconds"] == seconds


def test_on_a_simulated_market_ages_are_in_real_time() -> None:
    """A tape of the past is not years old: what counts is when its last minute was committed."""
    shown = overview(facts(simulated=True), at(9e8, since=2.0))
    assert shown["age_seconds"] == 2.0
    assert shown["symbols"][0]["state"] == "fresh"
    assert overview(facts(simulated=True), at(0, since=500.0))["symbols"][0]["state"] == "silent"


def test_changes_are_fractions_and_unknown_where_nothing_was_before() -> None:
    """Of a day, of the highest equity, of the day's beginning."""
    shown = overview(facts(risk={"peak_equity": 100.0, "day_start_equity": 60.0}), at(1))
    assert shown["drawdown"] == pytest.approx(0.1)
    assert shown["day_return"] == pytest.approx(0.5)
    assert [row["change_1d"] for row in shown["symbols"]] == [0.5, None, None]
    assert [row["close"] for row in shown["symbols"]] == [1.5, 7.0, None]
    nothing = overview(facts(risk={"peak_equity": 0.0, "day_start_equity": None}), at(1))
    assert nothing["drawdown"] is None
    assert nothing["day_return"] is None
    assert nothing["mode"] == "live"
    assert nothing["unproven"] is False


def test_before_the_first_minute_everything_is_unknown() -> None:
    """An empty journal is an answer, and no fault."""
    empty = Facts({}, {}, None, {}, {}, None, {}, 0)
    shown = overview(empty, Moment(CLOSED, 0.0, running=False, version="1"))
    assert shown["ended"] is True
    assert shown["symbols"] == shown["positions"] == shown["open_orders"] == []
    assert shown["equity"] is shown["last_closed_at_ms"] is shown["age_seconds"] is None
    assert shown["model"] == {"model_id": None, "recipe": None, "proven": None, "age_seconds": None}


def test_a_model_that_is_none_has_no_age() -> None:
    """no-trade, stored forecasts, and an id with a date that is none."""
    for odd in ("no-trade", "stored", "x-20241399T000000-0a1b2c", ""):
        assert made_at_ms(odd) is None
    line = model_line(facts(), made_at_ms("lstm-20240101T000000-0a1b2c") or 0)
    assert line["recipe"] == "lstm"
    assert line["age_seconds"] == 0.0
    assert model_line(facts(), 5)["age_seconds"] is None
    assert freshness(None) == "silent"
