"""Hashes of what a model is made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.hashing import canonical_json, code_digest, data_digest
from tests.random_candles import random_candles


def test_data_digest_depends_on_every_value_and_on_no_order() -> None:
    """The order of symbols does not matter; a symbol's name, one value or one minute does."""
    a, b = random_candles(10, seed=1), random_candles(10, seed=2)
    plain = data_digest({"A": a, "B": b})
    assert data_digest({"B": b, "A": a}) == plain
    others = {data_digest({"A": b, "B": a}), data_digest({"A": a}), data_digest({"A": a.rows(0, 9), "B": b})}
    for name in ("ts", "open", "high", "low", "close", "volume"):
        column = getattr(a, name).copy()
        column[5] = np.nextafter(column[5], 1e9) if name != "ts" else column[5] + 1
        others.add(data_digest({"A": dataclasses.replace(a, **{name: column}), "B": b}))
    assert len(others) == 9
    assert plain not in others


def test_json_has_one_way_to_be_written() -> None:
    """Key order does not matter, floats keep every bit, NaN is refused."""
    assert canonical_json({"b": 0.1 + 0.2, "a": 1}) == canonical_json({"a": 1, "b": 0.30000000000000004})
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})


def test_code_digest_is_a_stable_sha256() -> None:
    """The digest of the sources is the same at each call."""
    assert code_digest() == code_digest()
    assert len(code_digest()) == 64
