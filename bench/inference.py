"""Inference: one window as live, and batches as in a backtest, against Keras and against the machine's peak."""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bench.context import Context
from bench.figures import Figure, spread
from bench.market import synthetic_candles
from bench.model import ensure_model
from bench.sampling import durations_ns
from bot.core.market import Candle
from bot.inference import OnnxPredictor
from models.forecaster import Forecaster, load_forecaster
from models.windows import gather

BATCH = 256
SQUARE = 1024
Windows = npt.NDArray[np.float32]


def measure(context: Context) -> list[Figure]:
    """All in one process, so that the ratios are of one machine at one time."""
    folder = ensure_model(context.models_dir)
    forecaster = load_forecaster(folder, threads=1)
    windows = scaled_windows(forecaster, context.pick(8192, 4096, 512))
    one = windows[:1]
    alone = durations_ns(lambda: forecaster.infer(one), context.pick(5000, 2000, 100), warm_up=50)
    figures = spread("onnxruntime_one_window", alone, "us")
    figures += spread("predictor_one_symbol", predictor_durations(folder, context.pick(2000, 500, 50)), "us")
    figures += batches(context, folder, windows)
    if (folder / "model.keras").exists():
        taken = keras_durations(folder / "model.keras", one, context.pick(100, 40, 5))
        keras_p50, onnx_p50 = statistics.median(taken), statistics.median(alone)
        figures.append(Figure("keras_predict_one_window_p50", keras_p50 / 1e6, "ms"))
        figures.append(Figure("keras_over_onnxruntime", keras_p50 / onnx_p50, "ratio", ">= 20"))
    return figures


def scaled_windows(forecaster: Forecaster, count: int) -> Windows:
    """Real windows of the synthetic market, float32 [count, window, f]."""
    candles = synthetic_candles(count + 1440)
    table = forecaster.features.compute(candles)
    ends = forecaster.ends(candles, table)[-count:]
    return gather(forecaster.scaler.transform_table(table.matrix), ends, forecaster.passport.window)


def predictor_durations(folder: Path, count: int) -> list[int]:
    """A candle into the predictor and its forecast out: features, scaling, inference, decoding; ns each."""
    predictor = OnnxPredictor.load(folder)
    name = "BTC/USDT:USDT"
    arrays = synthetic_candles(predictor.history_minutes + count + 50)
    columns = (arrays.ts, arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)
    candles = [Candle(name, *values) for values in zip(*(column.tolist() for column in columns), strict=True)]
    predictor.warm(name, candles[: predictor.history_minutes])
    coming = iter(candles[predictor.history_minutes :])

    def step() -> None:
        predictor.observe(next(coming))
        predictor.predict([name])

    return durations_ns(step, count, warm_up=50)


def batches(context: Context, folder: Path, windows: Windows) -> list[Figure]:
    """Windows a second in batches, and which share of the peak of matrix multiplication that is.

    Both use the same number of threads and take turns, so that another program's load falls on both.
    """
    threads = min(os.cpu_count() or 1, 2)
    forecaster = load_forecaster(folder, threads=threads)
    left = np.random.default_rng(1).normal(size=(SQUARE, SQUARE)).astype(np.float32)
    right = left.T.copy()
    pieces = [windows[start : start + BATCH] for start in range(0, len(windows), BATCH)]

    def infer() -> None:
        for piece in pieces:
            forecaster.infer(piece)

    speeds, peaks = [], []
    with threadpool_limits(limits=threads, user_api="blas"):
        for _ in range(context.pick(5, 3, 2)):
            took = durations_ns(lambda: left @ right, 4, warm_up=1)
            peaks.append(2.0 * SQUARE**3 / (min(took) / 1e9))
            speeds.append(len(windows) / (durations_ns(infer, 1)[0] / 1e9))
    speed, peak = max(speeds), max(peaks)
    work = float_operations(folder)
    note = f"best of {len(speeds)}, {threads} threads, batches of {BATCH}"
    return [
        Figure("onnxruntime_batches", speed, "1/s", note=note),
        Figure(
            "window_work", work / 1e6, "MFLOP", note="multiplications and additions of the layers' matrices"
        ),
        Figure("sgemm_peak", peak / 1e9, "GFLOP/s", note=f"numpy float32, {SQUARE} x {SQUARE}"),
        Figure("onnxruntime_share_of_peak", speed * work / peak, "share"),
    ]


def float_operations(folder: Path) -> float:
    """Operations of one window, counted from the shapes in the graph: 2·steps·4·units·(inputs + units) a layer."""
    import onnx

    graph = onnx.load(str(folder / "model.onnx")).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    steps = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    total = 0.0
    for node in graph.node:
        if node.op_type == "LSTM":
            (_, gates, inputs), (_, _, units) = shapes[node.input[1]], shapes[node.input[2]]
            total += 2.0 * steps * gates * (inputs + units)
        elif node.op_type in {"Gemm", "MatMul"} and node.input[1] in shapes:
            rows, columns = shapes[node.input[1]]
            total += 2.0 * rows * columns
    return total


def keras_durations(path: Path, window: Windows, count: int) -> list[int]:
    """``model.predict`` of one window, ns each."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    model: Any = keras.models.load_model(path)
    return durations_ns(lambda: model.predict(window, verbose=0), count, warm_up=3)
