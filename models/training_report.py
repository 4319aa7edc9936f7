"""What a training run says of its model: its forecasts on the test slice, and how good they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.assessment import Terms, assess, forecasts_at, seed_figures
from models.dataset import Dataset
from models.forecaster import Forecaster, expected_volatility
from models.predictions_table import about_model, parquet_bytes, predictions_table
from models.range_report import range_report
from models.rivals import Rivals
from models.seed_spread import seed_spread


def tested(
    forecaster: Forecaster,
    by_seed: Mapping[int, Forecaster],
    rivals: Rivals,
    data: Dataset,
    terms: Terms,
) -> tuple[bytes, dict[str, Any]]:
    """What the model says on the test slice, as Parquet, and the report on it.

    Args:
        forecaster: The model.
        by_seed: Where it is the mean of several seeds, each by itself.
        rivals: The fitted baselines.
        data: Rows and slices.
        terms: Costs, and the trials that the verdict is deflated by.

    Raises:
        DataError: The test slice holds no window with a known future.
    """
    rows = data.rows
    ends = rows.ends_within(data.slices.test)
    said = forecasts_at(forecaster, rows, ends)
    counts = np.bincount(rows.symbol[ends], minlength=len(rows.symbols)).tolist()
    table = predictions_table(
        rows.ts[ends],
        said.expected_return,
        said.probability_up,
        dict(zip(rows.symbols, counts, strict=True)),
        about_model(forecaster.passport.model_id, forecaster.passport.horizon_minutes),
        uncertainty=said.uncertainty,
        volatility=expected_volatility(forecaster, said, rows.close, rows.ts, ends),
    )
    report = assess(forecaster, rivals, rows, ends, said, terms) | range_report(forecaster, data, said)
    if forecaster.combination is None:
        fitted = forecaster.calibration
        report["calibration"] = {
            "slope": fitted.slope,
            "return_scale": fitted.return_scale,
            "return_scale_error": fitted.return_scale_error,
            "samples": fitted.samples,
        }
    if by_seed:
        singles = {seed: seed_figures(one, rivals, rows, ends) for seed, one in by_seed.items()}
        report["seeds"] = seed_spread(
            {seed: {"forecasts": {"model": figures}} for seed, figures in singles.items()}
        )
    return parquet_bytes(table), report
