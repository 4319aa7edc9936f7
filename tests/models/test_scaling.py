"""Scalers against scikit-learn's, and on disk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ModelError
from models.scaling import Scaler, fit_scaler, scaler_from_json

COLUMNS = ("close", "volume", "constant")


def rows(seed: int, count: int = 500) -> np.ndarray:
    """Columns of very different size, one without spread."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(30_000, 500, count), rng.lognormal(1, 2, count), np.full(count, 7.1)])


@pytest.mark.training
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_both_kinds_equal_scikit_learn(seed: int) -> None:
    """Fitted on the same rows, transform and inverse equal scikit-learn's."""
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    train, fresh = rows(seed), rows(seed + 1)
    for kind, reference in (("standard", StandardScaler()), ("minmax", MinMaxScaler())):
        ours = fit_scaler(kind, COLUMNS, train)
        theirs = reference.fit(train).transform(fresh)
        np.testing.assert_allclose(ours.transform(fresh), theirs.astype(np.float32), rtol=1e-6, atol=1e-6)
        back = ours.inverse("close", theirs[:, 0])
        np.testing.assert_allclose(back, fresh[:, 0], rtol=1e-12)
        np.testing.assert_allclose(ours.forward("close", fresh[:, 0]), theirs[:, 0], rtol=1e-9, atol=1e-9)


def test_a_table_is_scaled_as_its_rows_are() -> None:
    """The piecewise transform of a long table equals the transform of each row alone, to the bit."""
    scaler = fit_scaler("standard", COLUMNS, rows(1), clip=2.0)
    table = rows(2, count=70_000)
    scaled = scaler.transform_table(table)
    assert scaled.dtype == np.float32
    for index in (0, 65_535, 65_536, 69_999):
        np.testing.assert_array_equal(scaled[index], scaler.transform(table[index]))
    assert np.abs(scaled).max() == 2.0


def test_rows_beyond_what_was_seen_are_counted() -> None:
    """A row counts once if any value lies beyond the minimum or maximum of the fit."""
    scaler = fit_scaler("minmax", ("a", "b"), np.array([[0.0, 0.0], [1.0, 1.0]]))
    found = scaler.outside(np.array([[0.5, 0.5], [1.0, 0.0], [1.1, 0.5], [-1.0, 2.0]]))
    assert found.tolist() == [0, 0, 1, 2]


def test_json_keeps_every_bit() -> None:
    """A scaler read back is the same to the bit and has the same digest."""
    scaler = fit_scaler("standard", COLUMNS, rows(3), clip=8.0)
    again = scaler_from_json(scaler.to_json())
    assert again.digest() == scaler.digest()
    np.testing.assert_array_equal(again.transform(rows(4)), scaler.transform(rows(4)))


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"not json",
        b"[]",
        fit_scaler("standard", COLUMNS, rows(1)).to_json().replace(b'"standard"', b'"robust"'),
        Scaler("minmax", ("a",), np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)).to_json(),
        Scaler("minmax", ("a", "b"), np.zeros(2), np.ones(2), np.zeros(2), np.zeros(1)).to_json(),
    ],
)
def test_a_document_that_is_no_scaler_is_refused(content: bytes) -> None:
    """Missing fields, unknown kinds, zero scales and wrong lengths raise a ModelError."""
    with pytest.raises(ModelError, match=r"scaler\.json"):
        scaler_from_json(content)


@pytest.mark.parametrize("table", [np.empty((0, 3)), np.full((5, 3), np.nan)])
def test_nothing_is_fitted_on_nothing(table: np.ndarray) -> None:
    """No rows, or rows with NaN, fit no scaler."""
    with pytest.raises(ModelError):
        fit_scaler("standard", COLUMNS, table)
