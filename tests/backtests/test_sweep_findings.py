"""A planted overfit is told as no edge, a planted edge is found, and little data are told as little."""

from __future__ import annotations

import json

import numpy as np
import pytest

from backtests.sweep_findings import find, rank_share, walk_figures
from backtests.sweep_folds import Rule
from models.overfitting import probability_of_overfitting
from models.sharpe import deflated_sharpe
from tests.sweep_tables import table_of

RULE = Rule(objective="sharpe", least_trades=20, lookback_minutes=60, horizon_minutes=15)


def found(returns, *, others=0, **told):
    """Findings of some days by points, each fold free to choose any point."""
    table = table_of(returns, **told)
    every = list(range(len(table)))
    return find(table, RULE, [every] * (len(table.blocks) - 1), every, others=others)


def noise(seed: int, days: int = 180, points: int = 60, mean: float = 0.0) -> np.ndarray:
    """Points that know nothing: independent days, 1 % of deviation."""
    return np.random.default_rng(seed).normal(mean, 0.01, size=(days, points))


def test_sixty_points_of_noise_are_no_edge():
    """On eight markets of noise the best of 60 looks good in sample, and none is called an edge.

    The probability of overfitting is near one half, and the deflated Sharpe ratio of the winner low.
    """
    every = [found(noise(seed)) for seed in range(8)]
    assert all(one.verdict == "no_edge" for one in every)
    assert all("nothing" in one.sentence or "no edge" in one.sentence for one in every)
    overfitting = [one.overfitting for one in every]
    assert 0.35 < np.mean(overfitting) < 0.65
    assert all(0.1 < share < 0.9 for share in overfitting)
    assert np.median([one.winner_confidence for one in every]) < 0.7
    assert all(one.winner_confidence < 0.95 for one in every)
    # Undeflated it would have been believed: that is what the trials are for.
    best = [one.table.returns[:, one.winner] for one in every]
    assert np.median([deflated_sharpe(returns, trial_count=1) for returns in best]) > 0.95


def test_a_planted_edge_is_found():
    """One point of 60 with an edge of a quarter deviation a day is chosen in every fold and called an edge."""
    returns = noise(3)
    returns[:, 17] += 0.004
    one = found(returns)
    assert one.verdict == "edge"
    assert [fold.chosen for fold in one.walk.folds].count(17) >= 4
    assert one.winner == 17
    assert one.winner_confidence > 0.95
    assert one.walk_confidence > 0.95
    assert one.overfitting < 0.1
    assert one.expectancy.low > 0
    assert one.sentence.startswith("chosen in-sample, the parameters earned ")
    assert "worth a look on candles that no choice has seen" in one.sentence


def test_many_trials_before_take_an_edge_away():
    """What else was tried on these minutes counts against the out-of-sample part too."""
    returns = noise(3)
    returns[:, 17] += 0.002
    alone, after = found(returns), found(returns, others=5000)
    assert alone.walk_confidence > after.walk_confidence
    assert alone.winner_confidence > after.winner_confidence
    assert (after.trials, after.others) == (5060, 5000)
    assert after.verdict == "no_edge"


def test_costs_are_told_as_a_loss():
    """Points that all lose end with the plain sentence."""
    one = found(noise(1, mean=-0.005))
    assert one.verdict == "no_edge"
    assert one.sentence.startswith("chosen in-sample, the parameters lost ")
    assert one.sentence.endswith("bps a trade out of sample: nothing here to trade on")


def test_little_is_called_little():
    """Few trades, few days, no trade, and no choice at all are not enough data, each in its words."""
    gains = np.full((12, 3), 0.01) + noise(1, 12, 3) / 10
    assert "days: too few" in found(gains).sentence
    table = table_of(np.abs(noise(2, 60, 2)), trades=1)
    rare = find(table, Rule("return", 1, 60, 15), [[0, 1]] * 5, [0, 1])
    assert rare.verdict in {"edge", "not_enough_data"}
    few = find(table_of(np.abs(noise(2, 18, 2)), trades=1), Rule("return", 1, 60, 15), [[0, 1]] * 5, [0, 1])
    assert few.verdict == "not_enough_data"
    assert "15 trades: too few" in few.sentence
    none = found(noise(1, 60, 3), trades=0)
    assert (none.verdict, none.winner, none.walk_confidence) == ("not_enough_data", None, None)
    assert "no parameters traded enough" in none.sentence
    assert none.as_json()["winner"] is None


def test_figures_are_those_of_the_modules_that_know_them():
    """PBO and deflated Sharpe ratio come out of the very arrays; the winner is the best over all days."""
    returns = noise(11, 60, 7)
    one = found(returns, others=3)
    whole = one.table.summed(one.table.everywhere())
    assert one.overfitting == probability_of_overfitting(returns)
    assert one.winner == int(np.argmax(whole.sharpe))
    assert one.winner_confidence == deflated_sharpe(
        returns[:, one.winner], trial_count=10, trial_sharpes=whole.sharpe
    )
    assert one.walk_confidence == deflated_sharpe(one.walk.returns, trial_count=4)
    figures = walk_figures(one.walk)
    assert figures["return"] == pytest.approx(np.prod(1 + one.walk.returns) - 1)
    assert figures["sharpe_yearly"] == pytest.approx(figures["sharpe"] * 365**0.5)
    # Ten days of a fold are too few for a ratio of a year; those of a day stay for who computes with them.
    assert [fold["out_of_sample"]["sharpe_yearly"] for fold in one.as_json()["folds"]] == [None] * 5


def test_the_document_is_json_and_names_every_fold():
    """Strict JSON, with what each fold chose and what came of it in and out of sample."""
    document = json.loads(json.dumps(found(noise(5, 60, 9)).as_json(), allow_nan=False))
    assert [fold["number"] for fold in document["folds"]] == [1, 2, 3, 4, 5]
    assert all(fold["in_sample"]["days"] + 1 == 10 * fold["number"] for fold in document["folds"])
    assert all(fold["out_of_sample"]["days"] == 10 for fold in document["folds"])
    assert (
        sum(fold["out_of_sample"]["trades"] for fold in document["folds"])
        == document["out_of_sample"]["trades"]
    )


def test_rank_share_says_how_many_were_beaten():
    """The chosen point's place among the others out of sample: all beaten is 1, ties count half."""
    returns = noise(5, 60, 3)
    returns[:, 0] += 0.05
    folds = found(returns).walk.folds
    assert [rank_share(fold) for fold in folds] == [1.0] * 5
    same = found(np.repeat(noise(5, 60, 1), 3, axis=1)).walk.folds
    assert [rank_share(fold) for fold in same] == [0.5] * 5
