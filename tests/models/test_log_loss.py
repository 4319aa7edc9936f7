"""The log loss of forecasts."""

from __future__ import annotations

import numpy as np
import pytest

from models.log_loss import log_loss


def test_log_loss_is_bounded_and_ignores_ties() -> None:
    """A certain forecast that is wrong costs a finite loss; a tie costs nothing at all."""
    found = log_loss(np.array([0.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.0]))
    assert found[0] == pytest.approx(-np.log(1e-6))
    assert found[1] == pytest.approx(0.0, abs=1e-5)
    assert np.isnan(found[2])
