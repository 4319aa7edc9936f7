"""The synthetic market."""

from __future__ import annotations

import numpy as np
import pytest

from bot.simexchange.synthetic import (
    DAY_MS,
    DEFAULT_SYMBOLS,
    DRIFT_PHI,
    ORIGIN_MS,
    SyntheticSource,
    character,
)

DAYS = 20


@pytest.fixture(scope="module")
def source() -> SyntheticSource:
    """Two symbols, one of them without a character of its own."""
    return SyntheticSource(("BTCUSDT", "SIM007USDT"), 7)


def test_a_bar_depends_on_seed_symbol_and_minute_alone(source: SyntheticSource) -> None:
    """The same bars come out whatever else is played, in whatever order they are asked for."""
    other = SyntheticSource(("BTCUSDT", "ETHUSDT"), 7)
    late = other.between("BTCUSDT", ORIGIN_MS + 3 * DAY_MS + 60_000, ORIGIN_MS + 4 * DAY_MS)
    early = source.between("BTCUSDT", ORIGIN_MS, ORIGIN_MS + 5 * DAY_MS)
    np.testing.assert_array_equal(late.close, early.between(int(late.ts[0]), int(late.ts[-1]) + 1).close)
    np.testing.assert_array_equal(late.volume, early.between(int(late.ts[0]), int(late.ts[-1]) + 1).volume)
    another = SyntheticSource(("BTCUSDT",), 8).between("BTCUSDT", ORIGIN_MS, ORIGIN_MS + DAY_MS)
    assert not np.array_equal(another.close, early.close[: len(another)])


@pytest.mark.parametrize("symbol", ["BTCUSDT", "SIM007USDT"])
def test_bars_are_sound(source: SyntheticSource, symbol: str) -> None:
    """Every minute has a bar on the tick, open at the close before, with open and close inside its range."""
    bars = source.between(symbol, ORIGIN_MS, ORIGIN_MS + DAYS * DAY_MS)
    assert np.all(np.diff(bars.ts) == 60_000)
    np.testing.assert_array_equal(bars.open[1:], bars.close[:-1])
    assert np.all((bars.low <= np.minimum(bars.open, bars.close)) & (bars.low > 0))
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all(bars.volume > 0)
    ticks = bars.close / character(symbol).tick
    np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-6 * ticks.max())


def test_returns_look_like_a_market(source: SyntheticSource) -> None:
    """A minute moves by 5 to 20 bps, tails are fat, volatility clusters, and volume goes with it."""
    bars = source.between("BTCUSDT", ORIGIN_MS, ORIGIN_MS + DAYS * DAY_MS)
    returns = np.diff(np.log(bars.close))
    assert 5e-4 < returns.std() < 20e-4
    assert np.mean((returns / returns.std()) ** 4) > 4
    size = np.abs(returns)
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.1
    assert np.corrcoef(size, bars.volume[1:])[0, 1] > 0.1


def test_symbols_go_together() -> None:
    """The default symbols' returns are clearly, not perfectly, correlated."""
    ids = tuple(name.split(":")[0].replace("/", "") for name in DEFAULT_SYMBOLS)
    source = SyntheticSource(ids, 1)
    closes = [source.between(name, ORIGIN_MS, ORIGIN_MS + 5 * DAY_MS).close for name in ids]
    matrix = np.corrcoef([np.diff(np.log(close)) for close in closes])
    assert 0.3 < matrix[np.triu_indices(3, 1)].min() <= matrix[np.triu_indices(3, 1)].max() < 0.8


def test_the_known_drift_predicts_a_part_of_the_next_quarter_hour(source: SyntheticSource) -> None:
    """The planted drift explains between 8 and 18 percent of the 15-minute return, out of past bars alone."""
    bars = source.between("BTCUSDT", ORIGIN_MS, ORIGIN_MS + DAYS * DAY_MS)
    close = np.log(bars.close)
    expected = source.drifts("BTCUSDT", DAYS)[1:] * (1 - DRIFT_PHI**15) / (1 - DRIFT_PHI)
    forward = close[15:] - close[:-15]
    residual = forward - expected[: len(forward)]
    assert 0.08 < 1 - residual.var() / forward.var() < 0.18


def test_the_future_is_without_end_and_the_past_begins_at_the_origin(source: SyntheticSource) -> None:
    """Every minute from the origin on has a bar; before it there is none."""
    assert source.next_minute(0) == ORIGIN_MS
    assert source.next_minute(ORIGIN_MS + 1) == ORIGIN_MS + 60_000
    assert source.end_ms is None
    assert len(source.between("BTCUSDT", ORIGIN_MS - DAY_MS, ORIGIN_MS)) == 0
    assert len(source.between("BTCUSDT", ORIGIN_MS + DAY_MS - 60_000, ORIGIN_MS + DAY_MS + 60_000)) == 2
