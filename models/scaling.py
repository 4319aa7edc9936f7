"""Scaling of feature columns: fitted on training rows only, kept as JSON, plain numpy.

Every kind is ``(x - offset) / scale`` a column: ``standard`` with mean and standard deviation, ``minmax`` with
minimum and range (to 0..1), ``robust`` with median and interquartile range after values beyond Tukey's fences
(1.5 interquartile ranges outside of the quartiles; J. W. Tukey, Exploratory Data Analysis, 1977) were drawn to
them. They equal scikit-learn's StandardScaler, MinMaxScaler and RobustScaler. ``rolling`` scales as ``standard``
does, and the network itself then standardizes each window by the window's own mean and deviation: what it sees is
relative to the last ``window`` minutes, and to nothing later.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError

Floats = npt.NDArray[np.float64]

KINDS = ("standard", "minmax", "robust", "rolling")
FENCE = 1.5
"""Interquartile ranges beyond the quartiles where winsorization begins."""
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """A fitted scaler.

    Attributes:
        kind: One of ``KINDS``.
        columns: Names of the columns, in order.
        offset: float64 [f]; so are scale, low and high.
        low: Smallest value of each column in the rows it was fitted on; high the largest.
        clip: Scaled values beyond ±clip are cut there; None cuts nothing.
        fences: float64 [2, f], the least and the greatest value before scaling; None has none.
    """

    kind: str
    columns: tuple[str, ...]
    offset: Floats
    scale: Floats
    low: Floats
    high: Floats
    clip: float | None = None
    fences: Floats | None = None

    def transform(self, rows: Floats) -> npt.NDArray[np.float32]:
        """Scale rows [..., f] in float64 and give them as float32."""
        if self.fences is not None:
            rows = np.minimum(np.maximum(rows, self.fences[0]), self.fences[1])
        scaled = (rows - self.offset) / self.scale
        if self.clip is not None:
            scaled = np.minimum(np.maximum(scaled, -self.clip), self.clip)
        return scaled.astype(np.float32)

    def transform_table(self, rows: Floats) -> npt.NDArray[np.float32]:
        """Scale a long table [n, f] piece by piece, so that no second float64 copy of it exists."""
        out = np.empty(rows.shape, np.float32)
        for start in range(0, len(rows), _CHUNK):
            out[start : start + _CHUNK] = self.transform(rows[start : start + _CHUNK])
        return out

    def inverse(self, column: str, scaled: Floats) -> Floats:
        """Take scaled values of one column back to its own units."""
        index = self.columns.index(column)
        back: Floats = scaled * self.scale[index] + self.offset[index]
        return back

    def forward(self, column: str, values: Floats) -> Floats:
        """Scale values of one column, without a clip."""
        index = self.columns.index(column)
        scaled: Floats = (values - self.offset[index]) / self.scale[index]
        return scaled

    def beyond(self, rows: Floats) -> npt.NDArray[np.bool_]:
        """Which values of rows [..., f] lie beyond what was seen in training; one that is not a number does not."""
        found: npt.NDArray[np.bool_] = (rows < self.low) | (rows > self.high)
        return found

    def outside(self, rows: Floats) -> npt.NDArray[np.int64]:
        """How many values of each row [n, f] lie beyond what was seen in training, int64 [n]."""
        counted: npt.NDArray[np.int64] = np.sum(self.beyond(rows), axis=-1, dtype=np.int64)
        return counted

    def to_json(self) -> bytes:
        """Canonical JSON: sorted keys, every float in its shortest exact form."""
        document = {
            "kind": self.kind,
            "columns": list(self.columns),
            "offset": self.offset.tolist(),
            "scale": self.scale.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "clip": self.clip,
            "fences": None if self.fences is None else self.fences.tolist(),
        }
        return json.dumps(document, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"

    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).hexdigest()


def fit_scaler(kind: str, columns: tuple[str, ...], rows: Floats, *, clip: float | None = None) -> Scaler:
    """Fit a scaler on rows [n, f]; a column without spread gets scale 1.

    Raises:
        ModelError: No rows, a value that is not finite, or an unknown kind.
    """
    if not len(rows) or not np.isfinite(rows).all():
        raise ModelError("a scaler needs at least one row, and finite values only")
    low, high = rows.min(axis=0), rows.max(axis=0)
    fences = None
    if kind in ("standard", "rolling"):
        offset, scale = rows.mean(axis=0), rows.std(axis=0)
    elif kind == "minmax":
        offset, scale = low, high - low
    elif kind == "robust":
        quarter, offset, three = np.percentile(rows, [25.0, 50.0, 75.0], axis=0)
        scale = three - quarter
        fences = np.stack([quarter - FENCE * scale, three + FENCE * scale])
        # A column that is mostly one value has no spread between its quartiles: fences would erase it.
        fences[:, scale == 0.0] = np.stack([low, high])[:, scale == 0.0]
        scale = np.where(scale == 0.0, rows.std(axis=0), scale)
    else:
        raise ModelError(f"the scaler {kind!r} is not known (known: {', '.join(KINDS)})")
    # A constant column's computed deviation is rounding noise of its mean, not spread.
    return Scaler(kind, columns, offset, np.where(low == high, 1.0, scale), low, high, clip, fences)


def scaler_from_json(content: bytes) -> Scaler:
    """Read what ``Scaler.to_json`` wrote.

    Raises:
        ModelError: The document is not a scaler, or holds a number that cannot be used.
    """
    try:
        document: dict[str, Any] = json.loads(content)
        columns = tuple(str(name) for name in document["columns"])
        vectors = {
            key: np.array(document[key], dtype=np.float64) for key in ("offset", "scale", "low", "high")
        }
        clip = None if document["clip"] is None else float(document["clip"])
        fences = None if document["fences"] is None else np.array(document["fences"], dtype=np.float64)
        scaler = Scaler(str(document["kind"]), columns, clip=clip, fences=fences, **vectors)
    except (ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"scaler.json is not a scaler: {fault}") from fault
    wide = (len(columns),)
    pairs = [*vectors.values(), *([] if fences is None else fences if fences.ndim == 2 else [fences])]
    if any(vector.shape != wide or not np.isfinite(vector).all() for vector in pairs):
        raise ModelError("scaler.json holds a vector of the wrong length or a number that is not finite")
    if scaler.kind not in KINDS or (scaler.scale <= 0.0).any():
        raise ModelError("scaler.json holds an unknown kind or a scale that is not positive")
    if (scaler.kind == "robust") != (fences is not None) or (fences is not None and len(fences) != 2):
        raise ModelError("scaler.json holds fences that its kind does not have, or lacks them")
    return scaler
