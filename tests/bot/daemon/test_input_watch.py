"""What a daemon says of inputs beyond what its model saw in training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.core.market import MINUTE_MS
from bot.daemon.input_watch import CALM_MINUTES, CountsInputs, InputWatch
from bot.inference import InputCount, OnnxPredictor
from bot.journal.reader import JournalReader
from models.features import feature_set
from models.scaling import Scaler, fit_scaler
from tests.core_builders import MIDNIGHT, PERPETUAL, at
from tests.daemon_harness import SYMBOLS, Daemon, Silent, random_market, random_predictions
from tests.tiny_model import write_tiny_model

COLUMNS = feature_set("scalping-v1").columns
STARTED, ENDED = 780, 1300
"""Minutes of the day: the model's history is whole at the first one."""


def evening_is_strange() -> Scaler:
    """A scaler of a training that saw everything but the hours around 18:00 UTC, when the sine of the time is least."""
    wide = np.full(len(COLUMNS), 1e12)
    low = -wide
    low[COLUMNS.index("time_sine")] = -0.9
    rows = np.array([[-1.0] * len(COLUMNS), [1.0] * len(COLUMNS)])
    return replace(fit_scaler("standard", COLUMNS, rows, clip=8.0), low=low, high=wide)


@pytest.fixture
async def lived(tmp_path: Path) -> tuple[Daemon, dict[str, Any], dict[str, Any]]:
    """A daemon of two symbols over that evening, with its snapshot in the middle of it and at its end."""
    folder = write_tiny_model(tmp_path / "models", scaler=evening_is_strange())
    candles = random_market(5, ENDED)
    daemon = Daemon(tmp_path, candles, OnnxPredictor.load(folder), now_ms=at(STARTED))
    await daemon.start()
    await daemon.run(until_ms=at(1100))
    reader = JournalReader(tmp_path / "journal.sqlite")
    middle = reader.snapshot()
    daemon.feed.start_from(SYMBOLS[0], at(1099))
    daemon.feed.start_from(SYMBOLS[1], at(1099))
    await daemon.run()
    last = reader.snapshot()
    daemon.close()
    assert middle is not None
    assert last is not None
    return daemon, middle["inputs"], last["inputs"]


def lines(log: Silent, event: str, symbol: str = SYMBOLS[0]) -> list[dict[str, Any]]:
    """What was told of a symbol under a name."""
    return [fields for name, fields in log.lines if name == event and fields["symbol"] == symbol]


async def test_a_daemon_tells_that_it_abstains_and_that_it_forecasts_again(
    lived: tuple[Daemon, dict[str, Any], dict[str, Any]],
) -> None:
    """Told at the first minute, each hour, and after ten forecasts in a row; with model, share, column and minutes."""
    daemon, _, _ = lived
    for symbol in SYMBOLS:
        made = {line["candle_at_ms"] for line in lines(daemon.log, "prediction.made", symbol)}
        silent = sorted(set(range(at(STARTED), at(ENDED), MINUTE_MS)) - made)
        assert silent == list(range(silent[0], silent[-1] + 1, MINUTE_MS))
        assert len(silent) > 180
        told = lines(daemon.log, "prediction.abstained", symbol)
        assert [line["candle_at_ms"] for line in told] == silent[::60]
        assert [line["minutes"] for line in told] == list(range(1, len(silent) + 1, 60))
        for line in told:
            assert line["model_id"] == daemon.predictor.model_id
            assert line["column"] == "time_sine"
        assert told[0]["outside_share"] == round(13 / 1200, 4)
        assert told[2]["outside_share"] == 0.05
        (resumed,) = lines(daemon.log, "prediction.resumed", symbol)
        assert resumed["minutes"] == len(silent)
        assert resumed["candle_at_ms"] == silent[-1] + CALM_MINUTES * MINUTE_MS


async def test_the_counts_are_in_the_snapshot_of_each_batch(
    lived: tuple[Daemon, dict[str, Any], dict[str, Any]],
) -> None:
    """Windows, abstentions and shares since the start, by symbol: while it abstains, and after."""
    daemon, middle, last = lived
    for symbol in SYMBOLS:
        silent = ENDED - STARTED - len(lines(daemon.log, "prediction.made", symbol))
        assert last[symbol]["since_ms"] == middle[symbol]["since_ms"] == at(STARTED + 1)
        assert (last[symbol]["windows"], last[symbol]["abstained_count"]) == (ENDED - STARTED, silent)
        assert (middle[symbol]["abstains"], last[symbol]["abstains"]) == (True, False)
        assert middle[symbol]["window_outside_share"] == 0.05
        assert last[symbol]["window_outside_share"] == 0.0
        sines = np.sin(2.0 * np.pi * np.arange(STARTED, ENDED) / 1440)
        share = np.count_nonzero(sines < -0.9) / (len(sines) * len(COLUMNS))
        assert last[symbol]["outside_share"] == pytest.approx(share, abs=1e-6)


async def test_stored_forecasts_have_no_inputs(tmp_path: Path) -> None:
    """A predictor that counts nothing leaves nothing in the snapshot and no line."""
    candles = random_market(6, 30)
    daemon = Daemon(tmp_path, candles, random_predictions(6, candles), now_ms=MIDNIGHT)
    await daemon.start()
    await daemon.run()
    daemon.close()
    snapshot = JournalReader(tmp_path / "journal.sqlite").snapshot()
    assert snapshot is not None
    assert snapshot["inputs"] == {}


class Counting:
    """A predictor whose windows are as told, minute by minute."""

    model_id, row_values, window_values = "model", 20, 1200

    def __init__(self) -> None:
        self.inputs = {PERPETUAL: InputCount()}

    def farthest_column(self, symbol: str) -> str | None:
        return "rsi_14"

    def look(self, *, abstains: bool) -> None:
        count = self.inputs[PERPETUAL]
        count.windows += 1
        count.abstains = abstains
        count.abstained += abstains


def told(minutes: Iterable[bool | None]) -> list[tuple[int, str, int]]:
    """(minute, event, minutes without a forecast) where each minute abstains, forecasts, or has no whole window."""
    predictor, log, found = Counting(), Silent(), []
    assert isinstance(predictor, CountsInputs)
    watch = InputWatch(predictor)
    for minute, abstains in enumerate(minutes):
        if abstains is not None:
            predictor.look(abstains=abstains)
        watch.tell(log, [PERPETUAL], at(minute + 1))
        found += [(minute, event, fields["minutes"]) for event, fields in log.lines]
        log.lines.clear()
    return found


def test_a_market_on_the_edge_does_not_flood_the_log() -> None:
    """Abstaining every other minute for four hours is four lines, and one when it is over."""
    assert told([True, False] * 120 + [False] * 20) == [
        (0, "prediction.abstained", 1),
        (60, "prediction.abstained", 31),
        (120, "prediction.abstained", 61),
        (180, "prediction.abstained", 91),
        (248, "prediction.resumed", 120),
    ]


def test_minutes_without_a_window_end_no_stretch() -> None:
    """A gap that empties the window is not a forecast: the stretch goes on behind it, and its minutes do not count."""
    assert told([True] * 3 + [None] * 300 + [True] * 2 + [False] * 12) == [
        (0, "prediction.abstained", 1),
        (303, "prediction.abstained", 4),
        (314, "prediction.resumed", 5),
    ]


def test_a_market_like_the_training_is_not_told() -> None:
    """Forecasts alone write no line."""
    assert told([False] * 200) == []
