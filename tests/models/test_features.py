"""Feature rows: causal to the bit, blind to where reading began, cut at gaps."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.candles.store import read_candles
from bot.errors import DataError, ModelError
from models.candle_arrays import CandleArrays
from models.features import FEATURE_SETS, FeatureSet, FeatureTable, feature_set, segments
from tests.random_candles import START_MS, random_candles
from tests.shared_data import candle_file

MINUTE_MS = 60_000
WINDOW = 60
SETS = [pytest.param(found, id=tag) for tag, found in FEATURE_SETS.items()]
LEVEL_FREE = [
    pytest.param(found, id=tag) for tag, found in FEATURE_SETS.items() if found.name != "minmax-close"
]


def same(left: FeatureTable, right: FeatureTable) -> None:
    """Two tables are equal to the bit, NaN where NaN."""
    np.testing.assert_array_equal(left.matrix, right.matrix)
    np.testing.assert_array_equal(left.valid, right.valid)
    np.testing.assert_array_equal(left.volatility, right.volatility)


@pytest.mark.parametrize("features", SETS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cut=st.integers(1, 1399),
    gaps=st.lists(st.integers(1, 1399), max_size=2),
    offset=st.integers(0, 300),
)
def test_the_future_changes_no_past_row(
    features: FeatureSet, seed: int, cut: int, gaps: list[int], offset: int
) -> None:
    """Cutting off or rewriting all candles after any moment leaves every earlier row as it was, to the bit."""
    arrays = random_candles(1400, seed=seed, start_ms=START_MS + offset * MINUTE_MS, gaps=tuple(gaps))
    whole = features.compute(arrays)
    past = FeatureTable(whole.matrix[:cut], whole.valid[:cut], whole.volatility[:cut])
    same(features.compute(arrays.rows(0, cut)), past)
    other = random_candles(1400, seed=seed + 1, price=3.0)
    columns = {
        name: np.concatenate([getattr(arrays, name)[:cut], getattr(other, name)[cut:]])
        for name in ("open", "high", "low", "close", "volume")
    }
    rewritten = features.compute(CandleArrays(arrays.ts, **columns))
    same(FeatureTable(rewritten.matrix[:cut], rewritten.valid[:cut], rewritten.volatility[:cut]), past)


@pytest.mark.parametrize("features", SETS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), end=st.integers(900, 1500), extra=st.integers(0, 120))
def test_enough_history_gives_the_same_window(features: FeatureSet, seed: int, end: int, extra: int) -> None:
    """The last 60 rows are the same to the bit from any start with ``history_minutes`` before them."""
    arrays = random_candles(1500, seed=seed)
    whole = features.compute(arrays)
    start = max(0, end - features.history_minutes(WINDOW) - extra)
    part = features.compute(arrays.rows(start, end))
    np.testing.assert_array_equal(part.matrix[-WINDOW:], whole.matrix[end - WINDOW : end])
    np.testing.assert_array_equal(part.volatility[-WINDOW:], whole.volatility[end - WINDOW : end])


@pytest.mark.parametrize("features", SETS)
def test_a_gap_starts_anew(features: FeatureSet) -> None:
    """After a gap the rows are those of the later candles alone: nothing before it is seen."""
    arrays = random_candles(1200, seed=3, gaps=(500,))
    whole = features.compute(arrays)
    alone = features.compute(arrays.rows(500, 1200))
    same(FeatureTable(whole.matrix[500:], whole.valid[500:], whole.volatility[500:]), alone)
    assert not whole.valid[500:740].any()
    assert whole.valid[740:].all()


@pytest.mark.parametrize("features", SETS)
def test_real_candles_with_an_outage(features: FeatureSet) -> None:
    """Real candles give finite rows everywhere but in the 240 minutes after the start and after the outage."""
    arrays = read_candles(candle_file("binance-BTCUSDT-1m-2021-04-01_2021-07-31.parquet")).rows(
        20_000, 60_000
    )
    found = features.compute(arrays)
    expected = np.ones(len(arrays), np.bool_)
    starts = [start for start, _ in segments(arrays.ts)]
    assert len(starts) > 1
    for start in starts:
        expected[start : start + 240] = False
    np.testing.assert_array_equal(found.valid, expected)


@pytest.mark.parametrize("features", SETS)
@pytest.mark.parametrize("quiet", [0.7, 1.0])
def test_a_market_without_trades_gives_numbers(features: FeatureSet, quiet: float) -> None:
    """Flat bars and zero volume make no NaN, and none of the bounded columns leaves its bounds."""
    found = features.compute(random_candles(800, seed=1, price=1e-5, quiet_share=quiet))
    assert found.valid[240:].all()
    if features.name != "minmax-close":
        assert np.abs(found.matrix[240:]).max() < 100.0


@pytest.mark.parametrize("features", LEVEL_FREE)
def test_most_feature_sets_know_no_price_level(features: FeatureSet) -> None:
    """The same moves of a coin at 1e-5 and of one at 1e5 give the same rows, up to rounding."""
    arrays = random_candles(800, seed=6, quiet_share=0.2)
    scaled = dataclasses.replace(
        arrays, **{name: getattr(arrays, name) * 1e-7 for name in ("open", "high", "low", "close")}
    )
    left, right = features.compute(arrays), features.compute(scaled)
    np.testing.assert_allclose(left.matrix[240:], right.matrix[240:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("features", LEVEL_FREE)
def test_most_feature_sets_know_no_unit_of_volume(features: FeatureSet) -> None:
    """Volume counted in other units gives the same rows, up to rounding."""
    arrays = random_candles(800, seed=6, quiet_share=0.2)
    counted = dataclasses.replace(arrays, volume=arrays.volume * 1e-7)
    left, right = features.compute(arrays), features.compute(counted)
    np.testing.assert_allclose(left.matrix[240:], right.matrix[240:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("features", SETS)
def test_every_feature_set_gives_the_same_volatility(features: FeatureSet) -> None:
    """Forecasts are decoded by a volatility that does not depend on the feature set, to the bit."""
    arrays = random_candles(900, seed=5, quiet_share=0.1)
    expected = feature_set("scalping-v1").compute(arrays).volatility
    np.testing.assert_array_equal(features.compute(arrays).volatility, expected)


@pytest.mark.parametrize("features", LEVEL_FREE)
def test_an_early_start_is_soon_forgotten(features: FeatureSet) -> None:
    """Rows computed from the start of a stretch differ from those with full history by less than 1e-6."""
    arrays = random_candles(1500, seed=8)
    whole, part = features.compute(arrays), features.compute(arrays.rows(700, 1500))
    np.testing.assert_allclose(part.matrix[240:], whole.matrix[940:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ts": lambda ts: ts + 1}, "whole minutes; row 0"),
        ({"ts": lambda ts: np.where(np.arange(len(ts)) == 5, ts[4], ts)}, "must rise; row 5"),
        ({"close": lambda c: np.where(np.arange(len(c)) == 7, np.nan, c)}, "close .* row 7"),
        ({"low": lambda c: np.where(np.arange(len(c)) == 3, 0.0, c)}, "low .* row 3"),
        ({"volume": lambda c: np.where(np.arange(len(c)) == 2, -1.0, c)}, "volume .* row 2"),
    ],
)
def test_malformed_candles_are_refused(change: dict[str, Any], sentence: str) -> None:
    """Candles that no market shows are refused, naming column and row."""
    arrays = random_candles(10, seed=1)
    ((name, alter),) = change.items()
    with pytest.raises(DataError, match=sentence):
        feature_set("scalping-v1").compute(
            dataclasses.replace(arrays, **{name: alter(getattr(arrays, name))})
        )


@pytest.mark.parametrize("features", SETS)
@pytest.mark.parametrize("count", [0, 1, 2, 240])
def test_short_series_have_no_valid_row(features: FeatureSet, count: int) -> None:
    """Fewer candles than the longest lookback give rows, none of them valid."""
    found = features.compute(random_candles(300, seed=1).rows(0, count))
    assert found.matrix.shape == (count, len(features.columns))
    assert not found.valid.any()


def test_an_unknown_feature_set_is_refused() -> None:
    """A tag that this program does not know is a model error that lists the known ones."""
    with pytest.raises(ModelError, match=r"scalping-v2.*scalping-v1"):
        feature_set("scalping-v2")
