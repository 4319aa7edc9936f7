"""Live forecasts followed to their outcome, over gaps and restarts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.core.market import Candle
from bot.core.performance import Matured
from bot.core.prediction import Prediction
from bot.daemon.performance import CHAMPION, SHADOW, PerformanceLog, base_rate_of
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.ports import BatchRecord
from models.base_rate import FILE_NAME
from tests.core_builders import PERPETUAL, at, candle
from tests.daemon_harness import Daemon, random_market, random_predictions

ETH = "ETH/USDT:USDT"
RATES = {"m": 0.49, "s": 0.51}


def price(minute: int) -> float:
    """A close that is known by its minute."""
    return 100.0 + minute + 0.1 * (minute % 7)


def bars(minute: int, symbols: Sequence[str] = (PERPETUAL,)) -> list[Candle]:
    """The candles that close at a minute."""
    return [candle(minute - 1, price(minute), symbol=symbol) for symbol in symbols]


def forecast(minute: int, model: str = "m", horizon: int = 5, symbol: str = PERPETUAL) -> Prediction:
    """A forecast on the candle that closed at a minute."""
    return Prediction(symbol, at(minute), model, horizon, 0.001, 0.6)


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    """A new one."""
    return SqliteJournal(tmp_path / "journal.sqlite")


def walked(
    log: PerformanceLog, minutes: Sequence[int], *, horizon: int = 5, symbols: Sequence[str] = (PERPETUAL,)
) -> list[Matured]:
    """A forecast each minute; what came of them."""
    found = []
    for minute in minutes:
        said = [forecast(minute, horizon=horizon, symbol=symbol) for symbol in symbols]
        found += log.on_batch(at(minute), bars(minute, symbols), {CHAMPION: said}, RATES)
        log.store()
    return found


def test_the_return_is_that_of_the_closes_over_the_horizon(journal: SqliteJournal) -> None:
    """log(close at t + h / close at t), known in the minute that closes it, for champion and shadow alike."""
    log = PerformanceLog(journal)
    found = []
    for minute in range(1, 12):
        said = {CHAMPION: [forecast(minute)], SHADOW: [forecast(minute, "s", 3)]}
        found += log.on_batch(at(minute), bars(minute), said, RATES)
    log.store()
    assert log.pending == 5 + 3
    mine = [row for row in found if row.forecast.model_id == "m"]
    assert [row.forecast.closed_at_ms for row in mine] == [at(n) for n in range(1, 7)]
    for row, minute in zip(mine, range(1, 7), strict=True):
        assert row.realized == math.log(price(minute + 5) / price(minute))
        assert (row.matured_at_ms, row.forecast.base_rate) == (at(minute + 5), 0.49)
    shadows = [row.forecast for row in found if row.forecast.model_id == "s"]
    assert {(one.role, one.base_rate, one.horizon_minutes) for one in shadows} == {(SHADOW, 0.51, 3)}
    assert len(journal.pending_forecasts()) == 8


@pytest.mark.parametrize("gap", [range(6, 7), range(6, 9), range(6, 30)])
def test_a_missing_minute_within_the_horizon_leaves_the_outcome_unknown(
    journal: SqliteJournal, gap: range
) -> None:
    """Every forecast whose minutes are not all there is stored as such, and the others are known."""
    log = PerformanceLog(journal)
    found = walked(log, [minute for minute in range(1, 40) if minute not in gap])
    known = {row.forecast.closed_at_ms: row.realized for row in found}
    for minute in (minute for minute in range(1, 35) if minute not in gap):
        whole = not set(gap) & set(range(minute, minute + 6))
        assert (known[at(minute)] is not None) is whole
    assert log.pending == 5


def test_symbols_have_their_own_gaps(journal: SqliteJournal) -> None:
    """A minute that one symbol lacks costs the other nothing."""
    log = PerformanceLog(journal)
    walked(log, range(1, 4), symbols=(PERPETUAL, ETH))
    walked(log, [4])
    found = walked(log, range(5, 9), symbols=(PERPETUAL, ETH))
    unknown = [row.forecast for row in found if row.realized is None]
    assert {one.symbol for one in unknown} == {ETH}
    assert log.following_minutes(PERPETUAL) == 8
    assert log.following_minutes(ETH) == 4
    assert log.following_minutes("SOL/USDT:USDT") == 0


def test_what_is_no_number_or_of_another_minute_is_not_followed(journal: SqliteJournal) -> None:
    """The table holds finite forecasts of this minute's candles only."""
    log = PerformanceLog(journal)
    wrong = [
        forecast(1)._replace(expected_return=math.nan),
        forecast(1)._replace(probability_up=math.inf),
        forecast(0),
        forecast(1, symbol=ETH),
    ]
    log.on_batch(at(1), bars(1), {CHAMPION: wrong}, RATES)
    log.store()
    assert log.pending == 0
    assert journal.pending_forecasts() == []


def test_a_model_without_probabilities_is_followed_too(journal: SqliteJournal) -> None:
    """Its returns are measured, though the watch over log losses has nothing to watch."""
    log = PerformanceLog(journal)
    said = forecast(1)._replace(probability_up=None)
    log.on_batch(at(1), bars(1), {CHAMPION: [said]}, RATES)
    found = [row for minute in range(2, 7) for row in log.on_batch(at(minute), bars(minute), {}, RATES)]
    assert found[0].realized is not None
    assert found[0].outcome is None


@pytest.mark.parametrize("cut", [1, 7, 12])
def test_a_restart_completes_what_was_pending(tmp_path: Path, cut: int) -> None:
    """Killed after any minute, with some minutes committed and their forecasts not: the rows are those of one run."""
    stored = []
    for kills in ((), (cut,)):
        folder = tmp_path / str(len(kills))
        journal = SqliteJournal(folder / "journal.sqlite")
        log = PerformanceLog(journal)
        for minute in range(1, 25):
            journal.commit(_batch(minute))
            # What is not stored when it is killed is lost from memory.
            log.on_batch(at(minute), bars(minute), {CHAMPION: [forecast(minute)]}, RATES)
            if minute in kills:
                journal.close()
                journal = SqliteJournal(folder / "journal.sqlite")
                log = PerformanceLog(journal)
                log.recover(at(minute), [PERPETUAL], RATES)
            log.store()
        journal.close()
        rows = JournalReader(folder / "journal.sqlite").performance("m")
        stored.append([(row.forecast, row.realized) for row in rows])
    whole, broken = stored
    assert len(whole) == 19
    assert broken == whole


def _batch(minute: int) -> BatchRecord:
    """The batch that decided on a forecast."""
    from bot.core.decision import Decision

    decision = Decision(PERPETUAL, at(minute), forecast(minute), None, (), (), "quiet")
    return BatchRecord(
        closed_at_ms=at(minute),
        now_ms=at(minute),
        candles=bars(minute),
        sources=("stream",),
        reports=(),
        decisions=(decision,),
        trades=(),
        state_changes=(),
        equity=1.0,
        cash=1.0,
        exposure=0.0,
        snapshot={},
    )


def test_after_an_outage_what_can_be_known_is_known_at_once(journal: SqliteJournal) -> None:
    """Minutes committed without this log, as by an older version, complete what waited; a gap among them is told."""
    log = PerformanceLog(journal)
    for minute in (1, 2, 3):
        journal.commit(_batch(minute))
        log.on_batch(at(minute), bars(minute), {CHAMPION: [forecast(minute)]}, RATES)
        log.store()
    for minute in (4, 5, 6, 8, 9):
        journal.commit(_batch(minute))
    again = PerformanceLog(journal)
    found = again.recover(at(9), [PERPETUAL], RATES, history_minutes=60)
    assert [(row.forecast.closed_at_ms, row.realized) for row in found] == [
        (at(1), math.log(price(6) / price(1))),
        (at(2), None),
        (at(3), None),
    ]
    assert [row.closed_at_ms for row in journal.pending_forecasts()] == [at(9)]
    assert again.following_minutes(PERPETUAL) == 2


async def test_it_follows_a_daemon_of_two_symbols(tmp_path: Path) -> None:
    """Beside a real loop with missing candles: what is realized is what the candles say."""
    candles = random_market(41, 200, missing=0.02)
    daemon = Daemon(tmp_path, candles, random_predictions(41, candles), now_ms=at(0))
    await daemon.start()
    await daemon.run()
    log = PerformanceLog(daemon.journal)
    found: list[Matured] = []
    for stored in JournalReader(tmp_path / "journal.sqlite").batches():
        said = [Prediction(**row["prediction"]) for row in stored.decisions if row["prediction"] is not None]
        found += log.on_batch(stored.closed_at_ms, stored.candles, {CHAMPION: said}, {"stored": 0.5})
    daemon.close()
    closes = {(bar.symbol, bar.closed_at_ms): bar.close for bar in candles}
    assert len(found) > 200
    for row in found:
        one = row.forecast
        minutes = [(one.symbol, ms) for ms in range(one.closed_at_ms, one.due_ms + 1, 60_000)]
        whole = all(minute in closes for minute in minutes)
        assert row.realized == (math.log(closes[minutes[-1]] / closes[minutes[0]]) if whole else None)
    assert sum(row.realized is None for row in found) > 20


def test_a_model_without_baselines_is_measured_against_even_odds(tmp_path: Path) -> None:
    """Else against the share of rises that it was trained on."""
    assert base_rate_of(tmp_path) == 0.5
    (tmp_path / FILE_NAME).write_text('{"base_rate": 0.47}')
    assert base_rate_of(tmp_path) == 0.47
