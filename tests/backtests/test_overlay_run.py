"""Journals of daemons laid over their backtests: the same where nothing happened, explained where something did."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtests.overlay import ADOPTED, EXECUTION, FILL_PRICE, VERSION
from backtests.overlay_run import Given, OverlayRun, overlay
from backtests.recorded import RULES_NOTE, predictions_of
from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.matching import FundingRates
from bot.core.prediction import Prediction
from bot.errors import DataError
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import random_market
from tests.journal_rig import Life, change_batch, forged, live_through, recording, rules_of

DAY = MIDNIGHT // DAY_MS
NEXT = MIDNIGHT + DAY_MS


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some hours in which nothing happened."""
    return asyncio.run(live_through(tmp_path_factory.mktemp("calm"), [Life(240)], minutes=240))


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some hours about midnight: holes, restarts, commands, a size that was cut, minutes made up for late."""
    lives = [
        Life(1390, {1290: "pause", 1310: "resume", 1330: "shrink", 1350: "flatten", 1360: "resume"}),
        Life(1410, late_ms=200_000),
        Life(1560, {1480: "halt", 1500: "resume", 1520: "reconciliation", 1530: "resume"}),
    ]
    market = [
        one._replace(opened_at_ms=one.opened_at_ms + 1200 * MINUTE_MS) for one in random_market(21, 360)
    ]
    del market[2 * 310]  # one symbol's candle of 01:10
    return asyncio.run(live_through(tmp_path_factory.mktemp("eventful"), lives, market=market))


def money_adds_up(run: OverlayRun) -> None:
    """What the causes were worth is the difference of the final equities."""
    found = run.overlay
    whole = found.recorded_equity - found.backtest_equity
    assert math.fsum(found.money.values()) == pytest.approx(whole, abs=1e-5)
    assert run.recorded_equity[-1] == found.recorded_equity
    assert run.backtest_equity[-1] == found.backtest_equity


def test_a_calm_run_is_its_backtest(calm: Path) -> None:
    """Every decision and order is the same, to the last digit, and so is every minute's equity."""
    run = overlay(recording(calm), rules_of)
    assert run.overlay.differences == ()
    assert run.overlay.compared["decision"] == 480
    assert run.overlay.compared["fill"] > 50
    assert np.array_equal(run.backtest_equity, run.recorded_equity)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (0, 2**62),
        (MIDNIGHT, NEXT),
        (NEXT, 2**62),
        (NEXT + 25 * MINUTE_MS, 2**62),
        (MIDNIGHT + 1340 * MINUTE_MS, MIDNIGHT + 1450 * MINUTE_MS),
    ],
)
def test_whatever_happened_is_explained(eventful: Path, since: int, until: int) -> None:
    """From the journal's begin, a day's snapshot or the middle of a day: nothing is left unexplained, and money adds up."""
    run = overlay(recording(eventful, since, until), rules_of)
    assert run.overlay.unexplained == ()
    assert run.overlay.differences
    money_adds_up(run)


def test_each_cause_is_named(eventful: Path) -> None:
    """Lateness, commands, cut sizes and halts of the bot itself each have their part."""
    found = overlay(recording(eventful), rules_of).overlay
    assert {"late_candle", "operator", "reconciliation"} <= set(found.causes())
    assert "model_watch" in found.money
    late = [one for one in found.differences if one.cause == "late_candle" and one.kind == "decision"]
    assert any("late_candle" in one.sentence() for one in late)


def test_a_day_begins_with_the_snapshot_that_was_kept(eventful: Path) -> None:
    """The second day is replayed alone: the journal before it may be gone."""
    reader = JournalReader(eventful / "journal.sqlite")
    kept = reader.day_snapshot(NEXT)
    assert kept is not None
    assert kept["batch_ms"] == NEXT - MINUTE_MS
    assert reader.day_snapshot(MIDNIGHT) is None, "the snapshot of a first day is of later that day"


def alter_fill(database: sqlite3.Connection, closed_at_ms: int) -> None:
    """The price of an execution in a batch."""

    def change(row: dict[str, Any]) -> None:
        fill = next(report for report in row["reports"] if report["kind"] == "fill")
        fill["price"] *= 1.001

    change_batch(database, closed_at_ms, change)


def alter_candle(database: sqlite3.Connection, closed_at_ms: int) -> None:
    """The close of a candle in a batch."""

    def change(row: dict[str, Any]) -> None:
        row["candles"][0][5] *= 1.001

    change_batch(database, closed_at_ms, change)


def alter_decision(database: sqlite3.Connection, closed_at_ms: int) -> None:
    """The reason of a decision in a batch."""

    def change(row: dict[str, Any]) -> None:
        row["decisions"][0]["hold_reason"] = "made_up"

    change_batch(database, closed_at_ms, change)


def alter_table(table: str, column: str, key: str, offset_ms: int) -> Callable[..., None]:
    """A figure in a table that is derived from batches."""

    def change(database: sqlite3.Connection, closed_at_ms: int) -> None:
        query = f"UPDATE {table} SET {column} = {column} + 0.01 WHERE {key} = ?"  # noqa: S608 - names of this test
        assert database.execute(query, (closed_at_ms + offset_ms,)).rowcount

    return change


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (alter_fill, "fill", "price is"),
        (alter_candle, "candle", "close is"),
        (alter_decision, "decision", "made_up"),
        (alter_table("candles", "close", "opened_at_ms", -MINUTE_MS), "candle", "close is"),
        (alter_table("fills", "price", "filled_at_ms", -MINUTE_MS), "fill", "price is"),
        (alter_table("equity", "equity", "at_ms", 0), "equity", "equity is"),
    ],
)
def test_a_planted_difference_is_found_and_named(
    calm: Path, tmp_path: Path, change: Callable[..., None], kind: str, words: str
) -> None:
    """One altered fill, candle, decision or equity in a copy of the journal is the first that nothing explains."""
    batches = JournalReader(calm / "journal.sqlite").batches(MIDNIGHT + 100 * MINUTE_MS)
    at_ms = next(
        one.closed_at_ms
        for one in batches
        if any(row["kind"] == "fill" and row["filled_at_ms"] % MINUTE_MS == 0 for row in one.reports)
    )
    copy = forged(calm, tmp_path / "forged", partial(change, closed_at_ms=at_ms))
    found = overlay(recording(copy), rules_of).overlay
    first = found.unexplained[0]
    assert first.kind == kind
    assert abs(first.at_ms - at_ms) <= MINUTE_MS
    assert words in first.sentence()


def test_another_version_of_the_code_explains_what_it_decided(calm: Path, tmp_path: Path) -> None:
    """A decision that this code would not make is a divergence, unless the journal says that other code made it."""

    def change(database: sqlite3.Connection) -> None:
        alter_decision(database, MIDNIGHT + 100 * MINUTE_MS)
        for (payload,) in database.execute(
            "SELECT payload FROM notes WHERE kind = ?", (RULES_NOTE,)
        ).fetchall():
            told = payload.decode().replace('"model_id"', '"code":"old","model_id"')
            database.execute("UPDATE notes SET payload = ? WHERE kind = ?", (told.encode(), RULES_NOTE))

    copy = forged(calm, tmp_path / "forged", change)
    assert [one.cause for one in overlay(recording(copy), rules_of, code="new").overlay.differences] == [
        VERSION
    ]
    assert overlay(recording(copy), rules_of, code="old").overlay.unexplained


def as_live(database: sqlite3.Connection) -> None:
    """Say that the orders went to an exchange."""
    for number, payload in database.execute(
        "SELECT id, payload FROM notes WHERE kind = ?", (RULES_NOTE,)
    ).fetchall():
        told = payload.decode().replace('"mode":"paper"', '"mode":"live"')
        database.execute("UPDATE notes SET payload = ? WHERE id = ?", (told.encode(), number))


def test_live_fills_at_other_prices_are_explained_by_them(calm: Path, tmp_path: Path) -> None:
    """Where an exchange filled, its prices are a cause, with their distribution; what followed from them is told beside."""
    copy = forged(calm, tmp_path / "live", as_live)
    run = overlay(recording(copy), partial(rules_of, latency_ms=30_000))
    found = run.overlay
    assert found.unexplained == ()
    assert found.slippage is not None
    assert found.slippage.mean_bps < -1.0, "a model that is slow fills worse than this exchange did"
    assert found.money[FILL_PRICE] > 0
    assert {one.kind for one in found.differences if one.cause == FILL_PRICE} == {"fill"}
    assert EXECUTION in found.money
    money_adds_up(run)


def test_a_live_order_that_never_filled_is_explained(calm: Path, tmp_path: Path) -> None:
    """A journal whose last entries were rejected differs by them, and the sum is still whole."""
    batches = list(JournalReader(calm / "journal.sqlite").batches())
    last = next(
        one
        for one in reversed(batches)
        if any(row["approved"] and row["approved"][0][4] == "e" for row in one.decisions)
    )

    def change(database: sqlite3.Connection) -> None:
        as_live(database)
        database.execute("DELETE FROM batches WHERE closed_at_ms > ?", (last.closed_at_ms + MINUTE_MS,))
        name = next(row["approved"][0][0] for row in last.decisions if row["approved"])

        def reject(row: dict[str, Any]) -> None:
            symbol = next(one["symbol"] for one in last.decisions if one["approved"])
            kept = [one for one in row["reports"] if one["symbol"] != symbol]
            refusal = {
                "kind": "rejected",
                "client_order_id": name,
                "symbol": symbol,
                "at_ms": last.closed_at_ms,
                "reason": "no",
            }
            row["reports"] = [*kept, refusal]

        change_batch(database, last.closed_at_ms + MINUTE_MS, reject)

    copy = forged(calm, tmp_path / "live", change)
    found = overlay(recording(copy), rules_of).overlay
    missing = [one for one in found.differences if one.kind == "fill" and one.what == "missing"]
    assert {one.cause for one in missing} == {EXECUTION}


def test_an_adopted_position_has_its_own_share(calm: Path, tmp_path: Path) -> None:
    """What a position brought that was none of ours is told apart from what execution did to our orders."""
    batches = list(JournalReader(calm / "journal.sqlite").batches())
    at = next(one for one in batches if not one.reports and one.closed_at_ms > MIDNIGHT + 70 * MINUTE_MS)
    symbol = at.candles[0].symbol
    quiet = MIDNIGHT + 20 * MINUTE_MS

    def change(database: sqlite3.Connection) -> None:
        as_live(database)
        database.execute("DELETE FROM batches WHERE closed_at_ms > ?", (quiet + 10 * MINUTE_MS,))
        report = {"kind": "adopted", "symbol": symbol, "quantity": 2.0, "price": 100.0, "at_ms": quiet}
        payload = {"batch_ms": quiet - MINUTE_MS, "reports": [report], "approved": [], "state_changes": []}
        text = str(payload).replace("'", '"').encode()
        database.execute("INSERT INTO interims (at_ms, payload) VALUES (?, ?)", (quiet, text))
        closes = dict(
            database.execute("SELECT opened_at_ms, close FROM candles WHERE symbol = ?", (symbol,)).fetchall()
        )
        for opened_ms, close in closes.items():
            if opened_ms >= quiet:
                worth = 2.0 * (close - 100.0)
                database.execute(
                    "UPDATE equity SET equity = equity + ? WHERE at_ms = ?", (worth, opened_ms + MINUTE_MS)
                )

    copy = forged(calm, tmp_path / "live", change)
    run = overlay(recording(copy), rules_of)
    assert run.overlay.unexplained == ()
    assert set(run.overlay.causes()) == {ADOPTED}
    assert run.overlay.money[ADOPTED] == pytest.approx(run.overlay.recorded_equity - 10_000.0)
    money_adds_up(run)


def test_a_live_record_that_cannot_be_followed_is_unexplained(calm: Path, tmp_path: Path) -> None:
    """A fill of an order that nobody decided ends the replay there, which is said."""

    def change(database: sqlite3.Connection) -> None:
        as_live(database)

        def rename(row: dict[str, Any]) -> None:
            for report in row["reports"]:
                if report["kind"] == "fill":
                    report["client_order_id"] = "nobodys"

        batches = JournalReader(calm / "journal.sqlite").batches(MIDNIGHT + 150 * MINUTE_MS)
        at_ms = next(one.closed_at_ms for one in batches if one.reports)
        change_batch(database, at_ms, rename)

    copy = forged(calm, tmp_path / "live", change)
    found = overlay(recording(copy), rules_of).overlay
    assert found.unexplained
    assert "nobodys" in found.notes[0]


def test_candles_that_were_missed_or_revised_are_a_cause(calm: Path, tmp_path: Path) -> None:
    """What the exchange has otherwise, by its own word or by a file, is put into the backtest, and named."""
    symbol = "BTC/USDT:USDT"
    reader = JournalReader(calm / "journal.sqlite")
    old = reader.candles(symbol, MIDNIGHT + 100 * MINUTE_MS, MIDNIGHT + 101 * MINUTE_MS)[0]
    new = old._replace(close=old.close * 1.01, high=old.high * 1.02)
    copy = forged(calm, tmp_path / "revised", lambda _: None)
    journal = SqliteJournal(copy / "journal.sqlite")
    journal.note(
        "candle.revised", old.opened_at_ms, {"symbol": symbol, "new": list(new[1:]), "old": list(old[1:])}
    )
    journal.close()
    revised = overlay(recording(copy), rules_of)
    given = overlay(recording(calm), rules_of, Given(finals={(symbol, old.opened_at_ms): new}))
    for run in (revised, given):
        assert run.overlay.differences
        assert {one.cause for one in run.overlay.differences} == {"candles"}
        money_adds_up(run)


def test_another_model_explains_everything_that_it_would_have_done(calm: Path) -> None:
    """Given forecasts that only ever hold, the whole difference is the model's."""
    told = recording(calm)
    silent: dict[tuple[str, int], Prediction] = {
        (made.symbol, made.closed_at_ms): made._replace(model_id="other", expected_return=0.0)
        for batch in told.minutes()
        for made in predictions_of(batch)
    }
    run = overlay(told, rules_of, Given(forecasts=silent))
    assert {one.cause for one in run.overlay.differences} == {"model"}
    assert run.overlay.backtest_equity == 10_000.0
    assert run.overlay.money == {"model": pytest.approx(run.overlay.recorded_equity - 10_000.0)}


def test_a_time_without_minutes_is_a_sentence(calm: Path) -> None:
    """There is nothing to lay over anything."""
    with pytest.raises(DataError, match="no decided minute"):
        overlay(recording(calm, NEXT, NEXT + DAY_MS), rules_of)


def test_rules_that_changed_with_a_restart_are_a_cause(tmp_path: Path) -> None:
    """The backtest keeps the rules that it began with; the run had others from its restart on."""
    lives = [Life(120), Life(240, costs={"taker_fee_bps": 6.0})]
    folder = asyncio.run(live_through(tmp_path / "twice", lives, minutes=240))
    run = overlay(recording(folder), rules_of)
    assert run.overlay.unexplained == ()
    assert {one.cause for one in run.overlay.differences} == {"restart"}
    money_adds_up(run)


def test_funding_that_an_exchange_booked_is_its_own_cause(tmp_path: Path) -> None:
    """It is put into the backtest as the rate that it comes to; a backtest that is given other rates differs by it."""
    market = [one._replace(opened_at_ms=one.opened_at_ms + 380 * MINUTE_MS) for one in random_market(21, 200)]
    folder = asyncio.run(live_through(tmp_path / "night", [Life(580)], market=market))
    reader = JournalReader(folder / "journal.sqlite")
    point = next(one for one in reader.equity(MIDNIGHT + 440 * MINUTE_MS) if one.exposure > 0)
    batch = reader.batch(point.at_ms)
    held = [one for one in batch.decisions if one["hold_reason"] == "holding"]
    symbol = held[0]["symbol"] if held else batch.candles[0].symbol

    def change(database: sqlite3.Connection) -> None:
        as_live(database)
        database.execute("DELETE FROM batches WHERE closed_at_ms > ?", (point.at_ms + MINUTE_MS,))
        report = {
            "kind": "funding",
            "symbol": symbol,
            "rate": 0.0,
            "mark_price": 0.0,
            "paid_at_ms": point.at_ms,
            "paid": 0.5,
        }
        payload = {
            "batch_ms": point.at_ms - MINUTE_MS,
            "reports": [report],
            "approved": [],
            "state_changes": [],
        }
        database.execute(
            "INSERT INTO interims (at_ms, payload) VALUES (?, ?)", (point.at_ms, json.dumps(payload).encode())
        )
        database.execute("UPDATE equity SET equity = equity - 0.5 WHERE at_ms > ?", (point.at_ms,))

    told = recording(forged(folder, tmp_path / "live", change))
    assert overlay(told, rules_of).overlay.differences == (), (
        "a backtest pays what was told, if nothing else is given"
    )
    run = overlay(told, rules_of, Given(funding=FundingRates(0.0)))
    [found] = [one for one in run.overlay.differences if one.kind == "funding"]
    assert found.cause == "funding"
    assert run.overlay.money["funding"] == pytest.approx(-0.5)
    money_adds_up(run)
