"""The backtrader driver does exactly what the fast driver does, and backtrader's own accounting agrees."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backtests
from backtests import backtrader_driver, fast_driver
from backtests.inputs import BacktestInput
from backtests.metrics import drawdowns
from backtests.results import BacktestResult, MinuteOutcome
from backtests.run import run_backtest
from backtests.session import Session
from bot.core.matching import FundingRates
from bot.core.risk import RiskLimits
from tests.random_market import PERPETUALS, SPOTS, START_MS, random_input


def run_both(data: BacktestInput) -> list[tuple[BacktestResult, list[MinuteOutcome]]]:
    """Results and outcomes of the fast and of the backtrader driver."""
    found = []
    for engine in ("fast", "backtrader"):
        outcomes: list[MinuteOutcome] = []
        found.append((run_backtest(data, engine=engine, sink=outcomes.extend), outcomes))
    return found


def assert_identical(data: BacktestInput) -> BacktestResult:
    """Run both drivers, compare all they leave behind, and return the fast one's result."""
    (fast, fast_outcomes), (slow, slow_outcomes) = run_both(data)
    assert [(list(r), list(d)) for r, d in fast_outcomes] == [(list(r), list(d)) for r, d in slow_outcomes]
    assert fast.trades == slow.trades
    assert fast.fills == slow.fills
    assert fast.fundings == slow.fundings
    for name in ("ts", "equity", "cash", "exposure"):
        np.testing.assert_array_equal(getattr(fast.equity, name), getattr(slow.equity, name))
    assert fast.account.snapshot() == slow.account.snapshot()
    assert fast.hold_reasons == slow.hold_reasons
    assert fast.state_changes == slow.state_changes
    return fast


@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 3),
    spot=st.booleans(),
    rate=st.sampled_from([-0.002, 0.0, 0.003]),
    daily_loss=st.sampled_from([0.01, 1.0]),
)
@settings(max_examples=20, deadline=None)
def test_every_number_is_the_same(seed: int, width: int, spot: bool, rate: float, daily_loss: float):
    """On random candles with holes, whatever the market, both drivers leave the same trades, fills, decisions and equity."""
    symbols = (SPOTS if spot else PERPETUALS)[:width]
    funding = FundingRates(rate, {symbols[0]: {START_MS + 60_000 * k: rate / 2 for k in range(0, 900, 37)}})
    limits = RiskLimits(max_daily_loss_fraction=daily_loss, max_drawdown_fraction=1.0)
    data = random_input(seed, symbols=symbols, count=400, limits=limits, funding=funding)
    assert_identical(data)


def test_the_random_markets_do_trade():
    """The markets of these tests bring longs and shorts, stops and targets, fundings, and holes while something is held."""
    result = assert_identical(random_input(3, symbols=PERPETUALS, count=3000))
    assert len(result.trades) > 100
    assert {trade.direction for trade in result.trades} == {"long", "short"}
    assert {trade.exit_reason for trade in result.trades} >= {
        "stop_loss",
        "take_profit",
        "prediction_reversed",
    }
    assert result.fundings


def test_a_symbol_that_starts_later_and_ends_earlier_is_traded_in_its_time():
    """Feeds of different lengths are in the batch of a minute exactly when they have a candle of it."""
    data = random_input(5, symbols=PERPETUALS[:2], count=500)
    late = data.candles[PERPETUALS[1]]
    trimmed = BacktestInput(
        {**data.candles, PERPETUALS[1]: late.rows(200, 300)},
        data.predictions,
        data.config,
        data.make_strategy,
    )
    result = assert_identical(trimmed)
    assert {trade.symbol for trade in result.trades} == set(PERPETUALS[:2])
    assert result.candle_count == len(data.candles[PERPETUALS[0]]) + 100


def test_one_candle_alone_is_enough():
    """A single candle runs through both drivers without a trade."""
    data = random_input(1, count=3, gaps=False)
    one = BacktestInput(
        {symbol: arrays.rows(0, 1) for symbol, arrays in data.candles.items()},
        {},
        data.config,
        data.make_strategy,
    )
    assert assert_identical(one).candle_count == 1


def test_backtraders_own_analyzers_agree_with_our_accounting():
    """Without funding, backtrader counts the same trades and winners, the same net profit and the same drawdown."""
    data = random_input(11, count=3000, funding=FundingRates(0.0))
    result = run_backtest(data, engine="backtrader")
    trades, drawdown = result.second_opinion["trades"], result.second_opinion["drawdown"]
    assert trades["total"]["closed"] == len(result.trades) > 50
    assert trades["won"]["total"] == sum(trade.pnl >= 0 for trade in result.trades)
    assert trades["long"]["total"] >= sum(trade.direction == "long" for trade in result.trades)
    ours = sum(trade.pnl for trade in result.trades)
    assert trades["pnl"]["net"]["total"] == pytest.approx(ours, rel=1e-9)
    # backtrader's peak begins at the first bar's value, which nothing was traded before.
    ours_down = 100 * float(drawdowns(result.equity.equity, data.config.starting_cash).max())
    assert drawdown["max"]["drawdown"] == pytest.approx(ours_down, rel=1e-9)


def test_backtrader_sees_positions_cash_and_value_of_the_core():
    """At every step the broker that backtrader asks reports the core's cash, equity and positions."""

    class Watcher(bt.Analyzer):  # type: ignore[misc]
        def start(self):
            self.seen = []

        def next(self):
            broker, feed = self.strategy.broker, self.strategy.data
            position = broker.getposition(feed)
            self.seen.append((broker.get_cash(), broker.get_value(), position.size, broker.get_value([feed])))

        def get_analysis(self):
            return {"seen": self.seen}

    data = random_input(13, symbols=SPOTS[:1], count=800)
    session = Session(data)
    seen = backtrader_driver.drive(session, {"watcher": Watcher})["watcher"]["seen"]
    curve = session.result("backtrader").equity
    assert [row[0] for row in seen] == curve.cash.tolist()
    assert [row[1] for row in seen] == curve.equity.tolist()
    held = [row for row in seen if row[2]]
    assert len(held) > 20
    for cash, value, _, worth in held:
        assert cash + worth == pytest.approx(value)


def test_only_one_file_imports_backtrader():
    """No file of the product but its driver imports backtrader."""
    root = Path(backtests.__file__).resolve().parents[1]
    sources = [
        path for room in ("bot", "strategies", "models", "backtests") for path in (root / room).rglob("*.py")
    ]
    users = [
        path.name
        for path in sources
        if "import backtrader\n" in path.read_text() or "import backtrader as" in path.read_text()
    ]
    assert users == ["backtrader_driver.py"]


def test_the_fast_driver_does_not_load_backtrader_or_a_dataframe(run_python):
    """A fast backtest imports neither backtrader nor pandas."""
    out = run_python(
        "import sys\n"
        "from tests.random_market import random_input\n"
        "from backtests.run import run_backtest\n"
        "assert run_backtest(random_input(1)).trades\n"
        "print([name for name in ('backtrader', 'pandas', 'tensorflow') if name in sys.modules])\n"
    )
    assert out.strip() == "[]"


@pytest.fixture
def run_python():
    """Run a script in a fresh interpreter and return what it printed."""
    import subprocess
    import sys

    def run(code: str) -> str:
        root = Path(fast_driver.__file__).resolve().parents[1]
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    return run
