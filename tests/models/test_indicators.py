"""TA-Lib without pandas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(program: str) -> str:
    """The standard output of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_pandas_is_not_imported() -> None:
    """Importing the indicators imports neither pandas nor pyarrow, and hides them from nobody."""
    assert run(
        "import sys, models.indicators\n"
        "print(sorted({'pandas', 'pyarrow', 'polars', 'talib'} & set(sys.modules)))\n"
        "import pandas\n"
        "print(pandas.Series([1]).sum())"
    ).split("\n") == ["[]", "1"]


def test_the_package_works_afterwards_and_before() -> None:
    """Whichever is imported first, the indicators and TA-Lib itself give the same numbers, Series included."""
    for order in ("import models.indicators as ta, talib", "import talib, models.indicators as ta"):
        assert (
            run(
                f"{order}\n"
                "import numpy as np, pandas as pd\n"
                "x = np.sin(np.arange(100.0)) + 2\n"
                "print((ta.RSI(x, 14)[20:] == talib.RSI(x, 14)[20:]).all(), talib.RSI(pd.Series(x), 14).iloc[-1] == ta.RSI(x, 14)[-1])"
            )
            == "True True"
        )
