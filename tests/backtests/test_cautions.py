"""What looks too good is said so in words that tell where to look; what does not is left alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from backtests.cautions import cautions_of, hole_warnings
from backtests.metrics import figures_of
from backtests.results import BacktestResult
from backtests.run import run_backtest
from tests.random_market import random_input

SOUND = {
    "trades": 200,
    "sharpe": 1.0,
    "win_rate": 0.5,
    "profit_factor": 1.2,
    "profit": 100.0,
    "max_drawdown": 0.05,
    "exposure": 0.1,
    "best_day": "2024-01-03",
    "best_day_share": 0.1,
    "days": 30,
    "open_positions": {},
}


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    """A run whose state never changed."""
    data = random_input(3, count=100)
    return replace(run_backtest(data), state_changes=[], hold_reasons=Counter({"warming_up": 9, None: 3}))


def test_sound_figures_have_no_warning(result):
    """Nothing is said where nothing is wrong, at the levels themselves neither."""
    levels = {
        "sharpe": 3.0,
        "win_rate": 0.6,
        "profit_factor": 5.0,
        "max_drawdown": 0.02,
        "best_day_share": 0.25,
        "trades": 20,
    }
    assert cautions_of(SOUND, result) == []
    assert cautions_of(SOUND | levels, result) == []


@pytest.mark.parametrize(
    ("change", "words", "look"),
    [
        ({"sharpe": 3.01}, "a Sharpe ratio of 3.0 is too good", "predictions that knew the future"),
        ({"win_rate": 0.61}, "a win rate of 61% is too good", "stops much farther away than targets"),
        ({"profit_factor": 5.1}, "a profit factor of 5.1 is too good", "made on training data"),
        ({"max_drawdown": 0.0199}, "a largest drawdown of 1.99% beside a profit", "tiny positions (mean exposure 10.0%)"),
        ({"trades": 19}, "only 19 trades: too few to tell skill from luck (at least 20)", "a longer time or more symbols"),
        (
            {"best_day_share": 0.26},
            "2024-01-03 made 26% of the whole profit of 30 days",
            "look at that day's trades for a wrong candle",
        ),
        ({"trades": 0}, "no trade was closed; held back: warming up 9 times", "warming up"),
        ({"open_positions": {"BTC/USDT": 0.5}}, "still open at the end", "BTC/USDT 0.5"),
    ],
)  # fmt: skip
def test_each_doubt_is_one_sentence_that_says_where_to_look(result, change, words, look):
    """One figure beyond its level gives one warning, with the figure, the level and what to look for."""
    (found,) = cautions_of(SOUND | change, result)
    assert words in found
    assert look in found


def test_a_loss_is_not_too_smooth(result):
    """Without a profit neither a small drawdown nor a best day is a wonder."""
    lost = {"profit": -5.0, "max_drawdown": 0.001, "best_day_share": None}
    assert cautions_of(SOUND | lost, result) == []


def test_figures_that_cannot_be_said_are_not_doubted(result):
    """A ratio of too few days, or a factor without a loss, gives no warning."""
    assert cautions_of(SOUND | {"sharpe": None, "win_rate": None, "profit_factor": None}, result) == []


def test_the_best_day_by_hand():
    """Its profit is the equity at its end less that at its begin, its share that of the whole profit."""
    data = random_input(3, count=4000, gaps=False)
    found = run_backtest(data)
    curve, start = found.equity, data.config.starting_cash
    day = (curve.ts - 1) // 86_400_000
    rising = start + np.where(day == day[0], 0.0, np.where(day == day[0] + 1, 30.0, 40.0))
    values = figures_of(replace(found, equity=replace(curve, equity=rising)), data).values
    assert values["best_day"] == str(np.datetime64(int(day[0]) + 1, "D"))
    assert values["best_day_profit"] == pytest.approx(30.0)
    assert values["best_day_share"] == pytest.approx(0.75)
    lost = figures_of(replace(found, equity=replace(curve, equity=2 * start - rising)), data)
    assert lost.values["best_day_share"] is None
    assert lost.reasons["best_day_share"] == "there is no profit to share"


def test_holes_are_counted_and_placed():
    """How many minutes are missing in how many holes, which is the longest, and what that does."""
    data = random_input(3, count=600, gaps=False)
    ((symbol, arrays),) = data.candles.items()
    assert hole_warnings(data) == []
    keep = np.ones(len(arrays), bool)
    keep[100:105] = keep[300:380] = False
    columns = ("ts", "open", "high", "low", "close", "volume")
    holed = replace(data, candles={symbol: type(arrays)(*(getattr(arrays, name)[keep] for name in columns))})
    (words,) = hole_warnings(holed)
    assert f"85 minutes of {symbol} are missing in 2 holes (the longest has 80, after 2023-11-1" in words
    assert "until 10 candles follow each other again" in words
