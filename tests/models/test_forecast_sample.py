"""The moments that are measured on, and the forecasters that need no fitting."""

from __future__ import annotations

import numpy as np

from models.forecast_sample import Sample, unfitted_forecasts


def test_what_needs_no_fitting() -> None:
    """Persistence says one half and no direction, the base rate itself, and the last sign no probability."""
    last = np.array([1e-4, -1e-4, np.nan])
    sample = Sample(np.arange(3), np.zeros(3, np.int16), np.ones(3), np.zeros(3), last, 15)
    persistence, base, sign = unfitted_forecasts(sample, 0.52)
    assert persistence.probability is not None
    assert base.probability is not None
    assert not persistence.direction.any()
    assert (persistence.probability == 0.5).all()
    assert (base.probability == 0.52).all()
    assert (base.direction > 0).all()
    assert base.expected is None
    assert sign.probability is None
    np.testing.assert_array_equal(sign.direction, last)
