"""Which windows an inspection looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import DataError
from models.combination import Combination, Member
from models.forecaster import load_forecaster
from models.inspection_sample import evenly_spaced, read_sample, served_weights
from tests.inspected_model import one_column_model
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model

MINUTE = 60_000
CANDLES = random_candles(1500, seed=1)


def test_the_time_of_the_training_is_left_out(tmp_path: Path) -> None:
    """Windows between the training's start and its test slice are left out; --in-sample keeps and says so."""
    ts = CANDLES.ts
    ranges = {"train": [int(ts[0]), int(ts[900])], "test": [int(ts[1000]), int(ts[1400])]}
    folder = one_column_model(tmp_path, ranges=ranges)
    sample = read_sample(folder, {"A/X": CANDLES})
    assert sample.ends.min() == 1000
    assert (sample.in_sample, sample.training_known) == (False, True)
    whole = read_sample(folder, {"A/X": CANDLES}, in_sample=True)
    assert len(whole.ends) == len(sample.ends) + sample.left_out
    assert (whole.in_sample, whole.left_out) == (True, 0)
    with pytest.raises(DataError, match=r"all \d+ windows are from the time .*--in-sample"):
        read_sample(folder, {"A/X": CANDLES.rows(0, 950)})


def test_moments_and_stretches(tmp_path: Path) -> None:
    """The moment is the newest that can be compared, or the newest up to a time; the stretch is 300 minutes about it."""
    sample = read_sample(one_column_model(tmp_path), {"A/X": CANDLES})
    assert sample.moment(None) == 1499 - 15
    assert sample.stretch(None).tolist() == list(range(1200, 1500))
    at = int(CANDLES.ts[800]) + 30_000
    assert sample.moment(at) == 800
    assert sample.stretch(at).tolist() == list(range(651, 951))
    with pytest.raises(DataError, match="--at"):
        sample.moment(int(CANDLES.ts[10]))
    assert len(sample.labelled) == len(sample.ends) - 15


def test_candles_without_a_whole_window_are_refused(tmp_path: Path) -> None:
    """Too few candles are one sentence that says how many are needed."""
    with pytest.raises(DataError, match="needs 300 contiguous minutes"):
        read_sample(one_column_model(tmp_path), {"A/X": CANDLES.rows(0, 200)})


@given(count=st.integers(0, 300), most=st.integers(1, 50))
def test_even_spacing(count: int, most: int) -> None:
    """As many as asked for or all, rising, distinct, as far apart as each other to one place."""
    ends = np.arange(count, dtype=np.int64) * 3
    chosen = evenly_spaced(ends, most)
    assert len(chosen) == min(count, most)
    steps = np.diff(chosen // 3)
    assert (steps > 0).all()
    assert not len(steps) or steps.max() - steps.min() <= 1


def test_moving_weights_are_those_of_serving(tmp_path: Path) -> None:
    """At far-apart moments an ensemble's weights are those of following every minute up to them, not fresh ones."""
    forecaster = load_forecaster(write_tiny_model(tmp_path))
    assert (
        served_weights(
            forecaster, read_sample(write_tiny_model(tmp_path / "b"), {"A/X": CANDLES}).rows, np.array([700])
        )
        is None
    )
    members = (Member("a", 1.0, 1.0, 3.0, 0.0, 1.0), Member("b", 1.0, 1.0, 0.0, 0.5, 1.0))
    forecaster.combination = Combination("online", members, 1e-3, 2.0, 0.01, 240)
    sample = read_sample(one_column_model(tmp_path / "c"), {"A/X": CANDLES})

    def infer_series(scaled: np.ndarray, ends: np.ndarray) -> np.ndarray:
        return np.column_stack([scaled[ends, 0], scaled[ends, 1]]).astype(np.float64)

    forecaster.infer_series = infer_series  # type: ignore[method-assign, assignment]
    rows = sample.rows
    raw = infer_series(rows.scaled, rows.ends)
    everywhere = forecaster.weigh(raw, rows.ts[rows.ends], rows.close[rows.ends])
    asked = rows.ends[[600, 800, 1100]]
    found = served_weights(forecaster, rows, asked)
    assert found is not None
    assert everywhere is not None
    np.testing.assert_allclose(found, everywhere[[600, 800, 1100]], rtol=1e-12)
    assert abs(found[0, 0] - 0.5) > 1e-4
