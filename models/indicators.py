"""TA-Lib's functions without pandas.

``import talib`` imports pandas where it is installed, and pandas pyarrow, only to accept their Series as
well: over a second of start-up and 80 MB that a daemon has no use for. Here the compiled extension is
imported alone, with pandas out of its sight, under a stand-in for its package that is taken away afterwards.
A later ``import talib`` in the same process works as usual, Series included; only ``talib.abstract`` will
take no DataFrame.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

_PACKAGE = "talib"


def _extension() -> Any:
    """The compiled module of TA-Lib, ready for use."""
    if _PACKAGE in sys.modules:
        return importlib.import_module(f"{_PACKAGE}._ta_lib")
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("TA-Lib is not installed", name=_PACKAGE)
    stand_in = ModuleType(_PACKAGE)
    stand_in.__path__ = spec.submodule_search_locations
    unseen = [name for name in ("pandas", "polars") if name not in sys.modules]
    sys.modules[_PACKAGE] = stand_in
    # None in this table makes an import fail as if the library were not installed.
    sys.modules.update(dict.fromkeys(unseen))  # type: ignore[arg-type]
    try:
        extension: Any = importlib.import_module(f"{_PACKAGE}._ta_lib")
    finally:
        for name in (_PACKAGE, *unseen):
            del sys.modules[name]
    extension._ta_initialize()  # noqa: SLF001  (what the package's __init__ does)
    return extension


_TA = _extension()
ATR = _TA.ATR
BBANDS = _TA.BBANDS
EMA = _TA.EMA
EXP = _TA.EXP
LN = _TA.LN
MACD = _TA.MACD
MAX = _TA.MAX
MIN = _TA.MIN
MOM = _TA.MOM
ROCP = _TA.ROCP
RSI = _TA.RSI
SMA = _TA.SMA
STDDEV = _TA.STDDEV
