"""The candle path and the strategies pass the audit; one that peeks does not."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from bot.audits.causality_probe import FUTURE, STREAMED, ProbePlan, probe
from bot.audits.causality_run import default_market
from bot.audits.causality_trading import CandlePath, StrategyPipeline
from bot.core.closer import CandleCloser, Closed
from bot.core.market import MINUTE_MS
from bot.core.orders import Protection
from bot.core.signal import Direction, Signal
from strategies import strategy_factory
from strategies.factory import built_in_sets

WHOLE = default_market(3, days=5)
MARKET = {symbol: candles.rows(0, 900) for symbol, candles in WHOLE.items()}
CLOSES = {
    (symbol, int(ts)): float(close)
    for symbol, candles in WHOLE.items()
    for ts, close in zip(candles.ts, candles.close, strict=True)
}
PLAN = ProbePlan(moments=3, seed=3, stream_minutes=600)


def findings(checks):
    """What was found, in words."""
    return [
        f"{check.stage}, {check.compared}: {check.finding}" for check in checks if check.finding is not None
    ]


class Plain:
    """Goes the way the last minute went; remembers one close."""

    protection = Protection(0.005, 0.01)

    def __init__(self, symbol):
        self.symbol = symbol
        self._last = None

    def observe(self, candle):
        self.rose = self._last is not None and candle.close > self._last
        self._last = candle.close

    def forget(self):
        self._last = None

    def wish(self, view):
        return self.rose

    def decide(self, view):
        return Signal(Direction.LONG if self.wish(view) else Direction.FLAT, 1.0, "followed")

    def snapshot(self):
        return {}

    def restore(self, state):
        pass


class KeepsTheSeries(Plain):
    """Finds the whole series that the driver holds, and looks one minute ahead."""

    def wish(self, view):
        frame: FrameType | None = sys._getframe()
        while frame is not None and "session" not in frame.f_locals:
            frame = frame.f_back
        assert frame is not None
        candles = frame.f_locals["session"].data.candles[self.symbol]
        place = int(candles.ts.searchsorted(view.candle.opened_at_ms))
        return place + 1 < len(candles) and candles.close[place + 1] > candles.close[place]


class KnowsTheDates(Plain):
    """Has the true closes of these days by their time, as out of a file."""

    def wish(self, view):
        after = CLOSES.get((self.symbol, view.candle.opened_at_ms + MINUTE_MS), 0.0)
        return after > CLOSES.get((self.symbol, view.candle.opened_at_ms), 0.0)


@pytest.mark.parametrize("name", built_in_sets())
def test_every_shipped_strategy_decides_by_what_is_known(name):
    """Signals, decisions and equity up to any moment are the same whatever comes after it, and orders are made."""
    strategy = StrategyPipeline(name, strategy_factory(name), 3)
    checks = [*probe(strategy, MARKET, PLAN), strategy.dates_check(MARKET)]
    assert findings(checks) == []
    assert strategy.orders > 20
    assert {check.stage for check in checks if check.compared == FUTURE and check.values} == {
        "signals",
        "decisions",
        "equity",
    }


def test_a_users_own_strategy_is_audited_the_same_way():
    """A plain strategy of somebody else passes."""
    strategy = StrategyPipeline("mine", Plain, 3)
    assert findings([*probe(strategy, MARKET, PLAN), strategy.dates_check(MARKET)]) == []


def test_a_strategy_that_keeps_the_whole_series_is_caught():
    """It is given candles one by one, but has found the arrays: its signals change when the next minute does."""
    found = findings(probe(StrategyPipeline("peeks", KeepsTheSeries, 3), MARKET, PLAN))
    assert any(sentence.startswith("signals, candles after t") for sentence in found)


def test_a_strategy_with_the_future_in_a_file_is_caught_by_its_dates():
    """What it knows by heart cannot be altered, but it is found once the candles carry other dates."""
    strategy = StrategyPipeline("remembers", KnowsTheDates, 3)
    check = strategy.dates_check(MARKET)
    assert check.finding is not None
    assert "looks something up by date" in check.finding.sentence


@pytest.mark.parametrize("flagged", [True, False])
def test_unfinished_bars_are_never_taken_for_candles(flagged):
    """With flags and without, across gaps, the closer delivers each candle as it closed and nothing else."""
    checks = probe(CandlePath(flagged=flagged), MARKET, PLAN)
    assert findings(checks) == []
    assert any(check.compared == STREAMED and check.values > 3000 for check in checks)


@pytest.mark.parametrize("flagged", [True, False])
def test_a_closer_that_takes_an_unfinished_bar_is_caught(flagged, monkeypatch):
    """One that believes the first word about a minute is named with the minute and the column."""
    honest = CandleCloser.on_update

    def believing(self, update, *, now_ms=None):
        return honest(self, update._replace(closed=True), now_ms=now_ms)

    monkeypatch.setattr(CandleCloser, "on_update", believing)
    found = findings(probe(CandlePath(flagged=flagged), MARKET, PLAN))
    assert any("live it would see something else" in sentence for sentence in found)


def test_a_candle_out_of_nowhere_is_caught(monkeypatch):
    """A gap that the closer fills by the last candle is a row that only the stream has."""
    honest = CandleCloser.on_history

    def filling(self, candles, complete_until_ms):
        events = honest(self, candles, complete_until_ms)
        return [
            Closed(
                event.candle._replace(opened_at_ms=event.candle.opened_at_ms + MINUTE_MS // MINUTE_MS),
                event.source,
            )
            if isinstance(event, Closed)
            else event
            for event in events
        ]

    monkeypatch.setattr(CandleCloser, "on_history", filling)
    found = findings(probe(CandlePath(flagged=False), MARKET, PLAN))
    assert any("only the stream has the row" in sentence for sentence in found)
