"""Who served, as columns of predictions: each minute has the word of its own model, and nobody's minutes have none."""

from __future__ import annotations

import numpy as np

from backtests.inputs import prediction_rows, prediction_values
from bot.core.market import MINUTE_MS
from bot.retraining.served_columns import NAME, served_columns
from bot.retraining.served_succession import Piece
from bot.retraining.served_words import ModelWords, Words

NAMES = ("expected_return", "probability_up", "raw", "uncertainty", "volatility")


def piece(who: str, first: int, last: int, level: float) -> Piece:
    """A stretch whose words reach over both of its ends."""
    ts = np.arange(first - 5, last + 5, dtype=np.int64) * MINUTE_MS
    columns = dict.fromkeys(NAMES, np.full(len(ts), level))
    one = Words(
        ts, columns, ts, np.full(len(ts), np.nan), np.ones(len(ts), bool), np.zeros((0, 1), np.float32)
    )
    return Piece(first * MINUTE_MS, last * MINUTE_MS, ModelWords(who, 15, 0.5, {"A/USDT": one}))


def test_each_minute_is_the_word_of_who_served_then():
    """Ids, horizon and figures change with the model; the minutes between two stretches have no prediction."""
    columns = served_columns([piece("first", 10, 20, 0.1), piece("second", 25, 30, 0.2)], ["A/USDT"])[
        "A/USDT"
    ]
    assert columns.model_id == NAME
    assert columns.horizon_minutes == 15
    assert (columns.ts // MINUTE_MS).tolist() == [*range(10, 20), *range(25, 30)]
    assert columns.expected_return.tolist() == [0.1] * 10 + [0.2] * 5
    rows = prediction_rows(columns, np.array([19, 22, 25]) * MINUTE_MS)
    first, none, second = prediction_values("A/USDT", columns, rows)
    assert none is None
    assert first is not None
    assert second is not None
    assert (first.model_id, second.model_id) == ("first", "second")
    assert columns.value("A/USDT", 14) == second._replace(closed_at_ms=30 * MINUTE_MS)


def test_where_nobody_served_there_are_columns_without_rows():
    """A symbol is never missing: the engine then says why there is no prediction."""
    columns = served_columns([], ["A/USDT", "B/USDT"])
    assert {name: len(one) for name, one in columns.items()} == {"A/USDT": 0, "B/USDT": 0}
    assert prediction_rows(columns["A/USDT"], np.array([0, MINUTE_MS])).tolist() == [-1, -1]
