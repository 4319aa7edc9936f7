"""How members become one forecast."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ModelError
from models.combination import MINUTE_MS, Combination, Member, WeightTracker, combination_from_json

START_MS = 1_700_000_040_000


def combination(**changes: Any) -> Combination:
    """Two members: one trusted in calm times, the other in wild ones."""
    members = (Member("calm", 3.0, 1.0, 1.5, 0.0, 0.5), Member("wild", 1.0, 4.0, 0.8, 0.1, 1.0))
    standard = Combination("fixed", members, threshold=0.001, rate=1.0, share=0.01, period_minutes=60)
    return dataclasses.replace(standard, **changes)


def market(minutes: int, seed: int = 1) -> tuple[list[float], np.ndarray]:
    """Closes of a random walk with ties, and what two members say of each minute, [minutes, 2]."""
    rng = np.random.default_rng(seed)
    closes = 100.0 + np.cumsum(rng.integers(-2, 3, minutes))
    return closes.tolist(), rng.uniform(0.05, 0.95, (minutes, 2))


def follow(tracker: WeightTracker, closes: list[float], said: np.ndarray, first: int = 0) -> np.ndarray:
    """The weights at each minute from the first on."""
    return np.array(
        [
            tracker.step(START_MS + minute * MINUTE_MS, closes[minute], said[minute])
            for minute in range(first, len(closes))
        ]
    )


def test_fixed_weights() -> None:
    """Shares are the weights over their sum, whatever the volatility."""
    np.testing.assert_array_equal(combination().weights(np.array([0.0, 1.0])), [[0.75, 0.25], [0.75, 0.25]])


def test_weights_by_volatility() -> None:
    """The wild weights hold strictly above the threshold, the calm ones at it and below."""
    found = combination(combine="volatility").weights(np.array([0.0005, 0.001, 0.002]))
    np.testing.assert_array_equal(found, [[0.75, 0.25], [0.75, 0.25], [0.2, 0.8]])


def test_a_forecast_by_hand() -> None:
    """Believed outputs, probabilities and outputs are each the weighted mean; the return is in units of volatility."""
    expected, probability, mean = combination().combine_rows(np.array([[1.0, -2.0]]), np.array([0.002]), 16)
    assert expected[0] == pytest.approx((0.75 * 0.5 * 1.0 + 0.25 * 1.0 * -2.0) * 0.002 * 4.0)
    assert probability[0] == pytest.approx(0.75 / (1 + math.exp(-1.5)) + 0.25 / (1 + math.exp(1.6 - 0.1)))
    assert mean[0] == pytest.approx(0.75 * 1.0 + 0.25 * -2.0)


def test_the_uncertainty_adds_the_members_own() -> None:
    """Each member's error counts by its share and the size of its word, without cancelling; one unknown is unknown."""
    known = [dataclasses.replace(member, return_scale_error=0.25) for member in combination().members]
    raw, volatility = np.array([[1.0, -2.0]]), np.array([0.002])
    unsure = combination(members=tuple(known)).uncertainty(raw, volatility, 16)
    assert unsure[0] == pytest.approx((0.75 * 1.0 + 0.25 * 2.0) * 0.25 * 0.002 * 4.0)
    told = combination(members=tuple(known)).uncertainty(raw, volatility, 16, np.array([[0.0, 1.0]]))
    assert told[0] == pytest.approx(2.0 * 0.25 * 0.002 * 4.0)
    half = (known[0], combination().members[1])
    assert np.isnan(combination(members=half).uncertainty(raw, volatility, 16)[0])
    again = combination_from_json(combination(members=half).to_json(), ("calm", "wild"))
    assert again.members == half


def test_members_of_an_older_version_are_read() -> None:
    """An ensemble.json without errors is read, with errors unknown."""
    document = json.loads(combination().to_json())
    for member in document["members"]:
        del member["return_scale_error"]
    assert combination_from_json(json.dumps(document).encode(), ("calm", "wild")) == combination()


def test_weights_that_are_given_are_used() -> None:
    """Where weights move in time, those of the moment count."""
    raw = np.array([[1.0, -2.0], [1.0, -2.0]])
    weights = np.array([[1.0, 0.0], [0.0, 1.0]])
    _, _, mean = combination(combine="online").combine_rows(raw, np.array([0.002, 0.002]), 4, weights)
    np.testing.assert_array_equal(mean, [1.0, -2.0])


@pytest.mark.parametrize("combine", ["fixed", "volatility", "online"])
def test_a_row_alone_and_among_a_thousand(combine: str) -> None:
    """One row gives to the bit what it gives in a table of a thousand."""
    rng = np.random.default_rng(3)
    drawn = rng.uniform(0.1, 2.0, (7, 4)).tolist()
    members = tuple(Member(f"m{n}", row[0], row[1], row[2], row[3], 0.7) for n, row in enumerate(drawn))
    chosen = combination(combine=combine, members=members)
    raw, volatility = rng.normal(size=(1000, 7)), rng.uniform(0.0, 0.002, 1000)
    weights = rng.dirichlet(np.ones(7), 1000) if chosen.moves else None
    together = chosen.combine_rows(raw, volatility, 15, weights)
    for row in range(1000):
        piece = slice(row, row + 1)
        alone = chosen.combine_rows(
            raw[piece], volatility[piece], 15, None if weights is None else weights[piece]
        )
        assert [said[0] for said in alone] == [said[row] for said in together]


def test_the_better_member_gains_and_a_switch_is_followed() -> None:
    """The weight goes to whoever forecasts well, and to the other one soon after they change places."""
    rng = np.random.default_rng(5)
    minutes, horizon, switch = 800, 2, 400
    closes = (100.0 + np.cumsum(rng.choice([-1.0, 1.0], minutes + horizon))).tolist()
    up = np.array([closes[minute + horizon] > closes[minute] for minute in range(minutes)])
    knows = np.where(up, 0.7, 0.3)
    first = np.arange(minutes) < switch
    said = np.column_stack([np.where(first, knows, 1.0 - knows), np.where(first, 1.0 - knows, knows)])
    chosen = combination(combine="online", rate=2.0, share=0.01, period_minutes=10_000)
    weights = follow(chosen.tracker(horizon), closes[:minutes], said)
    assert weights[0].tolist() == [0.75, 0.25]
    assert weights[switch - 1, 0] > 0.95
    assert weights[switch + 40, 1] > 0.8
    assert weights[-1, 1] > 0.95


def test_without_a_fixed_share_a_switch_is_followed_late() -> None:
    """The share is what brings a member back: without it the loser of 400 minutes is still down after 40."""
    closes = [100.0 + minute for minute in range(480)]
    first = np.arange(480) < 400
    said = np.column_stack([np.where(first, 0.9, 0.1), np.where(first, 0.1, 0.9)])
    at = {
        share: follow(
            combination(combine="online", share=share, period_minutes=10_000).tracker(1), closes, said
        )[440, 1]
        for share in (0.0, 0.01)
    }
    assert at[0.01] > 0.8
    assert at[0.0] < 1e-6


def test_nothing_is_learnt_before_the_horizon_is_over() -> None:
    """The label of a forecast is known, and used, exactly horizon minutes later."""
    closes = [100.0 + minute for minute in range(8)]
    said = np.tile([0.9, 0.1], (8, 1))
    weights = follow(combination(combine="online", period_minutes=10_000).tracker(5), closes, said)
    np.testing.assert_array_equal(weights[:5], np.tile([0.75, 0.25], (5, 1)))
    assert weights[5, 0] > 0.75


@pytest.mark.parametrize("horizon", [1, 3])
def test_one_update_by_hand(horizon: int) -> None:
    """A weight grows by p^(rate / horizon) of what came, is made to add up to 1, and gives a share to all anew."""
    chosen = combination(combine="online", rate=0.5 * horizon, share=0.2, period_minutes=10_000)
    closes = [100.0] + [101.0] * horizon
    weights = follow(chosen.tracker(horizon), closes, np.tile([0.64, 0.16], (horizon + 1, 1)))
    grown = 0.75 * 0.8, 0.25 * 0.4
    assert weights[-1, 0] == pytest.approx(0.8 * grown[0] / sum(grown) + 0.2 * 0.75)


def test_a_tie_teaches_nothing() -> None:
    """Where the close is what it was, no weight moves."""
    weights = follow(combination(combine="online").tracker(1), [100.0] * 9, market(9)[1])
    np.testing.assert_array_equal(weights, np.tile([0.75, 0.25], (9, 1)))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3)),
        min_size=1,
        max_size=60,
    ),
    st.lists(st.floats(0.01, 100.0), min_size=3, max_size=3),
    st.floats(0.001, 10.0),
    st.floats(1e-6, 0.99),
    st.integers(1, 3),
    st.integers(1, 20),
)
def test_weights_are_shares(
    told: list[tuple[int, list[float]]],
    prior: list[float],
    rate: float,
    share: float,
    horizon: int,
    period: int,
) -> None:
    """Whatever is said and happens, certainties that fail included, weights stay above 0 and add up to 1."""
    members = tuple(Member(f"m{n}", weight, 1.0, 1.0, 0.0, 1.0) for n, weight in enumerate(prior))
    chosen = combination(combine="online", members=members, rate=rate, share=share, period_minutes=period)
    tracker = chosen.tracker(horizon)
    for minute, (close, said) in enumerate(told):
        weights = tracker.step(START_MS + minute * MINUTE_MS, float(close), np.array(said))
        assert min(weights) > 0.0
        assert math.fsum(weights) == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    period=st.integers(1, 40), horizon=st.integers(1, 20), extra=st.integers(0, 120), seed=st.integers(0, 999)
)
def test_a_restart_changes_no_digit(period: int, horizon: int, extra: int, seed: int) -> None:
    """A tracker that saw only the memory before a moment gives to the bit the weights of one that saw everything."""
    chosen = combination(combine="online", period_minutes=period)
    memory = chosen.memory_minutes(horizon)
    closes, said = market(memory + extra + 5, seed)
    whole = follow(chosen.tracker(horizon), closes, said)
    first = len(closes) - memory - 5
    restarted = follow(chosen.tracker(horizon), closes, said, first)
    np.testing.assert_array_equal(restarted[memory - 1 :], whole[first + memory - 1 :])


def test_less_than_the_memory_is_not_enough() -> None:
    """One minute less than the memory gives other weights at the end of a period: the memory is no longer than needed."""
    period, horizon = 30, 7
    chosen = combination(combine="online", period_minutes=period)
    memory = chosen.memory_minutes(horizon)
    offset = -(START_MS // MINUTE_MS) % period  # the first minute at which a period begins
    minutes = offset + 8 * period
    closes, said = market(minutes)
    closes = [close + minute * 10.0 for minute, close in enumerate(closes)]
    whole = follow(chosen.tracker(horizon), closes, said)[-1]
    assert (follow(chosen.tracker(horizon), closes, said, minutes - memory)[-1] == whole).all()
    assert (follow(chosen.tracker(horizon), closes, said, minutes - memory + 1)[-1] != whole).any()


def test_only_online_weights_have_a_memory() -> None:
    """Fixed weights and those by volatility need no history."""
    assert combination().memory_minutes(15) == 0
    assert combination(combine="volatility").memory_minutes(15) == 0
    assert combination(combine="online").memory_minutes(15) == 135


def test_a_gap_begins_anew() -> None:
    """After a missing minute the weights are those of a tracker that begins there."""
    closes, said = market(200)
    chosen = combination(combine="online")
    tracker = chosen.tracker(3)
    before = follow(tracker, closes[:100], said)
    assert before[-1].tolist() != [0.75, 0.25]
    np.testing.assert_array_equal(
        follow(tracker, closes, said, 101), follow(chosen.tracker(3), closes, said, 101)
    )


@pytest.mark.parametrize("combine", ["fixed", "volatility", "online"])
def test_json_and_back(combine: str) -> None:
    """What was written is read again, to the last digit."""
    chosen = combination(combine=combine, threshold=0.1 + 0.2)
    assert combination_from_json(chosen.to_json(), ("calm", "wild")) == chosen


def damaged(**changes: Any) -> bytes:
    """The JSON with other values; a key that begins with ``member_`` is of the first member."""
    document = json.loads(combination().to_json())
    for key, value in changes.items():
        place = document["members"][0] if key.startswith("member_") else document
        place[key.removeprefix("member_")] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        combination().to_json()[:-20],
        damaged(members=[]),
        damaged(members=3),
        damaged(members=["calm", "wild"]),
        damaged(surplus=1),
        damaged(member_surplus=1),
        damaged(combine="median"),
        damaged(threshold=float("nan")),
        damaged(threshold="0.001"),
        damaged(rate=0.0),
        damaged(rate=float("nan")),
        damaged(rate=float("inf")),
        damaged(share=1.0),
        damaged(share=-0.1),
        damaged(period_minutes=0),
        damaged(period_minutes=60.5),
        damaged(member_weight=-1.0),
        damaged(member_wild_weight=-0.5),
        damaged(member_weight=float("nan")),
        damaged(member_weight="much"),
        damaged(member_slope=float("inf")),
        damaged(member_slope=10**400),
        damaged(member_intercept=None),
        damaged(member_return_scale=1.5),
        damaged(member_return_scale=-0.1),
        damaged(member_return_scale_error=1.1),
        damaged(member_return_scale_error=float("nan")),
        damaged(member_return_scale_error="x"),
    ],
)
def test_damaged_json_is_refused(content: bytes) -> None:
    """Whatever is not a usable combination is refused as a model, in one sentence."""
    with pytest.raises(ModelError, match=r"ensemble\.json"):
        combination_from_json(content, ("calm", "wild"))


def test_weights_of_nothing_are_refused() -> None:
    """Members whose weights add up to zero share nothing."""
    document = json.loads(combination().to_json())
    for member in document["members"]:
        member["wild_weight"] = 0.0
    with pytest.raises(ModelError, match="cannot be used"):
        combination_from_json(json.dumps(document).encode(), ("calm", "wild"))


def test_members_of_another_passport_are_refused() -> None:
    """Names and their order are the passport's."""
    with pytest.raises(ModelError, match="other members"):
        combination_from_json(combination().to_json(), ("wild", "calm"))
