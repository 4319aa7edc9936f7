"""The tear sheet that users of quantstats know, made of our daily returns beside those of buy-and-hold."""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from backtests.inputs import BacktestInput
from backtests.metrics import DAYS_A_YEAR
from backtests.report_periods import day_returns
from backtests.results import BacktestResult
from bot.errors import ConfigError, DataError

FILE_NAME = "tearsheet.html"
LEAST_DAYS = 20
"""With fewer days most of its figures are not defined."""

_LOADED = re.compile(r"<link[^>]*https?://[^>]*>", re.IGNORECASE)


def require_quantstats() -> None:
    """Say what to install, before hours are spent on a run.

    Raises:
        ConfigError: quantstats is not installed.
    """
    if importlib.util.find_spec("quantstats") is None:
        raise ConfigError(
            "a tear sheet needs quantstats, which is not installed: pip install 'lstm-scalping-bot[tearsheet]'"
        )


def why_no_tearsheet(result: BacktestResult, data: BacktestInput) -> str | None:
    """Why quantstats can say nothing of a run, which divides by what is not there; None where it can."""
    days, own, _ = day_returns(result, data)
    if len(days) < LEAST_DAYS:
        return f"it needs {LEAST_DAYS} days, and there are {len(days)}"
    return None if own.any() else "the equity never changed"


def write_tearsheet(path: Path, result: BacktestResult, data: BacktestInput, *, title: str) -> None:
    """Write the page; nothing is asked of the network, for the benchmark is our own series.

    Raises:
        ConfigError: quantstats is not installed.
        DataError: ``why_no_tearsheet`` says why.
    """
    require_quantstats()
    why = why_no_tearsheet(result, data)
    if why is not None:
        raise DataError(f"no tear sheet: {why}")
    import pandas as pd

    days, own, held = day_returns(result, data)
    index = pd.DatetimeIndex(days.astype("datetime64[D]").astype("datetime64[ns]"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas and matplotlib, about how quantstats calls them
        import quantstats

        make_page: Any = quantstats.reports.html
        make_page(
            pd.Series(own, index=index, name="account"),
            benchmark=pd.Series(np.asarray(held), index=index, name="buy and hold"),
            title=title,
            output=str(path),
            periods_per_year=DAYS_A_YEAR,
            match_dates=False,
        )
    # The page of quantstats asks a web site for an icon: ours asks nobody for anything.
    path.write_text(_LOADED.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")
