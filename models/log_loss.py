"""The log loss of a forecast, moment by moment: what every gain in a report is made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_PROBABILITY = 1e-6
"""Probabilities are kept this far from 0 and 1: a certain forecast that is wrong costs a finite loss."""


def log_loss(probability: Floats, realized: Floats) -> Floats:
    """-log of the probability given to what came, nats; NaN for ties."""
    bounded = np.clip(probability, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    loss = -np.log(np.where(realized > 0.0, bounded, 1.0 - bounded))
    return np.where(realized == 0.0, np.nan, loss)
