"""The fitted baselines that stand beside a model."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.errors import ModelError
from models.baselines import fit_baselines
from models.dataset import Dataset, prepare
from models.recipe import load_recipe
from models.rivals import Rivals, fit_rivals, read_rivals
from tests.planted import planted_candles

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def data() -> Dataset:
    """A market with something to find in it."""
    return prepare(load_recipe("scalping"), {"X/Y": planted_candles(9000, seed=1)})


@pytest.fixture(scope="module")
def rivals(data: Dataset) -> Rivals:
    """Its baselines."""
    return fit_rivals(data, fit_baselines(data), 15)


def test_both_know_what_is_planted_and_expect_returns(data: Dataset, rivals: Rivals) -> None:
    """On the test slice each is right more often than not, its returns go with those that came, and it has doubts."""
    ends = data.rows.ends_within(data.slices.test)
    came = data.rows.future_return[ends]
    found = rivals.forecasts(data.rows, ends)
    assert [one.name for one in found] == ["logistic_regression", "lightgbm"]
    for one in found:
        assert one.probability is not None
        assert one.expected is not None
        assert one.uncertainty is not None
        assert ((one.probability > 0.5) == (came > 0)).mean() > 0.55
        assert np.corrcoef(one.expected, came)[0, 1] > 0.1
        assert (one.uncertainty >= 0).all()


def test_what_is_stored_says_the_same(data: Dataset, rivals: Rivals, tmp_path: Path) -> None:
    """Read back from their files, they say the same to the bit."""
    for name, content in rivals.files().items():
        (tmp_path / name).write_bytes(content)
    again = read_rivals(tmp_path, data.rows.scaled.shape[1], 15)
    ends = data.rows.ends_within(data.slices.test)
    for one, other in zip(rivals.forecasts(data.rows, ends), again.forecasts(data.rows, ends), strict=True):
        for part in ("direction", "expected", "probability", "uncertainty"):
            np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
    assert again.base_rate == rivals.base_rate
    assert not again.missing


def test_an_older_artifact_has_no_lightgbm(rivals: Rivals, tmp_path: Path) -> None:
    """LightGBM alone may be missing, and that is said; without the other baselines the model is refused."""
    (tmp_path / "baselines.json").write_bytes(rivals.files()["baselines.json"])
    found = read_rivals(tmp_path, 20, 15)
    assert found.boosting is None
    assert found.missing == {"lightgbm": "none is stored with this model"}
    (tmp_path / "baselines.json").unlink()
    with pytest.raises(ModelError, match=r"baselines\.json"):
        read_rivals(tmp_path, 20, 15)


def test_without_lightgbm_the_report_goes_without_it(
    data: Dataset, rivals: Rivals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither training nor a later evaluation fails where LightGBM is not installed; the reason is kept."""
    for name, content in rivals.files().items():
        (tmp_path / name).write_bytes(content)
    baselines = fit_baselines(data)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for found in (fit_rivals(data, baselines, 15), read_rivals(tmp_path, 20, 15)):
        assert found.boosting is None
        assert "lightgbm" in found.missing["lightgbm"]
        assert list(found.files()) == ["baselines.json"]


def test_slices_that_teach_nothing_leave_lightgbm_out(data: Dataset) -> None:
    """An early-stop slice that knows only rises costs the report LightGBM, not the training."""
    rows = data.rows
    stop = rows.ends_within(data.slices.early_stop)
    rising = rows.future_return.copy()
    rising[stop] = np.abs(rising[stop]) + 1e-6
    found = fit_rivals(replace(data, rows=replace(rows, future_return=rising)), fit_baselines(data), 15)
    assert found.boosting is None
    assert "early-stop" in found.missing["lightgbm"]
