"""From a table of candles to the scaled sequences that ``LSTMPricePredictor`` learns from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bot.errors import DataError, ModelError
from models.candle_arrays import CandleArrays
from models.feature_sets import MINMAX_CLOSE_COLUMNS
from models.features import MINUTE_MS, check_candles, feature_set
from models.scaling import Scaler, fit_scaler, scaler_from_json
from models.windows import window_ends

Floats = npt.NDArray[np.float64]

CANDLE_COLUMNS = ("open", "high", "low", "close", "volume")
INDICATOR_COLUMNS = ("rsi", "macd", "bollinger_upper", "bollinger_lower")
FEATURES = "minmax-close-v1"


class DataPreprocessor:
    """Adds indicators to candles, scales them to 0 .. 1 and cuts them into sequences.

    A table of candles (``pandas.DataFrame``) has the columns open, high, low, close, volume and either ``ts`` (UTC open
    time, int64 milliseconds) or ``datetime`` (times, or text that pandas reads as times; without a zone they are
    UTC). Its rows are one-minute candles in order of time. Gaps are allowed and never filled: no sequence reaches over
    one. The six features are those of the recipe ``minmax-close``, to the last bit.

    Attributes:
        fit_share: The scaler is fitted on this share of the rows, from the first on.
        scaler: What scales the features; None until ``create_sequences`` has fitted it or ``load_scaler`` has read
            it. From then on it is kept, whatever comes: a model's inputs must all be scaled alike.
    """

    def __init__(self, fit_share: float = 0.7) -> None:
        if not 0.0 < fit_share <= 1.0:
            raise ValueError(f"fit_share must be above 0 and at most 1, not {fit_share!r}")
        self.fit_share = fit_share
        self.scaler: Scaler | None = None

    def add_technical_indicators(self, df: pd.DataFrame) -> pd.DataFrame:
        """A copy with the columns rsi, macd, bollinger_upper and bollinger_lower.

        RSI over 14 minutes (0 to 100), MACD line (12, 26) and Bollinger bands (20, 2 deviations), the last three in
        units of the price. They are NaN for the first minutes of the table and after a gap. The index and the other
        columns stay as they are.

        Raises:
            DataError: A column is missing, times do not rise by whole minutes, or a value is one that no market shows.
        """
        candles = _candles(df)
        matrix = feature_set(FEATURES).compute(candles).matrix
        found = {name: matrix[:, MINMAX_CLOSE_COLUMNS.index(name)] for name in INDICATOR_COLUMNS}
        return df.assign(**found)

    def create_sequences(
        self, df: pd.DataFrame, lookback: int = 60
    ) -> tuple[npt.NDArray[np.float32], Floats, npt.NDArray[np.int64]]:
        """Cut candles into sequences, each with the close of the minute that follows it.

        Columns of ``add_technical_indicators`` that the table already has are used as they stand; where one is
        missing, all four are computed.

        The scaler is fitted on the first ``fit_share`` (70 %) of the rows, unless there is one already. The source
        documents fitted it on all rows, which tells the training data how far prices will go in the test data: such a
        leak makes figures look better than they are. So later rows may lie outside of 0 .. 1, as they would in use.

        Args:
            df: Candles.
            lookback: Minutes in a sequence.

        Returns:
            ``X`` float32 [n, lookback, 6]: close, volume, rsi, macd, bollinger_upper, bollinger_lower, scaled;
            ``y`` float64 [n]: the scaled close of the minute after the sequence; ``indices`` int64 [n]: the position
            of that minute in ``df`` (for ``df.iloc``).

        Raises:
            ValueError: ``lookback`` is not a whole number above 0.
            DataError: The table is malformed, or too short or too broken by gaps for a single sequence.
        """
        if isinstance(lookback, bool) or not isinstance(lookback, (int, np.integer)) or lookback < 1:
            raise ValueError(f"lookback must be a whole number of minutes above 0, not {lookback!r}")
        candles = _candles(df)
        rows = self._rows(df, candles)
        known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(rows).all(axis=1))
        # A run of lookback + 1 minutes is a sequence and the minute that it is to foretell.
        indices = window_ends(candles.ts, known, int(lookback) + 1)
        if not len(indices):
            raise DataError(
                f"no sequence of {lookback} minutes: {len(df)} rows hold no {lookback + 1} one-minute candles in a row "
                "after the 33 that the indicators need"
            )
        scaler = self._scaler_for(rows, known)
        # scaled first, cut afterwards: each row is in as many sequences as a sequence has rows
        runs = np.lib.stride_tricks.sliding_window_view(scaler.transform_table(rows), lookback, axis=0)
        sequences = np.ascontiguousarray(runs[indices - lookback].transpose(0, 2, 1))
        return sequences, scaler.forward("close", candles.close[indices]), indices

    def save_scaler(self, path: str | Path = "models/scaler.json") -> None:
        """Write the scaler as JSON, creating the folder; what ``load_scaler`` reads.

        Raises:
            ValueError: There is no scaler yet, or the path asks for a pickle.
            OSError: The file cannot be written.
        """
        if self.scaler is None:
            raise ValueError("there is no scaler yet: call create_sequences() or load_scaler() first")
        path = _json_path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.scaler.to_json())

    def load_scaler(self, path: str | Path = "models/scaler.json") -> None:
        """Read a scaler of ``save_scaler``, or the scaler.json of a ``minmax-close`` artifact, and use it from now on.

        Raises:
            ValueError: The path names a pickle: loading one can run any code that is in it.
            OSError: The file cannot be read.
            ModelError: The file is not a scaler, or one of other features.
        """
        path = _json_path(path)
        scaler = scaler_from_json(path.read_bytes())
        if scaler.kind != "minmax" or scaler.columns != MINMAX_CLOSE_COLUMNS:
            raise ModelError(
                f"{path} is a {scaler.kind} scaler of {', '.join(scaler.columns)}; "
                f"here a minmax scaler of {', '.join(MINMAX_CLOSE_COLUMNS)} is needed"
            )
        self.scaler = scaler

    def _rows(self, df: pd.DataFrame, candles: CandleArrays) -> Floats:
        """The six features of each row, not scaled; float64 [len(df), 6]."""
        table = df if set(INDICATOR_COLUMNS) <= set(df.columns) else self.add_technical_indicators(df)
        columns = [candles.close, candles.volume, *(_numbers(table, name) for name in INDICATOR_COLUMNS)]
        return np.stack(columns, axis=1)

    def _scaler_for(self, rows: Floats, known: npt.NDArray[np.bool_]) -> Scaler:
        """The scaler that is there, or one fitted on the first share of the rows."""
        if self.scaler is None:
            first = max(1, int(len(rows) * self.fit_share))
            if not known[:first].any():
                raise DataError(
                    f"the first {first} rows, on which the scaler is fitted, hold no row with all indicators"
                )
            self.scaler = fit_scaler("minmax", MINMAX_CLOSE_COLUMNS, rows[:first][known[:first]])
        return self.scaler


def _candles(df: pd.DataFrame) -> CandleArrays:
    """The table as arrays, checked."""
    missing = [name for name in CANDLE_COLUMNS if name not in df.columns]
    if missing:
        raise DataError(f"the table has no column {missing[0]} (it has {', '.join(map(str, df.columns))})")
    if not len(df):
        raise DataError("the table has no rows")
    candles = CandleArrays(_open_times(df), *(_numbers(df, name) for name in CANDLE_COLUMNS))
    check_candles(candles)
    return candles


def _numbers(df: pd.DataFrame, name: str) -> Floats:
    """A column as float64."""
    try:
        return np.ascontiguousarray(df[name].to_numpy(dtype=np.float64, na_value=np.nan))
    except (ValueError, TypeError) as fault:
        raise DataError(f"column {name} holds something that is not a number: {fault}") from fault


def _open_times(df: pd.DataFrame) -> npt.NDArray[np.int64]:
    """UTC open times in milliseconds."""
    if "ts" in df.columns:
        if not pd.api.types.is_integer_dtype(df["ts"]):
            raise DataError("column ts must hold whole milliseconds since 1970, UTC")
        return df["ts"].to_numpy(dtype=np.int64)
    if "datetime" not in df.columns:
        raise DataError("the table has neither a column ts nor a column datetime")
    if pd.api.types.is_numeric_dtype(df["datetime"]):
        raise DataError("column datetime holds numbers; milliseconds since 1970 belong in a column ts")
    try:
        times: Any = pd.to_datetime(df["datetime"], utc=True)
    except (ValueError, TypeError) as fault:
        raise DataError(f"column datetime holds something that is not a time: {fault}") from fault
    if times.isna().any():
        raise DataError(f"column datetime has no time in row {int(times.isna().to_numpy().argmax())}")
    stamps: npt.NDArray[np.int64] = (
        times.dt.tz_convert(None).to_numpy(dtype="datetime64[us]").astype(np.int64)
    )
    if (stamps % (MINUTE_MS * 1000)).any():
        row = int((stamps % (MINUTE_MS * 1000) != 0).argmax())
        raise DataError(f"column datetime must hold whole minutes; row {row} does not")
    return stamps // 1000


def _json_path(path: str | Path) -> Path:
    """The path, unless it is one of a pickle."""
    path = Path(path)
    if path.suffix.lower() in {".pkl", ".pickle", ".joblib"}:
        raise ValueError(
            f"{path} names a pickle, and loading one can run any code that is in it: "
            f"give {path.with_suffix('.json')}, as save_scaler() writes it"
        )
    return path
