"""The shipped ways from candles to forecasts, as pipelines that the causality audit can question."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.audits.causality import Answer, Learned, Market, Rows, Slice, Split, Times
from bot.core.closer import CandleUpdate
from bot.core.market import MINUTE_MS, Candle
from bot.inference import OnnxPredictor, forecast_series
from models.baselines import fit_baselines
from models.dataset import Dataset, prepare
from models.feature_stream import FeatureStream
from models.features import FeatureSet
from models.forecaster import Forecaster, load_forecaster
from models.hashing import data_digest
from models.model_card import FILE_NAME as CARD_FILE
from models.predictions_table import FILE_NAME as PREDICTIONS_FILE
from models.recipe import Recipe
from models.registry import read_verified
from models.scaling import Scaler, fit_scaler
from models.targets import Target, make_target
from models.training import train
from models.windows import TimeSlices

Floats = npt.NDArray[np.float64]


REPORT_FILES = frozenset(
    {CARD_FILE, PREDICTIONS_FILE, "metrics.json", "training_history.json", "training_history.png"}
)
"""What an artifact says of its test slice and of how long the fit took: these may know what came later."""


class FeaturePipeline:
    """A feature set: a batch table, and the stream that the daemon has."""

    def __init__(self, features: FeatureSet) -> None:
        self.name = f"features {features.tag}"
        self._features = features

    def answer(self, market: Market) -> Answer:
        """Every column and the volatility, of every candle."""
        columns = (*self._features.columns, "volatility")
        rows = []
        for symbol, candles in market.items():
            table = self._features.compute(candles)
            values = np.column_stack([table.matrix, table.volatility])
            rows.append(Rows("features", symbol, candles.ts, columns, values))
        return Answer(rows)

    def stream(self, market: Market, updates: Iterable[CandleUpdate]) -> Sequence[Rows]:
        """The same through ``FeatureStream``, from closed candles only."""
        streams: dict[str, FeatureStream] = {}
        taps: dict[str, _Tap] = {}
        found: dict[str, list[tuple[int, Floats]]] = {symbol: [] for symbol in market}
        for update in updates:
            if not update.closed:
                continue
            symbol = update.symbol
            if symbol not in streams:
                taps[symbol] = _tap(self._features)
                streams[symbol] = FeatureStream(self._features, 2, taps[symbol])
            streams[symbol].append(*update[1:7])
            row = np.append(taps[symbol].newest, streams[symbol].volatility)
            found[symbol].append((update.opened_at_ms, row))
        columns = (*self._features.columns, "volatility")
        return [
            Rows(
                "features",
                symbol,
                np.array([ts for ts, _ in made]),
                columns,
                np.stack([row for _, row in made]),
            )
            for symbol, made in found.items()
            if made
        ]


class RecipePipeline:
    """What a recipe's fit is given: rows, windows, labels, slices, scaler and baselines; no network is fitted."""

    def __init__(self, recipe: Recipe) -> None:
        self.name = f"recipe {recipe.name}"
        self.recipe = recipe
        self.goal: Target = make_target(recipe.target.kind, recipe.target.horizon, recipe.target.options)

    def answer(self, market: Market) -> Answer:
        """All of it, through the very functions that ``bot train`` calls."""
        data = prepare(self.recipe, market)
        return Answer(self._rows(data), self._learned(data), self.split(data))

    def split(self, data: Dataset) -> Split:
        """The moments that each purpose learns from or is measured on."""
        slices = data.slices
        names = [
            name for name in slices.as_dict() if name != "calibrate" or slices.calibrate != slices.early_stop
        ]
        parts = []
        for name in names:
            bounds = getattr(slices, name)
            # Whatever label is used there: the model's own, or the return that baselines and calibration look at.
            ends = np.union1d(data.learnable(bounds), data.rows.ends_within(bounds))
            parts.append(Slice(name, np.unique(data.rows.ts[ends]), self.goal.reach))
        train = data.rows.ends_within(slices.train)
        symbols = [data.rows.symbols[number] for number in np.unique(data.rows.symbol[train])]
        return Split(tuple(parts), self.recipe.window, tuple(symbols))

    def _learned(self, data: Dataset) -> list[Learned]:
        slices, scaler = data.slices, data.scaler
        baselines = fit_baselines(data)
        train_until = slices.train[1]
        constants = {"offset": scaler.offset, "scale": scaler.scale, "low": scaler.low, "high": scaler.high}
        fences = {} if scaler.fences is None else {"fences": scaler.fences}
        fitted = {
            "base_rate": baselines.base_rate,
            "weights": baselines.weights,
            "intercept": baselines.intercept,
        }
        return [
            # Where time is cut follows from which minutes there are, never from prices.
            Learned("slices", {"bounds": _bounds(slices)}, int(data.rows.ts.min())),
            Learned("scaler", {**constants, **fences}, train_until),
            Learned("baselines", fitted, train_until + self.goal.horizon * MINUTE_MS),
        ]

    def _rows(self, data: Dataset) -> list[Rows]:
        found = []
        table, train_until = data.rows, data.slices.train[1]
        ends = np.zeros(len(table.ts), np.bool_)
        ends[table.ends] = True
        columns = ("close", "volatility", "last_return", "ends_a_window")
        plain = np.column_stack([table.close, table.volatility, table.last_return, ends])
        outputs = tuple(f"label_{number}" for number in range(data.target.shape[1]))
        wide = tuple(data.scaler.columns)
        for number, symbol in enumerate(table.symbols):
            own = table.symbol == number
            ts = table.ts[own]
            scaled_known = np.maximum(ts + MINUTE_MS, train_until)
            label_known = np.maximum(ts + (1 + self.goal.reach) * MINUTE_MS, train_until)
            found += [
                Rows("rows", symbol, ts, columns, plain[own]),
                Rows("inputs", symbol, ts, wide, table.scaled[own], scaled_known),
                Rows("labels", symbol, ts, outputs, data.target[own], label_known),
            ]
        return found


class TrainedRecipe:
    """A recipe trained anew for every question: what ``bot train`` stores, and what the stored model says.

    Args:
        recipe: Who is trained.
        monotonic_ns: A local clock for the training's time limit, which should not end a training here.
        max_epochs: A short training asks the same question as a long one.
    """

    def __init__(
        self, recipe: Recipe, monotonic_ns: Callable[[], int], *, max_epochs: int | None = None
    ) -> None:
        self.name = f"trained {recipe.name}"
        self._parts = RecipePipeline(recipe)
        self._clock = monotonic_ns
        self._epochs = max_epochs
        self._first: tuple[str, Forecaster] | None = None

    def answer(self, market: Market) -> Answer:
        """Train into a folder that is gone afterwards, and forecast every minute with what was stored."""
        data = prepare(self._parts.recipe, market)
        forecaster, files = self._trained(market)
        if self._first is None:
            self._first = data_digest(market), forecaster
        learned = self._learned(data.slices, files)
        known_ms = max(one.until_ms for one in learned)
        return Answer(_forecasts(forecaster, market, known_ms), learned, self._parts.split(data))

    def stream(self, market: Market, updates: Iterable[CandleUpdate]) -> Sequence[Rows]:
        """The model of this market candle by candle; the first question's model is kept for that."""
        if self._first is not None and self._first[0] == data_digest(market):
            return _streamed(self._first[1], market, updates)
        return _streamed(self._trained(market)[0], market, updates)

    def _trained(self, market: Market) -> tuple[Forecaster, dict[str, bytes]]:
        """The stored model and its files."""
        with tempfile.TemporaryDirectory(prefix="bot-audit-") as folder:
            trained = train(
                self._parts.recipe,
                market,
                Path(folder),
                created_at_ms=0,
                monotonic_ns=self._clock,
                model_id="audited",
                max_epochs=self._epochs,
                max_seconds=86_400.0,
            )
            return load_forecaster(trained.folder), read_verified(trained.folder)[1]

    def _learned(self, slices: TimeSlices, files: dict[str, bytes]) -> list[Learned]:
        """The files that are a fit's, each with the end of the slice that it was fitted on and its label's reach."""
        reach = self._parts.goal.reach * MINUTE_MS
        kind = self._parts.recipe.architecture.kind
        weights_until = slices.train[1] if kind == "forest" else slices.early_stop[1]
        ends = {"scaler.json": slices.train[1], "model.onnx": weights_until + reach}
        # Whatever else is stored may have looked at the calibrate slice, and at nothing behind it.
        last = slices.calibrate[1] + reach
        kept = [name for name in files if name not in REPORT_FILES and not name.endswith(".keras")]
        return [Learned(name, {"bytes": files[name]}, ends.get(name, last)) for name in kept]


class StoredModel:
    """A stored artifact: it learns nothing more, so that every forecast must follow from the candles before it."""

    def __init__(self, forecaster: Forecaster) -> None:
        self.name = f"model {forecaster.passport.model_id}"
        self._forecaster = forecaster

    def answer(self, market: Market) -> Answer:
        """A forecast for every whole window, in batches."""
        return Answer(_forecasts(self._forecaster, market, 0))

    def stream(self, market: Market, updates: Iterable[CandleUpdate]) -> Sequence[Rows]:
        """The same, candle by candle, as the daemon does."""
        return _streamed(self._forecaster, market, updates)


_FORECAST = ("expected_return", "probability_up", "raw", "uncertainty")


def _forecasts(forecaster: Forecaster, market: Market, learned_ms: int) -> list[Rows]:
    """The batch's forecasts; none is said to be known before the model was."""
    found = []
    for symbol, candles in market.items():
        # One by one: on some processors a window's last digits depend on who shares its batch.
        said = forecast_series(forecaster, symbol, candles, batch=1)
        values = np.column_stack([said.expected_return, said.probability_up, said.raw, said.uncertainty])
        found.append(Rows("predictions", symbol, said.ts, _FORECAST, values, _known(said.ts, learned_ms)))
    return found


def _streamed(forecaster: Forecaster, market: Market, updates: Iterable[CandleUpdate]) -> list[Rows]:
    """Forecasts of ``OnnxPredictor``, fed with closed candles only."""
    predictor = OnnxPredictor(forecaster)
    found: dict[str, list[tuple[int, list[float]]]] = {symbol: [] for symbol in market}
    for update in updates:
        if not update.closed:
            continue
        predictor.observe(Candle._make(update[:7]))
        for said in predictor.predict([update.symbol]):
            row = [said.expected_return, said.probability_up, said.raw, said.uncertainty]
            numbers = [float("nan") if value is None else value for value in row]
            found[update.symbol].append((said.closed_at_ms - MINUTE_MS, numbers))
    return [
        Rows("predictions", symbol, np.array([ts for ts, _ in made], np.int64), _FORECAST, _table(made))
        for symbol, made in found.items()
    ]


def _table(made: list[tuple[int, list[float]]]) -> Floats:
    return np.array([row for _, row in made], np.float64).reshape(len(made), len(_FORECAST))


def _known(ts: Times, learned_ms: int) -> Times | None:
    return np.maximum(ts + MINUTE_MS, learned_ms) if learned_ms else None


def _bounds(slices: TimeSlices) -> npt.NDArray[np.int64]:
    return np.array(list(slices.as_dict().values()), np.int64)


class _Tap(Scaler):
    """A scaler that changes nothing and keeps the newest row that it was given, before it becomes float32."""

    newest: Floats

    def transform(self, rows: Floats) -> npt.NDArray[np.float32]:
        object.__setattr__(self, "newest", rows.copy())
        return super().transform(rows)


def _tap(features: FeatureSet) -> _Tap:
    plain = fit_scaler(
        "standard", features.columns, np.array([[-1.0], [1.0]]).repeat(len(features.columns), axis=1)
    )
    return _Tap(plain.kind, plain.columns, plain.offset, plain.scale, plain.low, plain.high)
