"""One decision laid open: the same inputs, the same forecast, the same words as when it was made."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtests.explain import FORMAT, UnknownDecisionError, explain
from bot.core.decision import decision_id
from bot.core.market import MINUTE_MS
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from models.scaling import scaler_from_json
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS
from tests.explained_state import FIRST_LIFE, as_of_schema, traded_state
from tests.journal_rig import forged


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bot that traded with a model, through a restart."""
    return traded_state(tmp_path_factory.mktemp("explained"))


def told(state: Path, wanted: str, **how: Any) -> dict[str, Any]:
    """The explanation; it must be JSON without a NaN."""
    found = explain(state / "journal.sqlite", wanted, state / "models", **how)
    json.dumps(found, allow_nan=False)
    return found


def rows_of(state: Path) -> list[dict[str, Any]]:
    """Every decision of the journal."""
    reader = JournalReader(state / "journal.sqlite")
    rows = [row for batch in reader.batches() for row in batch.decisions]
    reader.close()
    return rows


def test_every_forecast_is_made_again_to_the_last_digit(state: Path) -> None:
    """Before and after a restart: the window is that of the minute, and the model says of it what it said."""
    forecast = [row for row in rows_of(state) if row["prediction"] is not None]
    assert len(forecast) > 200
    restarted = MIDNIGHT + FIRST_LIFE * MINUTE_MS
    near = [row for row in forecast if abs(row["closed_at_ms"] - restarted) <= 3 * MINUTE_MS]
    assert len(near) >= 10
    for row in [*forecast[::23], *near]:
        found = told(state, row["decision_id"])
        assert found["prediction"]["same"] is True, row["decision_id"]
        assert found["prediction"]["journaled"]["expected_return"] == row["prediction"]["expected_return"]


def test_the_window_is_the_candles_and_its_scaling(state: Path) -> None:
    """Sixty candles that end with the one decided on, and features that the model's scaler turns into what it saw."""
    found = told(state, "last", symbol=SYMBOLS[0])
    rows = found["candles"]["rows"]
    assert found["candles"]["complete"] is True
    assert [row["opened_at_ms"] for row in rows] == [
        found["closed_at_ms"] - back * MINUTE_MS for back in range(60, 0, -1)
    ]
    window = found["window"]
    model = state / "models" / found["model"]["model_id"]
    scaler = scaler_from_json((model / "scaler.json").read_bytes())
    again = scaler.transform(np.array(window["features"]))
    assert again.shape == (60, len(window["columns"]))
    assert np.array_equal(again, np.array(window["normalized"], np.float32))
    first = window["columns"].index("return_1")
    assert window["features"][-1][first] != window["features"][-2][first]


def test_an_entry_has_its_orders_executions_and_round_trip(state: Path) -> None:
    """The market order, its stop and target, their fills, and the trade with the very figures of the table."""
    entered = next(row for row in rows_of(state) if any(order[4] == "e" for order in row["approved"]))
    found = told(state, entered["decision_id"])
    assert found["format"] == FORMAT
    assert found["risk"]["verdict"] == "approved"
    assert [order["leg"] for order in found["after"]["orders"]] == ["e", "s", "t"]
    assert found["after"]["trade_role"] == "opened"
    trade = found["after"]["trade"]
    assert trade["opened_by"] == entered["decision_id"]
    assert trade["entry_price"] == found["after"]["fills"][0]["price"]
    reader = JournalReader(state / "journal.sqlite")
    kept = [row._asdict() for row in reader.trades()]
    reader.close()
    assert {name: value for name, value in trade.items() if name not in {"opened_by", "closed_by"}} in kept
    assert found["after"]["held_before"] == 0.0
    sizing = found["sizing"]
    assert sizing["notional"] <= sizing["wanted_notional"]
    assert sizing["notional"] > sizing["wanted_notional"] - 0.001 * sizing["close"] * 2
    assert [bound["notional"] for bound in sizing["bounds"]] == sorted(
        bound["notional"] for bound in sizing["bounds"]
    )


def test_the_thresholds_agree_with_what_was_wanted(state: Path) -> None:
    """A forecast called too small is not above what was needed; one that was entered on is, with its indicators on its side."""
    rows = rows_of(state)
    for reason in ("forecast_up", "forecast_down", "forecast_too_small"):
        row = next(row for row in rows if row["signal"] is not None and row["signal"][2] == reason)
        strategy = told(state, row["decision_id"])["strategy"]
        assert strategy["name"] == "lstm_scalping:aggressive"
        assert strategy["signal"]["reason"] == reason
        assert strategy["needed_return"] == pytest.approx(0.0011 + 0.0001)
        entered = reason != "forecast_too_small"
        assert (strategy["sure_return"] > strategy["needed_return"]) is entered
        if entered:
            sign = 1 if reason == "forecast_up" else -1
            assert sign * strategy["indicators"]["macd_histogram"] > 0
            assert 30 < strategy["indicators"]["rsi"] < 70 or strategy["indicators"]["rsi"] * sign < 70 * sign


def test_a_decision_within_a_trade_and_one_that_holds(state: Path) -> None:
    """While a position was held the round trip around it is shown; nothing was sent, and why is said."""
    reader = JournalReader(state / "journal.sqlite")
    trade = max(reader.trades(), key=lambda one: one.exit_at_ms - one.entry_at_ms)
    reader.close()
    closed_ms = (trade.entry_at_ms // MINUTE_MS + 2) * MINUTE_MS
    assert closed_ms < trade.exit_at_ms
    found = told(state, decision_id(trade.symbol, closed_ms))
    assert found["after"]["trade_role"] == "held"
    assert found["after"]["trade"]["pnl"] == trade.pnl
    assert math.copysign(1.0, found["after"]["held_before"]) == (1.0 if trade.direction == "long" else -1.0)
    assert abs(found["after"]["held_before"]) == pytest.approx(trade.quantity)
    assert found["risk"]["verdict"] == "not_asked"
    assert found["decision"]["hold_reason"] == "holding"
    assert found["sizing"] is None


def test_what_the_price_did_is_measured_where_it_is_known(state: Path) -> None:
    """The log return of two closes and the extremes between; None, with the reason, before the horizon is over."""
    row = next(row for row in rows_of(state) if row["prediction"] is not None)
    price = told(state, row["decision_id"])["after"]["price"]
    reader = JournalReader(state / "journal.sqlite")
    path = reader.candles(
        row["symbol"], row["closed_at_ms"] - MINUTE_MS, row["closed_at_ms"] + 15 * MINUTE_MS
    )
    reader.close()
    assert price["realized_return"] == math.log(path[15].close / path[0].close)
    assert price["lowest"] <= price["realized_return"] <= price["highest"]
    assert price["direction_right"] is (price["realized_return"] * price["expected_return"] > 0)
    late = told(state, "last")["after"]["price"]
    assert late["realized_return"] is None
    assert "not over" in late["unknown_because"]


def test_without_the_models_files_the_journal_still_tells(state: Path, tmp_path: Path) -> None:
    """What was forecast is shown as journaled; that it can't be made again, and why, is said."""
    found = explain(state / "journal.sqlite", "last", tmp_path / "nowhere")
    assert found["model"]["available"] is False
    assert "its files were removed" in found["model"]["missing_because"]
    assert found["window"] is None
    assert found["prediction"]["journaled"] is not None
    assert found["prediction"]["recomputed"] is None
    assert found["prediction"]["same"] is None
    assert found["candles"]["complete"] is True


def test_a_damaged_model_is_not_run(state: Path, tmp_path: Path) -> None:
    """One altered byte: the passport is still shown, the forecast is not made again."""
    models = tmp_path / "models"
    shutil.copytree(state / "models", models)
    graph = next(models.rglob("model.onnx"))
    graph.write_bytes(graph.read_bytes()[:-1] + b"\x00")
    found = explain(state / "journal.sqlite", "last", models)
    assert found["model"]["passport"]["recipe"] == "tiny"
    assert "was altered" in found["prediction"]["remark"]
    assert found["prediction"]["recomputed"] is None


def test_a_changed_candle_shows(state: Path, tmp_path: Path) -> None:
    """Where the journal's candles are not those decided on, the forecast made again differs, and by how much is told."""
    row = next(row for row in reversed(rows_of(state)) if row["prediction"] is not None)

    def alter(database: sqlite3.Connection) -> None:
        database.execute(
            "UPDATE candles SET close = close * 1.02, high = high * 1.02 WHERE symbol = ? AND opened_at_ms = ?",
            (row["symbol"], row["closed_at_ms"] - 2 * MINUTE_MS),
        )

    prediction = told(forged(state, tmp_path / "forged", alter), row["decision_id"])["prediction"]
    assert prediction["same"] is False
    assert prediction["difference"]["expected_return"] != 0.0


def test_lost_history_is_said(state: Path, tmp_path: Path) -> None:
    """A journal whose old candles were removed has no whole past: the remark says how much of it there is."""
    last = told(state, "last")

    def forget(database: sqlite3.Connection) -> None:
        since_ms = last["closed_at_ms"] - 320 * MINUTE_MS
        # So that the forecast differs too: one that is the same all the same needs no remark.
        database.execute(
            "UPDATE candles SET volume = 80 WHERE opened_at_ms = ?", (since_ms + 200 * MINUTE_MS,)
        )
        database.execute("DELETE FROM candles WHERE opened_at_ms < ?", (since_ms,))

    found = told(forged(state, tmp_path / "short", forget), last["decision_id"])
    assert found["prediction"]["same"] is False
    assert "320 of the 781 minutes" in found["prediction"]["remark"]
    shorter = forged(
        state,
        tmp_path / "none",
        lambda db: db.execute(
            "DELETE FROM candles WHERE opened_at_ms < ?", (last["closed_at_ms"] - 30 * MINUTE_MS,)
        ),
    )
    found = told(shorter, last["decision_id"])
    assert found["window"] is None
    assert found["candles"]["complete"] is False
    assert len(found["candles"]["rows"]) == 30
    assert "no whole window" in found["prediction"]["remark"]


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_journals_of_older_versions_are_explained(state: Path, tmp_path: Path, version: int) -> None:
    """Back to the first schema, read as they lie: the same decision, candles, forecast and round trip."""
    older = as_of_schema(state, tmp_path / "older", version)
    row = next(row for row in rows_of(state) if any(order[4] == "e" for order in row["approved"]))
    now, then = told(state, row["decision_id"]), told(older, row["decision_id"])
    assert then["schema"] == version
    for name in ("candles", "window", "prediction", "decision", "after", "model", "mode"):
        assert then[name] == now[name], name
    if version == 1:  # of before rules were kept
        assert "kept no rules" in then["strategy"]["unknown_because"]
        assert then["strategy"]["signal"] == now["strategy"]["signal"]
        assert then["risk"]["limits"] is None
    database = sqlite3.connect(older / "journal.sqlite")
    assert database.execute("PRAGMA user_version").fetchone()[0] == version
    database.close()


def test_a_revised_candle_is_marked(state: Path, tmp_path: Path) -> None:
    """A minute of the window that the exchange changed afterwards is called revised, and no other."""
    copy = forged(state, tmp_path / "revised", lambda database: None)
    found = told(copy, "last", symbol=SYMBOLS[1])
    minute = found["candles"]["rows"][17]["opened_at_ms"]
    journal = SqliteJournal(copy / "journal.sqlite")
    old = [minute, 1.0, 1.0, 1.0, 1.0, 1.0]
    journal.note("candle.revised", minute, {"symbol": SYMBOLS[1], "new": old, "old": old})
    journal.note("candle.revised", minute, {"symbol": SYMBOLS[0], "new": old, "old": old})
    journal.close()
    rows = told(copy, found["decision_id"])["candles"]["rows"]
    assert [place for place, row in enumerate(rows) if row["revised"]] == [17]
    other = told(copy, "last", symbol=SYMBOLS[0])["candles"]["rows"]
    assert sum(row["revised"] for row in other) == 1


def test_an_unknown_decision_is_one_sentence(state: Path) -> None:
    """What the journal does not hold is said with what it holds."""
    with pytest.raises(
        UnknownDecisionError, match="holds no decision 'BTC/USDT:USDT@2031-01-01T00:00Z'; it has"
    ):
        told(state, f"{SYMBOLS[0]}@2031-01-01T00:00Z")
