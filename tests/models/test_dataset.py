"""The row table that training and evaluation gather from."""

from __future__ import annotations

import numpy as np
import pytest

from bot.errors import DataError
from models.dataset import prepare
from models.features import feature_set
from models.recipe import load_recipe
from models.scaling import fit_scaler
from models.windows import within
from tests.random_candles import START_MS, random_candles

RECIPE = load_recipe("scalping")


@pytest.fixture(scope="module")
def series():
    """Two symbols, the second starting later and with a gap."""
    return {
        "B/X": random_candles(4000, seed=1, gaps=(2000,), start_ms=START_MS + 600 * 60_000),
        "A/X": random_candles(4500, seed=2),
    }


def test_the_scaler_sees_only_the_train_slice(series) -> None:
    """Rewriting everything after the train slice changes no number of the scaler."""
    data = prepare(RECIPE, series)
    features = feature_set(RECIPE.features)
    seen = []
    for name in sorted(series):
        table = features.compute(series[name])
        seen.append(table.matrix[table.valid & (series[name].ts < data.slices.train[1])])
    alone = fit_scaler("standard", features.columns, np.concatenate(seen), clip=RECIPE.scaler.clip)
    assert alone.digest() == data.scaler.digest()


def test_rows_of_symbols_do_not_mix(series) -> None:
    """Every window lies within one symbol, every label is that symbol's own future."""
    rows = prepare(RECIPE, series).rows
    assert rows.symbols == ("A/X", "B/X")
    assert (rows.symbol[rows.ends - 59] == rows.symbol[rows.ends]).all()
    assert (rows.ts[rows.ends] - rows.ts[rows.ends - 59] == 59 * 60_000).all()
    ends = rows.ends_within((0, 2**62))
    np.testing.assert_allclose(rows.future_return[ends], np.log(rows.close[ends + 15] / rows.close[ends]))
    assert (rows.symbol[ends + 15] == rows.symbol[ends]).all()


def test_targets_are_the_future_in_units_of_volatility(series) -> None:
    """The target is the future return over volatility times the root of the horizon."""
    data = prepare(RECIPE, series)
    ends = data.rows.ends_within(data.slices.train)
    expected = data.rows.future_return[ends] / (data.rows.volatility[ends] * np.sqrt(15))
    np.testing.assert_allclose(data.target[ends, 0], expected, rtol=1e-5)
    assert 0.5 < data.target[ends].std() < 2.0


def test_slices_hold_their_share(series) -> None:
    """Each slice has windows of its own, close to its share."""
    data = prepare(RECIPE, series)
    total = len(data.rows.ends)
    for share, bounds in zip(RECIPE.split.shares, data.slices.as_dict().values(), strict=True):
        found = within(data.rows.ts[data.rows.ends], (bounds[0], bounds[1])).sum()
        assert share * total - 300 < found <= share * total + 1


def test_candles_that_cannot_be_used_name_their_symbol(series) -> None:
    """A malformed series is refused by its symbol's name, and so are too few candles."""
    broken = random_candles(4000, seed=3)
    broken.close[10] = -1.0
    with pytest.raises(DataError, match="B/X: column close"):
        prepare(RECIPE, {**series, "B/X": broken})
    with pytest.raises(DataError, match="whole window"):
        prepare(RECIPE, {"A/X": random_candles(200, seed=1)})
    with pytest.raises(DataError, match="no candles"):
        prepare(RECIPE, {})


def test_the_next_open_is_where_an_order_is_filled(series) -> None:
    """It is the open of the following minute of the same symbol, and not there before a gap or at the end."""
    rows = prepare(RECIPE, series).rows
    for number, name in enumerate(rows.symbols):
        candles, found = series[name], rows.next_open[rows.symbol == number]
        follows = np.append(np.diff(candles.ts) == 60_000, False)
        np.testing.assert_array_equal(found[follows], candles.open[1:][follows[:-1]])
        assert np.isnan(found[~follows]).all()
        assert (~follows).sum() == 1 + (name == "B/X")
