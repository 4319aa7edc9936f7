"""The daemon's watch in a walk-forward: the same words as in a daemon, for what can be known of stored candles."""

from __future__ import annotations

import numpy as np
import pytest

from bot.cli.backtest_walk_watch import NoWatch, watch_over
from bot.core.market import MINUTE_MS
from bot.core.skill_watch import Outcome, WatchRules
from bot.errors import ModelError
from bot.retraining.served_watch import ServedMinute
from tests.tiny_model import write_tiny_model

SYMBOL = "BTC/USDT:USDT"


def minutes(count: int, *, forecasts: int = 1, abstained: int = 0, wrong: bool = False):
    """Minutes of one symbol; with ``wrong``, each tells an outcome that the model was sure of and that came otherwise."""
    rng = np.random.default_rng(2)
    for number in range(count):
        closed = number * MINUTE_MS
        up = bool(rng.random() < 0.5)
        outcome = Outcome(
            SYMBOL, closed - 15 * MINUTE_MS, 15, 0.1 if up else 0.9, 0.5, 0.001 if up else -0.001
        )
        known = [outcome] if wrong and number > 15 else []
        yield ServedMinute(closed, 1, forecasts, abstained, [np.zeros(20, np.float32)], known)


def test_a_model_that_abstains_for_an_hour_ends(tmp_path):
    """Sixty minutes in a row without a forecast, inputs beyond the training, end its trading with the daemon's word."""
    watch = watch_over(write_tiny_model(tmp_path), WatchRules())
    words = [watch.step(minute) for minute in minutes(61, forecasts=0, abstained=1)]
    assert words[58].end is None
    assert words[59].end is not None
    assert words[59].end.startswith("inputs_out_of_range: 60 minutes in a row")


def test_a_model_that_is_surely_wrong_is_cut_and_then_ends(tmp_path):
    """Entries are halved with a reason first; then the log loss, or the slope, ends its trading."""
    watch = watch_over(write_tiny_model(tmp_path), WatchRules())
    words = [watch.step(minute) for minute in minutes(2 * 1440, wrong=True)]
    halved = next(word for word in words if word.size != 1.0)
    assert halved.size == 0.5
    assert halved.reason == "log_loss_doubted"
    ended = next(word for word in words if word.end is not None)
    assert words.index(ended) > words.index(halved)
    assert ended.size == 0.0
    assert (ended.end or "").split(":")[0] in {"log_loss", "calibration_collapse"}


def test_no_rules_are_no_watch(tmp_path):
    """Where the settings turn the watch off nothing is cut and nothing ends."""
    watch = watch_over(tmp_path / "not read", None)
    assert isinstance(watch, NoWatch)
    assert {watch.step(minute) for minute in minutes(100, wrong=True)} == {(1.0, "", None)}


def test_a_damaged_model_is_refused(tmp_path):
    """The watch reads what the model was made from, and believes no altered byte."""
    model = write_tiny_model(tmp_path)
    (model / "scaler.json").write_text("{}")
    with pytest.raises(ModelError, match="altered"):
        watch_over(model, WatchRules())
