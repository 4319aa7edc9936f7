"""A verified artifact, ready to forecast: windows of feature rows in, expected returns out. No TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from bot.errors import ModelError
from models.calibration import Calibration, calibration_from_json
from models.candle_arrays import CandleArrays
from models.combination import FILE_NAME as COMBINATION_FILE
from models.combination import Combination, combination_from_json
from models.conformal import FILE_NAME as CONFORMAL_FILE
from models.conformal import ConformalInterval, conformal_from_json
from models.features import FeatureTable
from models.graph_weights import damaged_weight
from models.passport import FILE_NAME as PASSPORT_FILE
from models.passport import ModelPassport
from models.registry import read_verified
from models.scaling import Scaler, scaler_from_json
from models.targets import ReturnAndVolatility, Target, make_target
from models.volatility import FILE_NAME as VOLATILITY_FILE
from models.volatility import VolatilityModel, volatility_from_json
from models.windows import batches, gather, window_ends

Floats = npt.NDArray[np.float64]


MOST_OUTSIDE = 0.01
"""Share of a window's values beyond what was seen in training above which no forecast is given."""


class Forecasts(NamedTuple):
    """Forecasts of k windows, not rounded.

    Attributes:
        expected_return: float64 [k], log return over the horizon, as a fraction.
        probability_up: float64 [k].
        raw: float64 [k], the column of the model's own output that is traded on; an ensemble's mean of them.
        uncertainty: float64 [k], standard deviation of ``expected_return``, as a fraction: what is known of how much
            of such forecasts to believe. It is no forecast of how far the price moves. NaN where not known.
        volatility: float64 [k], standard deviation of the return over the horizon, where the network itself says one and
            that is to be used; NaN else.
    """

    expected_return: Floats
    probability_up: Floats
    raw: Floats
    uncertainty: Floats
    volatility: Floats


class Forecaster:
    """A model with its scaler and calibration.

    Attributes:
        passport: What it is made of.
        scaler: Its scaler.
        target: The way from its output to a return.
        combination: How an ensemble's members are put together; None for a single model.
        volatility: What forecasts how far the price moves; None in artifacts of older versions.
        interval: What says how far a return may be off; None likewise.
        has_attention: Whether the graph gives attention weights too.
    """

    def __init__(
        self,
        passport: ModelPassport,
        scaler: Scaler,
        calibration: Calibration,
        session: onnxruntime.InferenceSession,
        combination: Combination | None = None,
        volatility: VolatilityModel | None = None,
        interval: ConformalInterval | None = None,
    ) -> None:
        self.passport = passport
        self.scaler = scaler
        self.calibration = calibration
        self.combination = combination
        self.volatility = volatility
        self.interval = interval
        self.features = passport.feature_set()
        self.target: Target = make_target(passport.target, passport.horizon_minutes, passport.target_options)
        self._session = session
        self._input: str = session.get_inputs()[0].name
        self._outputs: list[str] = [output.name for output in session.get_outputs()]
        self.has_attention = len(self._outputs) > 1

    @property
    def history_minutes(self) -> int:
        """Trailing candles that make the newest forecast what it would be after any longer history."""
        memory = self.combination.memory_minutes(self.target.horizon) if self.combination is not None else 0
        return self.features.history_minutes(self.passport.window) + memory

    @property
    def most_outside(self) -> int:
        """More values of a window than this beyond the range of training: no forecast is given."""
        return int(MOST_OUTSIDE * self.passport.window * len(self.passport.columns))

    def infer(self, windows: npt.NDArray[np.float32]) -> Floats:
        """The model's outputs for scaled windows float32 [k, window, f], float64 [k, columns].

        Raises:
            ModelError: The graph failed on them.
        """
        try:
            outputs: Any = self._session.run(self._outputs[:1], {self._input: windows})[0]
        except Exception as fault:  # onnxruntime's errors have no base of their own
            raise ModelError(f"model {self.passport.model_id} cannot be run: {fault}") from fault
        raw: Floats = outputs.astype(np.float64)
        return raw

    def attend(self, windows: npt.NDArray[np.float32]) -> Floats:
        """Attention weights over the steps of each window, float64 [k, window]; each row adds up to 1.

        Raises:
            ModelError: The model has no attention.
        """
        if not self.has_attention:
            raise ModelError(f"model {self.passport.model_id} has no attention to show")
        outputs: Any = self._session.run(self._outputs[1:2], {self._input: windows})[0]
        weights: Floats = outputs.astype(np.float64)
        return weights

    def decode(
        self, raw: Floats, close: Floats, volatility: Floats, weights: Floats | None = None
    ) -> Forecasts:
        """Turn outputs into forecasts.

        Args:
            raw: float64 [k, columns].
            close: Of each window's last candle.
            volatility: Causal, at the same candle.
            weights: float64 [k, members] of an ensemble whose weights move in time; ``weigh`` gives them.
        """
        if self.combination is not None:
            said = self.combination.combine_rows(raw, volatility, self.target.horizon, weights)
            unsure = self.combination.uncertainty(raw, volatility, self.target.horizon, weights)
            return Forecasts(*said, unsure, np.full(len(raw), np.nan))
        decoded = self.target.decode(raw, close, volatility, self.scaler)
        believed = decoded.expected_return * self.calibration.return_scale
        column = raw[:, -1] if self.target.kind == "path" else raw[:, 0]
        unsure = self.calibration.doubt(decoded.expected_return)
        return Forecasts(
            believed,
            self.calibration.probability(decoded.score),
            column,
            unsure,
            self._own_volatility(raw, volatility),
        )

    def _own_volatility(self, raw: Floats, volatility: Floats) -> Floats:
        """What the network itself says of how far the price moves; NaN where it does not, or is not to be asked."""
        scale = self.calibration.volatility_scale
        if scale is None or not isinstance(self.target, ReturnAndVolatility):
            return np.full(len(raw), np.nan)
        return self.target.volatility_of(raw, volatility) * scale

    def bounds(self, expected: Floats, volatility: Floats) -> tuple[Floats, Floats]:
        """Where the return over the horizon is meant to lie nine times in ten: (low, high), float64 [k] each.

        NaN where the model does not say.
        """
        if self.interval is None:
            unknown = np.full(len(expected), np.nan)
            return unknown, unknown
        return self.interval.bounds(expected, volatility)

    def weigh(self, raw: Floats, ts: npt.NDArray[np.int64], close: Floats) -> Floats | None:
        """The members' weights at each of one symbol's moments in order of time; None unless they move in time."""
        if self.combination is None or not self.combination.moves:
            return None
        tracker = self.combination.tracker(self.target.horizon)
        probabilities = self.combination.probabilities(raw)
        return np.array(
            [
                tracker.step(at, price, row)
                for at, price, row in zip(ts.tolist(), close.tolist(), probabilities, strict=True)
            ]
        ).reshape(raw.shape)

    def ends(self, candles: CandleArrays, table: FeatureTable) -> npt.NDArray[np.int64]:
        """Indices of the candles whose window is whole."""
        return window_ends(candles.ts, table.valid, self.passport.window)

    def infer_series(
        self, scaled: npt.NDArray[np.float32], ends: npt.NDArray[np.int64], *, batch: int = 256
    ) -> Floats:
        """Outputs [k, columns] of the windows of a scaled row table [n, f] that end at the given rows."""
        raw = np.empty((len(ends), len(self.passport.outputs)))
        done = 0
        for piece in batches(ends, batch):
            raw[done : done + len(piece)] = self.infer(gather(scaled, piece, self.passport.window))
            done += len(piece)
        return raw


def expected_volatility(
    forecaster: Forecaster,
    said: Forecasts,
    close: Floats,
    ts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> Floats:
    """Expected standard deviation of the return over the horizon at some candles; NaN where the model says none.

    Args:
        forecaster: The model.
        said: What it says at these candles: its own word is taken where it gives one.
        close: Of a series.
        ts: Of the same, ms.
        ends: int64 [k], which candles.
    """
    if forecaster.calibration.volatility_scale is not None or forecaster.volatility is None:
        return said.volatility
    return forecaster.volatility.along(close, ts, ends)


def load_forecaster(folder: Path, *, threads: int = 1) -> Forecaster:
    """Verify an artifact and open its session.

    Args:
        folder: The artifact.
        threads: Threads of one inference; more than one pays only for batches.

    Raises:
        ModelError: ``read_verified`` refuses it, or the graph cannot be run or gives numbers that are not finite.
    """
    passport, contents = read_verified(folder)
    try:
        scaler = scaler_from_json(contents["scaler.json"])
    except ModelError as fault:
        raise ModelError(f"{folder}: {fault}") from fault
    if scaler.columns != passport.columns or scaler.digest() != passport.hashes.get("scaler"):
        raise ModelError(f"{folder / 'scaler.json'} is not the scaler that the passport names")
    try:
        calibration = calibration_from_json(contents["calibration.json"])
        combination = (
            combination_from_json(contents[COMBINATION_FILE], passport.outputs)
            if COMBINATION_FILE in contents
            else None
        )
        volatility = (
            volatility_from_json(contents[VOLATILITY_FILE], passport.horizon_minutes)
            if VOLATILITY_FILE in contents
            else None
        )
        interval = conformal_from_json(contents[CONFORMAL_FILE]) if CONFORMAL_FILE in contents else None
    except ModelError as fault:
        raise ModelError(f"{folder}: {fault}") from fault
    session = open_session(contents["model.onnx"], threads=threads, name=str(folder / "model.onnx"))
    shape = (passport.window, len(passport.columns))
    check_graph(session, shape, len(passport.outputs), str(folder / "model.onnx"))
    try:
        return Forecaster(passport, scaler, calibration, session, combination, volatility, interval)
    except ModelError as fault:
        raise ModelError(f"{folder / PASSPORT_FILE}: {fault}") from fault


def open_session(graph: bytes, *, threads: int, name: str) -> onnxruntime.InferenceSession:
    """A CPU session over a graph in memory; ModelError when onnxruntime refuses it, or a weight is not finite."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if threads > 1:
        # Spinning workers would eat the cores that the rest of the program needs between two batches.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as fault:
        # onnxruntime raises its own classes straight below Exception, a different one for each status.
        raise ModelError(f"{name} cannot be loaded by onnxruntime: {fault}") from fault
    if (damaged := damaged_weight(graph)) is not None:
        raise ModelError(
            f"{name} holds a value that is not a finite number in {damaged}: its weights are damaged"
        )
    return session


def check_graph(
    session: onnxruntime.InferenceSession, shape: tuple[int, int], columns: int, name: str
) -> None:
    """Refuse a graph of another shape, and one whose weights are not numbers: probes must come out finite."""
    wanted = session.get_inputs()[0].shape
    if len(session.get_inputs()) != 1 or wanted[1:] != list(shape):
        raise ModelError(f"{name} takes windows of {wanted[1:]}, the passport says {list(shape)}")
    for level in (0.0, 0.5, -0.5):
        probe = np.full((1, *shape), level, np.float32)
        try:
            outputs: Any = session.run(None, {session.get_inputs()[0].name: probe})
        except Exception as fault:
            raise ModelError(f"{name} cannot be run by onnxruntime: {fault}") from fault
        if outputs[0].shape != (1, columns):
            raise ModelError(
                f"{name} gives {outputs[0].shape[1:]} numbers a window, the passport says {columns}"
            )
        if any(not np.isfinite(output).all() for output in outputs):
            raise ModelError(f"{name} gives an output that is not a finite number: its weights are damaged")
