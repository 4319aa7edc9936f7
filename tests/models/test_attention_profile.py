"""Attention over the window, of a model whose attention is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bot.errors import DataError, ModelError
from models.attention_profile import profile_attention
from models.inspection_sample import read_sample
from models.windows import gather
from tests.inspected_model import attentive_model
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model

CANDLES = {"BTC/USDT": random_candles(900, seed=1)}


def test_weights_are_those_of_the_graph(tmp_path: Path) -> None:
    """Mean, quartiles and the moment are those of the softmax that the graph computes; each row adds up to 1."""
    sample = read_sample(attentive_model(tmp_path), CANDLES)
    ends, moment = sample.ends[::7], int(sample.ends[-1])
    profile = profile_attention(sample.forecaster, sample.rows, ends, moment)
    scores = gather(sample.rows.scaled, ends, 60)[:, :, 0].astype(np.float64)
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(profile.mean, weights.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(profile.median, np.median(weights, axis=0), atol=1e-6)
    np.testing.assert_allclose(profile.high_quartile, np.quantile(weights, 0.75, axis=0), atol=1e-6)
    entropy = -(weights * np.log(weights)).sum(axis=1)
    assert profile.effective_steps == pytest.approx(np.exp(entropy).mean(), rel=1e-5)
    assert profile.mean.sum() == pytest.approx(1.0, abs=1e-5)
    assert profile.moment.sum() == pytest.approx(1.0, abs=1e-5)
    assert (profile.low_quartile <= profile.median).all()
    assert profile.windows == len(ends)
    assert profile.moment_ms == int(sample.rows.ts[moment])


def test_steps_are_minutes_before_the_newest(tmp_path: Path) -> None:
    """The last step is minute 0; the top steps come with the greatest weight first; JSON says what it is not."""
    sample = read_sample(attentive_model(tmp_path), CANDLES)
    profile = profile_attention(sample.forecaster, sample.rows, sample.ends, int(sample.ends[0]))
    assert profile.minutes.tolist() == list(range(-59, 1))
    top = profile.top(5)
    assert profile.mean[top[0]] == profile.mean.max()
    assert sorted(profile.mean[top], reverse=True) == profile.mean[top].tolist()
    document = profile.as_json()
    assert document["label"] == "attention, not attribution"
    assert [step["minutes"] for step in document["steps"]] == list(range(-59, 1))
    assert sum(step["mean"] for step in document["steps"]) == pytest.approx(1.0, abs=1e-5)


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    """No attention, attention that does not add up to 1, and no windows are each one sentence."""
    plain = read_sample(write_tiny_model(tmp_path / "plain"), CANDLES)
    with pytest.raises(ModelError, match="has no attention"):
        profile_attention(plain.forecaster, plain.rows, plain.ends, int(plain.ends[0]))
    spoilt = read_sample(attentive_model(tmp_path / "spoilt", spoilt=True), CANDLES)
    with pytest.raises(ModelError, match="do not add up to 1"):
        profile_attention(spoilt.forecaster, spoilt.rows, spoilt.ends, int(spoilt.ends[0]))
    with pytest.raises(DataError, match="no window"):
        profile_attention(plain.forecaster, plain.rows, plain.ends[:0], int(plain.ends[0]))
