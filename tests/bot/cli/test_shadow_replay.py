"""`bot shadow-replay`: a day decided once more."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.cli.report_forecasts import check_forecasts, forecasts_of
from bot.cli.shadow_replay import keep
from bot.core.market import MINUTE_MS
from bot.errors import StorageError
from bot.inference import OnnxPredictor
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import random_market
from tests.journal_rig import Life, change_batch, forged, live_through, recording
from tests.tiny_model import write_tiny_model

DATE = "2024-01-01"
MINUTES = 900


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a daemon whose model was restarted once."""
    folder = tmp_path_factory.mktemp("state")
    model = write_tiny_model(folder / "models")
    market = random_market(31, MINUTES)
    lives = [Life(700), Life(MINUTES, {MINUTES - 60: "pause"})]
    return asyncio.run(
        live_through(folder, lives, market=market, predictor=lambda: OnnxPredictor.load(model))
    )


def replayed(capsys: pytest.CaptureFixture[str], state: Path, *words: str) -> tuple[int, Any]:
    """Run the command; returns exit code and JSON."""
    code = main(["shadow-replay", "--state-dir", str(state), "--date", DATE, *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_day_is_replayed_and_its_forecasts_made_again(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A restart and a pause are no differences that matter; the result lies in the state folder as it was printed."""
    code, row = replayed(capsys, state)
    assert code == 0
    assert (row["date"], row["minutes"], row["unexplained"]) == (DATE, MINUTES, 0)
    assert row["forecasts_checked"] > 100
    assert row["compared"]["decision"] == 2 * MINUTES
    assert json.loads((state / "replays" / f"{DATE}.json").read_text()) == row
    assert main(["shadow-replay", "--state-dir", str(state), "--date", DATE, "--no-forecasts"]) == 0
    assert f"{DATE}: {MINUTES} minutes decided once more" in capsys.readouterr().out


def test_an_altered_candle_is_found_by_the_forecasts_too(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A close that is changed wherever the journal has it changes what a model says of it: 8, and the minute is named."""
    opened_ms = MIDNIGHT + 850 * MINUTE_MS

    def change(row: dict[str, Any]) -> None:
        row["candles"][0][5] *= 1.01
        row["candles"][0][3] *= 1.01

    def alter(database: Any) -> None:
        change_batch(database, opened_ms + MINUTE_MS, change)
        database.execute(
            "UPDATE candles SET close = close * 1.01, high = high * 1.01 WHERE opened_at_ms = ? AND symbol LIKE 'BTC%'",
            (opened_ms,),
        )

    copy = forged(state, tmp_path / "forged", alter)
    code, row = replayed(capsys, copy)
    assert code == 8
    kinds = {one["kind"] for one in row["listed"]}
    assert "forecast" in kinds
    assert "14:11Z" in row["first_unexplained"]
    assert main(["shadow-replay", "--state-dir", str(copy), "--date", DATE]) == 8
    assert "14:11Z" in capsys.readouterr().err


def test_an_altered_decision_is_found(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the code would not decide is told with its minute."""

    def change(row: dict[str, Any]) -> None:
        row["decisions"][1]["hold_reason"] = "made_up"

    at_ms = MIDNIGHT + 600 * MINUTE_MS
    copy = forged(state, tmp_path / "forged", partial(change_batch, closed_at_ms=at_ms, change=change))
    code, row = replayed(capsys, copy, "--no-forecasts")
    assert (code, row["unexplained"]) == (8, 1)
    assert "ETH/USDT:USDT@2024-01-01T10:00Z" in row["first_unexplained"]


def test_a_model_that_is_gone_is_a_note(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its forecasts are not made again; the decisions on them are."""
    code, row = replayed(capsys, state, "--models", str(tmp_path))
    assert (code, row["forecasts_checked"]) == (0, 0)
    assert "were not made again" in row["notes"][0]
    (tmp_path / next((state / "models").glob("tiny-*")).name).mkdir()
    _, row = replayed(capsys, state, "--models", str(tmp_path))
    assert "were not made again" in row["notes"][0]


def test_forecasts_are_made_of_the_journal_alone(state: Path) -> None:
    """Every recorded forecast comes out the same, those whose past the journal lacks are left out, and none is made up."""
    told = recording(state)
    [folder] = (state / "models").glob("tiny-*")
    made = forecasts_of(told, folder)
    check = check_forecasts(told, state / "models")
    assert check.differences == []
    assert 0 < check.checked < len(made)


@pytest.mark.parametrize(
    ("date", "code", "sentence"),
    [("2024-01-05", 5, "no decided minute"), ("2024-01-01T03:00Z", 2, "write a day")],
)
def test_what_is_no_recorded_day_is_a_sentence(
    state: Path, capsys: pytest.CaptureFixture[str], date: str, code: int, sentence: str
) -> None:
    """Each with its exit code, and without a result."""
    assert main(["shadow-replay", "--state-dir", str(state), "--date", date]) == code
    assert sentence in capsys.readouterr().err
    assert not (state / "replays" / f"{date}.json").exists()


def test_a_disk_that_refuses_is_a_sentence(tmp_path: Path) -> None:
    """And leaves nothing half-written."""
    (tmp_path / "replays").write_text("no folder")
    with pytest.raises(StorageError, match="refused"):
        keep(tmp_path, {"date": DATE})
