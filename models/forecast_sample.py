"""What a report is made from: moments with known outcomes, and what forecasters said at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Out-of-sample moments with known outcomes, in order of symbol and time; arrays of length n.

    Attributes:
        ts: int64, open time of the last candle of the window, ms.
        symbol: int16, number of the symbol.
        close: Last close.
        realized: Log return over the horizon that came.
        last_return: Log return of the last minute; NaN after a gap.
        horizon: Minutes.
        fill: Open of the next minute, at which an order would be filled, NaN where it is not there; None where no
            money is to be measured.
    """

    ts: npt.NDArray[np.int64]
    symbol: npt.NDArray[np.int16]
    close: Floats
    realized: Floats
    last_return: Floats
    horizon: int
    fill: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What one forecaster said at each moment of a sample.

    Attributes:
        name: For the table.
        direction: Signed: its sign is the direction forecast; 0 or NaN is none.
        expected: Expected log returns, or None for a forecaster of directions only.
        probability: P(up), or None.
        uncertainty: Standard deviation of ``expected``, NaN where not known; None where nobody measured it.
    """

    name: str
    direction: Floats
    expected: Floats | None = None
    probability: Floats | None = None
    uncertainty: Floats | None = None


def unfitted_forecasts(sample: Sample, base_rate: float) -> list[Forecast]:
    """Persistence, the base rate of the training data, and the last return's sign."""
    size = len(sample.ts)
    zero = np.zeros(size)
    return [
        # A price that is expected to stay is as likely to rise as to fall.
        Forecast("persistence", zero, expected=zero, probability=np.full(size, 0.5)),
        Forecast("base_rate", np.full(size, base_rate - 0.5), probability=np.full(size, base_rate)),
        Forecast("last_return_sign", sample.last_return),
    ]
