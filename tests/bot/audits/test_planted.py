"""The planted edge: as large as was asked, in the window and not in the candle, and turned when told."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest

from bot.audits.planted import (
    RELIABILITY,
    PlantedMarket,
    drift_of,
    oracle,
    planted,
    planted_market,
    state_accuracy,
    wick_filter,
)
from bot.errors import DataError
from models.features import check_candles, feature_set

MINUTES = 400_000
ERROR = 0.5 / math.sqrt(MINUTES)
ACCURACIES = (0.51, 0.52, 0.53)


@lru_cache(maxsize=3)
def market(accuracy: float) -> PlantedMarket:
    """A long market of an edge."""
    return planted_market(accuracy, minutes=MINUTES, seed=8)


def right(says_up: np.ndarray, found: PlantedMarket, *, delay: int = 0) -> float:
    """Share of the moves of the minute after the next ``delay`` that were said right, ties left out."""
    moves = np.diff(np.log(found.candles.close))[delay:]
    said = says_up[: len(moves)]
    moved = moves != 0.0
    return float((said == (moves > 0.0))[moved].mean())


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_the_best_filter_is_right_as_often_as_was_asked(accuracy):
    """The filter over past wicks gets the asked share of next minutes right, within sampling error."""
    found = market(accuracy)
    assert right(oracle(found) > 0.5, found) == pytest.approx(accuracy, abs=4.0 * ERROR)


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_the_last_candle_alone_says_little(accuracy):
    """The newest wick gets less than half of the edge."""
    found = market(accuracy)
    assert 0.5 < right(found.wick > 0, found) < 0.5 + 0.5 * (accuracy - 0.5)


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_a_minutes_delay_loses_little(accuracy):
    """The state stays for an hour: what was known a minute earlier is right nearly as often."""
    found = market(accuracy)
    says_up = oracle(found) > 0.5
    assert right(says_up, found) - right(says_up, found, delay=1) < 0.1 * (accuracy - 0.5) + 4.0 * ERROR
    assert right(says_up, found, delay=1) > 0.5 + 0.8 * (accuracy - 0.5)


def test_probabilities_of_the_oracle_are_calibrated():
    """Where the filter says that a rise is more likely by so much, it is, from the lowest fifth to the highest."""
    found = market(0.53)
    said, up = oracle(found)[:-1], np.diff(found.candles.close) > 0.0
    order = np.array_split(np.argsort(said), 5)
    for part in order:
        assert up[part].mean() == pytest.approx(said[part].mean(), abs=4.0 * 0.5 / math.sqrt(len(part)))


def test_the_density_of_the_belief_agrees_with_a_simulation():
    """How often the filter knows the state is the same by the stationary density and by counting."""
    found = market(0.52)
    belief = wick_filter(found.wick)
    counted = ((belief > 0.5) == (found.state > 0)).reshape(400, -1).mean(axis=1)
    assert counted.mean() == pytest.approx(state_accuracy(), abs=4.0 * counted.std() / math.sqrt(400))
    assert (found.wick == found.state).mean() == pytest.approx(RELIABILITY, abs=0.005)


def test_the_window_shows_what_one_row_of_features_does_not():
    """The mean of close_position over 30 minutes tells the state far better than the whole last row, linearly read."""
    found = market(0.52)
    features = feature_set("scalping-v1")
    candles = found.candles.rows(0, 120_000)
    table = features.compute(candles)
    position = table.matrix[:, features.columns.index("close_position")]
    mean = np.convolve(np.nan_to_num(position), np.ones(30) / 30.0)[: len(position)]
    valid = table.valid.copy()
    valid[:600] = False
    state = found.state[:120_000][valid].astype(float)
    rows = np.column_stack([table.matrix[valid], np.ones(valid.sum())])
    read = rows @ np.linalg.lstsq(rows, state, rcond=None)[0]
    of_window = np.corrcoef(mean[valid], state)[0, 1]
    assert of_window > 0.45
    assert np.corrcoef(position[valid], state)[0, 1] < 0.25
    assert np.corrcoef(read, state)[0, 1] < 0.8 * of_window


def test_wicks_know_nothing_of_their_own_minutes_return():
    """Wicks are drawn from the state alone: they go with the own return only as the state does."""
    found = market(0.53)
    moves = np.diff(np.log(found.candles.close))
    for sign in (-1, 1):
        # In a known state, wicks and the sign of the move are independent.
        here = found.state[:-1] == sign
        gap = np.corrcoef(found.wick[1:][here], np.sign(moves)[here])[0, 1]
        within = np.corrcoef(found.wick[1:][here], found.state[1:][here])[0, 1]
        assert abs(gap) < 4.0 / math.sqrt(here.sum())
        assert within > 0.0


def test_a_turned_edge_is_wrong_as_often_as_it_was_right():
    """From the flip on the filter is wrong by as much; before it the candles are those of a market that never turns."""
    flip = MINUTES // 2
    plain, turned = market(0.53), planted_market(0.53, minutes=MINUTES, seed=8, flip_at_minute=flip)
    for name in ("open", "high", "low", "close", "volume"):
        column = getattr(turned.candles, name)
        assert np.array_equal(getattr(plain.candles, name)[:flip], column[:flip])
    assert np.array_equal(plain.wick, turned.wick)
    says_up, up = (oracle(turned) > 0.5)[:-1], np.diff(turned.candles.close) > 0.0
    error = 4.0 * 0.5 / math.sqrt(flip)
    assert (says_up == up)[: flip - 1].mean() == pytest.approx(0.53, abs=error)
    assert (says_up == up)[flip - 1 :].mean() == pytest.approx(0.47, abs=error)


def test_candles_are_valid_and_of_their_seed_alone():
    """The candles are what the features accept, in their ranges, and the same for the same arguments."""
    first, again = (planted(0.52, minutes=5000, seed=3) for _ in range(2))
    other = planted(0.52, minutes=5000, seed=4)
    check_candles(first)
    assert (first.high >= np.maximum(first.open, first.close)).all()
    assert (first.low <= np.minimum(first.open, first.close)).all()
    assert np.array_equal(first.close, again.close)
    assert np.array_equal(first.volume, again.volume)
    assert not np.array_equal(first.close, other.close)


def test_half_is_no_edge_and_more_than_can_be_planted_is_refused():
    """At 0.5 there is no drift; beyond the bounds nothing is made."""
    assert drift_of(0.5) == 0.0
    assert drift_of(0.51) < drift_of(0.52) < drift_of(0.6)
    for accuracy in (0.49, 0.61, math.nan):
        with pytest.raises(DataError, match="cannot be planted"):
            planted(accuracy, minutes=10, seed=1)
