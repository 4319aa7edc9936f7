"""Permutation importance of models whose inside is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.errors import DataError
from models.dataset import RowTable
from models.features import feature_set
from models.forecaster import Forecaster
from models.importance import Importance, _donors, measure_importance
from models.inspection_sample import read_sample
from tests.inspected_model import READ, one_column_model
from tests.planted import planted_candles
from tests.random_candles import random_candles

NAMES = feature_set("scalping-v1").columns


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory):
    """A model that reads one column, and candles that this column says something about."""
    folder = one_column_model(tmp_path_factory.mktemp("models"))
    return read_sample(folder, {"BTC/USDT": planted_candles(9000, seed=3)})


def measured(sample, **changes) -> Importance:
    """With few windows, unless told otherwise."""
    wishes = {"windows": 600, "repeats": 3, "seed": 1} | changes
    return measure_importance(sample.forecaster, sample.rows, sample.labelled, **wishes)


def test_only_the_column_that_is_read_counts(sample) -> None:
    """The column that the model reads has a positive importance that is told from 0; each other's is exactly 0."""
    found = measured(sample)
    assert [column.name for column in found.columns] == list(NAMES)
    read = found.columns[READ]
    assert read.log_loss.low > 1.0
    assert read.log_loss.told_from_zero
    assert read.accuracy is not None
    assert read.accuracy.low > 0.0
    assert read.moved is not None
    assert read.moved > 0.5
    for column in found.columns[:READ] + found.columns[READ + 1 :]:
        assert column.log_loss[:4] == (0.0, 0.0, 0.0, 0.0)
        assert column.accuracy is not None
        assert column.accuracy[:4] == (0.0, 0.0, 0.0, 0.0)
        assert column.moved == 0.0
        assert not column.log_loss.told_from_zero
    assert found.ranked()[0].name == NAMES[READ]
    assert found.windows == 600
    assert found.eligible == len(sample.labelled)


def test_the_figures_are_those_of_the_swap(sample) -> None:
    """The mean rise of the log loss is what swapping the column by hand gives."""
    found = measured(sample, repeats=1, seed=5)
    ends = sample.labelled[np.arange(600) * len(sample.labelled) // 600]
    rows: RowTable = sample.rows
    donors = _donors(rows.symbol[ends], np.random.default_rng([5, 0]))
    slope = sample.forecaster.calibration.slope

    def loss(values: np.ndarray) -> float:
        up = 1.0 / (1.0 + np.exp(slope * values.astype(np.float64) / 1.702))
        return float(-np.log(np.where(rows.future_return[ends] > 0.0, up, 1.0 - up)).mean())

    values = rows.scaled[ends, READ]
    assert found.log_loss == pytest.approx(loss(values), abs=1e-6)
    rise = (loss(values[donors]) - loss(values)) * 1000.0
    assert found.columns[READ].log_loss.mean == pytest.approx(rise, abs=1e-3)
    assert found.columns[READ].log_loss.deviation == 0.0


def test_the_seed_decides(sample) -> None:
    """The same seed gives the same figures, another seed others, and the spread holds the mean."""
    first = measured(sample)
    assert first == measured(sample)
    other = measured(sample, seed=2)
    assert other.columns[READ].log_loss.mean != first.columns[READ].log_loss.mean
    effect = first.columns[READ].log_loss
    assert effect.low <= effect.mean <= effect.high
    assert effect.deviation > 0.0


def test_every_measurement_is_told(sample) -> None:
    """Progress counts up to columns times repeats, and names each column."""
    told: list[tuple[str, int, int]] = []
    measured(sample, windows=50, repeats=2, on_column=lambda *state: told.append(state))
    assert [done for _, done, _ in told] == [*range(40), 40]
    assert {total for _, _, total in told} == {40}
    assert [name for name, _, _ in told[:-1:2]] == list(NAMES)


def test_no_window_is_its_own_donor() -> None:
    """Each window's column goes to another window of the same symbol, once."""
    symbol = np.repeat(np.array([0, 1, 0], np.int16), [7, 5, 3])
    donors = _donors(symbol, np.random.default_rng(0))
    assert sorted(donors) == list(range(15))
    assert (donors != np.arange(15)).all()
    np.testing.assert_array_equal(symbol[donors], symbol)


def test_the_file_ranks_columns(sample) -> None:
    """As JSON the most important column is first, and every number is one."""
    document = json.loads(json.dumps(measured(sample, windows=100).as_json(), allow_nan=False))
    assert document["columns"][0]["name"] == NAMES[READ]
    assert document["windows"] == 100
    assert set(document["columns"][0]["log_loss_increase_millinats"]) == {
        "mean",
        "deviation",
        "low",
        "high",
        "interval",
    }


def test_one_window_cannot_be_swapped(sample) -> None:
    """A single window has no other moment to take a column from: that is said, not measured."""
    with pytest.raises(DataError, match="nothing to swap"):
        measured(sample, windows=1)


def test_several_symbols_keep_to_themselves(tmp_path: Path) -> None:
    """Two symbols are measured together; columns that are not read stay at exactly 0."""
    series = {"A/X": planted_candles(1500, seed=1), "B/X": random_candles(1200, seed=2, price=5e4)}
    both = read_sample(one_column_model(tmp_path), series)
    found = measured(both, windows=10_000, repeats=1)
    assert found.windows == found.eligible == len(both.labelled)
    assert {column.name for column in found.columns if column.moved} == {NAMES[READ]}
    assert isinstance(both.forecaster, Forecaster)
