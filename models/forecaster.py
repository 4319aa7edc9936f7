"""A verified artifact, ready to forecast: windows of feature rows in, expected returns out. No TensorFlow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from bot.errors import ModelError
from models.calibration import Calibration, calibration_from_json
from models.candle_arrays import CandleArrays
from models.features import FeatureTable
from models.passport import ModelPassport
from models.registry import read_verified
from models.scaling import Scaler, scaler_from_json
from models.targets import Target, make_target
from models.windows import batches, gather, window_ends

Floats = npt.NDArray[np.float64]


class Forecasts(NamedTuple):
    """Forecasts of k windows, not rounded.

    Attributes:
        expected_return: float64 [k], log return over the horizon, as a fraction.
        probability_up: float64 [k].
        raw: float64 [k], the model's own output.
    """

    expected_return: Floats
    probability_up: Floats
    raw: Floats


class Forecaster:
    """A model with its scaler and calibration.

    Attributes:
        passport: What it is made of.
        scaler: Its scaler.
        target: The way from its output to a return.
    """

    def __init__(
        self,
        passport: ModelPassport,
        scaler: Scaler,
        calibration: Calibration,
        session: onnxruntime.InferenceSession,
    ) -> None:
        self.passport = passport
        self.scaler = scaler
        self.calibration = calibration
        self.features = passport.feature_set()
        self.target: Target = make_target(passport.target, passport.horizon_minutes)
        self._session = session
        self._input: str = session.get_inputs()[0].name
        self._output: str = session.get_outputs()[0].name

    def infer(self, windows: npt.NDArray[np.float32]) -> Floats:
        """The model's output for scaled windows float32 [k, window, f], float64 [k]."""
        outputs: Any = self._session.run([self._output], {self._input: windows})[0]
        raw: Floats = outputs[:, 0].astype(np.float64)
        return raw

    def decode(self, raw: Floats, close: Floats, volatility: Floats) -> Forecasts:
        """Turn outputs into forecasts, given the close and the causal volatility of each window's last candle."""
        expected = self.target.decode(raw, close, volatility, self.scaler)
        z = expected / (volatility * math.sqrt(self.target.horizon))
        believed = expected * self.calibration.return_scale
        return Forecasts(believed, self.calibration.probability(z), raw)

    def ends(self, candles: CandleArrays, table: FeatureTable) -> npt.NDArray[np.int64]:
        """Indices of the candles whose window is whole."""
        return window_ends(candles.ts, table.valid, self.passport.window)

    def infer_series(
        self, scaled: npt.NDArray[np.float32], ends: npt.NDArray[np.int64], *, batch: int = 256
    ) -> Floats:
        """Outputs of the windows of a scaled row table [n, f] that end at the given rows, batch by batch."""
        raw = np.empty(len(ends))
        done = 0
        for piece in batches(ends, batch):
            raw[done : done + len(piece)] = self.infer(gather(scaled, piece, self.passport.window))
            done += len(piece)
        return raw


def load_forecaster(folder: Path, *, threads: int = 1) -> Forecaster:
    """Verify an artifact and open its session.

    Args:
        folder: The artifact.
        threads: Threads of one inference; more than one pays only for batches.

    Raises:
        ModelError: ``read_verified`` refuses it, or the graph cannot be run or gives numbers that are not finite.
    """
    passport, contents = read_verified(folder)
    scaler = scaler_from_json(contents["scaler.json"])
    if scaler.columns != passport.columns or scaler.digest() != passport.hashes.get("scaler"):
        raise ModelError(f"{folder / 'scaler.json'} is not the scaler that the passport names")
    try:
        calibration = calibration_from_json(contents["calibration.json"])
    except ModelError as fault:
        raise ModelError(f"{folder}: {fault}") from fault
    session = open_session(contents["model.onnx"], threads=threads, name=str(folder / "model.onnx"))
    check_graph(session, (passport.window, len(passport.columns)), str(folder / "model.onnx"))
    return Forecaster(passport, scaler, calibration, session)


def open_session(graph: bytes, *, threads: int, name: str) -> onnxruntime.InferenceSession:
    """A CPU session over a graph in memory; ModelError when onnxruntime refuses it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if threads > 1:
        # Spinning workers would eat the cores that the rest of the program needs between two batches.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as fault:
        # onnxruntime raises its own classes straight below Exception, a different one for each status.
        raise ModelError(f"{name} cannot be loaded by onnxruntime: {fault}") from fault


def check_graph(session: onnxruntime.InferenceSession, shape: tuple[int, int], name: str) -> None:
    """Refuse a graph of another shape, and one whose weights are not numbers: probes must come out finite."""
    wanted = session.get_inputs()[0].shape
    if len(session.get_inputs()) != 1 or wanted[1:] != list(shape):
        raise ModelError(f"{name} takes windows of {wanted[1:]}, the passport says {list(shape)}")
    for level in (0.0, 0.5, -0.5):
        probe = np.full((1, *shape), level, np.float32)
        try:
            output: Any = session.run(None, {session.get_inputs()[0].name: probe})[0]
        except Exception as fault:
            raise ModelError(f"{name} cannot be run by onnxruntime: {fault}") from fault
        if output.shape != (1, 1) or not np.isfinite(output).all():
            raise ModelError(f"{name} gives an output that is not one finite number: its weights are damaged")
